"""What a client's exchanges are held to: where they go, as whom, how long, how often, how much.

Rule: no I/O here. The key is written into one header and nowhere else.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from chatproxy_sdk._core import leniency
from chatproxy_sdk._core.faults import Fault, FaultError, Kind
from chatproxy_sdk._core.retries import Retries

HIDDEN = "[key]"
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of every exchange of one client.

    Attributes:
        base_url: what paths are put behind; without a slash at its end.
        timeout_s: to connect; for a whole buffered answer; on a stream for its head and between two events. A stream
            whose choices have all finished, but which neither ends nor says ``[DONE]``, is over after it. Where bytes
            come, but too slowly, it may take twice as long (with the blocking client a head has no such bound);
            comments of a stream do not count as events.
        max_body_bytes: of a buffered answer.
        max_event_bytes: of one event of a stream.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    retries: Retries = field(default_factory=Retries)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_body_bytes: int = 64 * MIB
    max_event_bytes: int = 8 * MIB

    def scrub(self, text: str) -> str:
        """The same text without the key."""
        return text.replace(self.api_key, HIDDEN) if self.api_key else text

    def without_key(self, body: bytes) -> bytes:
        """An error's body without the key; done before it is cut, which might leave a part of the key."""
        return body.replace(self.api_key.encode(), HIDDEN.encode()) if self.api_key else body

    def scrubbed(self, error: FaultError) -> FaultError:
        """The same failure without the key, which a server may have quoted."""
        fault = error.fault
        if not self.api_key or self.api_key not in f"{fault.message}{fault.body}{fault.code}{fault.param}{fault.type}":
            return error
        body, code, param, kind = (
            text and self.scrub(text) for text in (fault.body, fault.code, fault.param, fault.type)
        )
        message = self.scrub(fault.message)
        clean = FaultError(replace(fault, message=message, body=body, code=code, param=param, type=kind))
        clean.__cause__ = error.__cause__
        return clean

    def sent_headers(self) -> dict[str, str]:
        """The headers of each request.

        Compressed answers are not asked for: httpx takes a gzip body that was cut for a whole one.
        """
        headers = {"accept-encoding": "identity", "user-agent": f"chatproxy-sdk/{_version()}", **self.headers}
        if self.api_key:
            headers["authorization"] = f"Bearer {self.api_key}"
        return headers


def checked_key(api_key: str | None) -> str | None:
    """The key, if it can stand in a header.

    Raises:
        ValueError: it cannot; the message does not quote it.
    """
    if api_key is None or (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key):
        return api_key or None
    raise ValueError("api_key must be printable ASCII without blanks around it")


def checked_url(base_url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: it is no absolute http or https URL.
    """
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        usable = usable and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"must be a URL such as http://localhost:8765/v1, found {base_url!r}")
    return base_url.rstrip("/")


def url_credentials(url: str) -> tuple[str, str] | None:
    """User and password of a URL, decoded; None where it has none."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


def without_credentials(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def basic(credentials: tuple[str, str]) -> str:
    """The value of an ``Authorization`` header for user and password (RFC 7617)."""
    return f"Basic {base64.b64encode(':'.join(credentials).encode()).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: what is asked for, not how."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    def content(self) -> bytes | None:
        """The body as JSON.

        Raises:
            FaultError: it cannot be written as JSON.
        """
        if self.body is None:
            return None
        try:
            return msgspec.json.encode(self.body)
        except (TypeError, ValueError, RecursionError) as exc:
            message = f"the request cannot be written as JSON: {exc}"
            raise FaultError(Fault(kind=Kind.REQUEST, message=message)) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer with a status below 300."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The server's name for the exchange."""
        return self.headers.get("x-request-id")

    def json(self) -> Any:
        """The body, decoded.

        Raises:
            FaultError: it is no JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
            with suppress(ValueError, RecursionError):
                return leniency.writable(leniency.decoded(self.body))
            raise FaultError(self.unreadable(f"the answer is not JSON: {exc}")) from exc

    def unreadable(self, message: str) -> Fault:
        """The fault of an answer that is not what was asked for."""
        body = self.body[:8_000].decode(errors="replace")[:2_000]
        return Fault(kind=Kind.ANSWER, message=message, status=None, request_id=self.request_id, body=body)


def _version() -> str:
    try:
        return version("chatproxy-sdk")
    except PackageNotFoundError:
        return "0"

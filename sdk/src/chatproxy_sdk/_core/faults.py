"""What went wrong in an exchange, before a client gives it one of its own exceptions.

Rule: no I/O here. Nothing else reads an error's body or ``Retry-After``.
Source: OpenAI API reference, errors; RFC 9110, 10.2.3 Retry-After.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

import msgspec

from chatproxy_sdk._core.leniency import error_in

EXCERPT_CHARS = 2_000
MAX_SAID_BYTES = 2_000


class Kind(Enum):
    """Where an exchange failed."""

    REQUEST = "request"  # never sent: it cannot be written down
    CONNECTION = "connection"  # not connected, or cut before the answer was whole
    TIMEOUT = "timeout"  # connected, and the answer or its next part did not come in time
    STATUS = "status"  # an answer that says it is an error
    STREAM = "stream"  # an error event inside a stream
    ANSWER = "answer"  # an answer that cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One failure.

    Attributes:
        status: of the HTTP answer; for an error event, what its type or code stands for; None without an answer.
        retry_after: seconds to wait, as the server said; None where it did not.
        body: the answer's text, at most 2,000 characters.
        may_pass: false where trying again is known to fail again, such as with a certificate that is not trusted.
    """

    kind: Kind
    message: str
    status: int | None = None
    code: str | None = None
    type: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    body: str | None = None
    may_pass: bool = True

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later: 429, 5xx, and connections that failed or broke."""
        if self.kind is Kind.CONNECTION:
            return self.may_pass
        return self.status is not None and (self.status == 429 or self.status >= 500)


class FaultError(Exception):
    """Carries a fault out of an exchange; clients raise their own exception in its place."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def answer_fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """The fault of an answer with an error status; any body will do, OpenAI's envelope is understood best.

    Args:
        headers: of the answer, looked up by lower-case names.
    """
    text = body[: EXCERPT_CHARS * 4].decode(errors="replace")[:EXCERPT_CHARS]
    said = _error_of(body)
    message = _text(said.get("message")) or _plain(text) or "no message"
    if 300 <= status < 400:
        message = f"redirected to {headers.get('location', 'nowhere')!r}; redirects are not followed"
    return Fault(
        kind=Kind.STATUS,
        message=message,
        status=status,
        code=_text(said.get("code")),
        type=_text(said.get("type")),
        param=_text(said.get("param")),
        request_id=headers.get("x-request-id"),
        retry_after=retry_after_s(headers),
        body=text,
    )


_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 503,
}


def event_fault(error: Any, request_id: str | None) -> Fault:
    """The fault of an error event: ``data: {"error": {...}}`` on a live stream.

    Its status is its numeric ``code`` or ``status``, else that of its type, else 500.
    """
    said = error if isinstance(error, dict) else {"message": error}
    status = next((number for name in ("status", "code") if (number := _status(said.get(name)))), None)
    return Fault(
        kind=Kind.STREAM,
        message=_text(said.get("message")) or "the stream ended with an error",
        status=status or _STATUS_OF_TYPE.get(str(said.get("type")), 500),
        code=_text(said.get("code")),
        type=_text(said.get("type")),
        param=_text(said.get("param")),
        request_id=request_id,
        body=msgspec.json.encode(error).decode()[:EXCERPT_CHARS],
    )


def said_error(body: bytes) -> Any:
    """The error that a JSON body tells of, although its status is one of success; None where there is none."""
    start = body[:MAX_SAID_BYTES]
    if b'"error"' not in start and b'"message"' not in start:
        return None
    try:
        return error_in(msgspec.json.decode(body))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds until another attempt, from ``Retry-After`` in either form, or None."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value)
    return max(0.0, seconds) if seconds < float("inf") else None


def _seconds_until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _error_of(body: bytes) -> dict[str, Any]:
    """The error object of a body, whatever envelope it comes in; empty where there is none."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    found = decoded.get("error") or decoded.get("detail") or decoded
    return found if isinstance(found, dict) else {"message": found}


def _status(value: Any) -> int | None:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    return number if isinstance(number, int) and 400 <= number <= 599 else None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return msgspec.json.encode(value).decode()[:EXCERPT_CHARS]


def _plain(text: str) -> str:
    """A body that is no JSON, as one line."""
    return " ".join(text.split())

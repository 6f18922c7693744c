"""OTLP over HTTP: one request at a time, by the standard library's client.

Rule: one attempt for each `send`; whether and when to try again is the pipe's business, so that shutting down can end
it. An answer's body is read up to a limit. OpenTelemetry's own exporter retries inside `export` and tells neither what
was refused nor what the collector rejected in part, which exact counts need.
Source: OTLP specification, "OTLP/HTTP".
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, RemoteDisconnected
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]  # the latter

from chatproxy.errors import ConfigError
from chatproxy_otel.export.outcome import Outcome, Verdict, reason_of, unreached
from chatproxy_otel.export.target import Target

MAX_ANSWER_BYTES = 64 * 1024
RETRYABLE = frozenset({429, 502, 503, 504})
PROTOBUF = "application/x-protobuf"
STALE = (RemoteDisconnected, ConnectionResetError, BrokenPipeError)
"""What a kept connection fails with that the collector has closed in the meantime."""


class HttpSender:
    """Sends encoded batches to one URL."""

    def __init__(self, target: Target, rejected: Callable[[bytes], int], user_agent: str) -> None:
        """Does not connect yet.

        Args:
            rejected: how many items a collector says it did not take, from its answer's body.
        """
        parts = urlsplit(target.url)
        self._target = target
        self._rejected = rejected
        self._is_compressed = target.is_compressed
        self._headers = {"content-type": PROTOBUF, "user-agent": user_agent, **target.headers}
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connect = _connector(target)
        self._connection: HTTPConnection | None = None
        if target.is_compressed:
            self._headers["content-encoding"] = "gzip"
        if proxy := _proxy_of(target):
            self._path, more = _through(proxy, target, self._path)
            self._headers |= more

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """Post a batch once; see `Sender`."""
        body = gzip.compress(payload, 6) if self._is_compressed else payload
        deadline = time.monotonic() + timeout_s
        is_kept = self._connection is not None
        try:
            try:
                return self._post(body, deadline)
            except STALE:
                self.close()
                if not is_kept:
                    raise
                return self._post(body, deadline)
        except (OSError, HTTPException) as exc:  # TimeoutError and ssl.SSLError are OSErrors
            self.close()
            why = "no answer in time" if isinstance(exc, TimeoutError) else self._target.clean(str(exc)) or exc
            return unreached(self._target.shown, why)

    def interrupt(self) -> None:
        """Cut the connection, if there is one."""
        connection = self._connection
        if connection is not None and (sock := connection.sock) is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next `send` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes, deadline: float) -> Outcome:
        remaining_s = max(0.001, deadline - time.monotonic())
        if self._connection is None:
            self._connection = self._connect(remaining_s)
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(remaining_s)
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        answer, is_whole = _read(response, deadline)
        response.close()
        if response.will_close or not is_whole:
            self.close()
        return self._meaning(response, answer)

    def _meaning(self, response: HTTPResponse, answer: bytes) -> Outcome:
        status = response.status
        if 200 <= status < 300:
            is_protobuf = response.headers.get_content_type() == PROTOBUF
            return Outcome(Verdict.SENT, rejected=self._rejected(answer) if is_protobuf else 0)
        reason = reason_of(self._target.shown, self._target.clean(f"HTTP {status} {response.reason}"))
        if status in RETRYABLE:
            return Outcome(
                Verdict.UNAVAILABLE, reason, retry_after_s=retry_after_s(response.headers.get("retry-after"))
            )
        return Outcome(Verdict.REFUSED, reason)


def retry_after_s(text: str | None) -> float | None:
    """Seconds that ``Retry-After`` asks for, by a number or an HTTP date; None where it says nothing."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def check_tls(target: Target) -> ssl.SSLContext | None:
    """The context of a target; None where it is not secure.

    Raises:
        ConfigError: the certificate or key files do not hold what they should.
    """
    if not target.is_secure:
        return None
    try:
        context = ssl.create_default_context(cafile=target.certificate)
        if target.client_certificate is not None:
            context.load_cert_chain(target.client_certificate, target.client_key)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"OTEL_EXPORTER_OTLP_CERTIFICATE or _CLIENT_CERTIFICATE or _CLIENT_KEY: {exc}") from exc
    return context


def _read(response: HTTPResponse, deadline: float) -> tuple[bytes, bool]:
    """The body, or its beginning; whether it is all, so that the connection can be kept."""
    parts: list[bytes] = []
    size_bytes = 0
    while part := response.read1(MAX_ANSWER_BYTES):
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > MAX_ANSWER_BYTES:
            return b"".join(parts), False
    return b"".join(parts), response.length in {0, None}


def _connector(target: Target) -> Callable[[float], HTTPConnection]:
    parts = urlsplit(target.url)
    host, port = parts.hostname or "", parts.port
    context = check_tls(target)
    proxy = urlsplit(_proxy_of(target) or "")
    if context is None:
        if proxy.hostname:
            host, port = proxy.hostname, proxy.port or 80
        return lambda timeout_s: HTTPConnection(host, port, timeout=timeout_s)

    def secure(timeout_s: float) -> HTTPConnection:
        if not proxy.hostname:
            return HTTPSConnection(host, port, timeout=timeout_s, context=context)
        connection = HTTPSConnection(proxy.hostname, proxy.port or 80, timeout=timeout_s, context=context)
        connection.set_tunnel(host, port or 443, headers=_credentials(proxy.username, proxy.password))
        return connection

    return secure


def _proxy_of(target: Target) -> str | None:
    parts = urlsplit(target.url)
    if proxy_bypass_environment(parts.hostname or ""):
        return None
    proxies: Mapping[str, str] = getproxies_environment()
    proxy = proxies.get(parts.scheme.lower()) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _through(proxy: str, target: Target, path: str) -> tuple[str, dict[str, str]]:
    if target.is_secure:
        return path, {}
    parts = urlsplit(proxy)
    return target.url, _credentials(parts.username, parts.password)


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"proxy-authorization": f"Basic {base64.b64encode(pair).decode()}"}

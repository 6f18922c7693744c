"""The edge guard: refuses what no surface should ever see, before routing.

Rule: pure ASGI and bytes, no framework; one pass over the headers; nothing kept between requests.
The checks of a request's head are one function, `check_head`, so that the gateway's own server can run them while
it parses. Such a server leaves its limits in ``scope["extensions"][CHECKED_EXTENSION]`` and keeps the body limit
itself; the guard then steps aside. Under any other ASGI server the guard does all of it.

Source: RFC 9112, sections 3.2 (target and Host), 6.1 and 6.3 (Transfer-Encoding and Content-Length).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from chatproxy.errors import ApiError, InvalidRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

CHECKED_EXTENSION = "chatproxy.edge"
DISCONNECT_EXTENSION = "chatproxy.disconnect"

_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})
_LONGEST_LENGTH = 18
_UPLOADS = re.compile(rb"(?:/v1)?/(?:audio|images|files|batches)(?:[/?]|$)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """How much of a request is read before it is refused; fields and bytes.

    Attributes:
        max_upload_bytes: in place of ``max_body_bytes`` on the paths whose bodies pass through unread.
    """

    max_header_fields: int = 100
    max_header_bytes: int = 65_536
    max_target_bytes: int = 8_192
    max_body_bytes: int = 20_000_000
    max_upload_bytes: int = 512 << 20


def body_limit(limits: EdgeLimits, target: bytes) -> int:
    """How long the body of a request to this target may be; one that is written unusually gets the usual limit."""
    return max(limits.max_upload_bytes, limits.max_body_bytes) if _UPLOADS.match(target) else limits.max_body_bytes


def headers_too_large(limits: EdgeLimits) -> ApiError:
    """The 431 answer."""
    return ApiError(
        f"The request's headers exceed {limits.max_header_fields} fields or {limits.max_header_bytes} bytes.",
        status=431,
        code="headers_too_large",
    )


def target_too_long(limits: EdgeLimits) -> ApiError:
    """The 414 answer."""
    return ApiError(
        f"The request target exceeds {limits.max_target_bytes} bytes.", status=414, code="request_target_too_long"
    )


def body_too_large(limit_bytes: int) -> ApiError:
    """The 413 answer."""
    return ApiError(f"The request's body exceeds {limit_bytes} bytes.", status=413, code="request_too_large")


def check_head(http_version: str, headers: Headers, limits: EdgeLimits, target: bytes = b"") -> ApiError | None:
    """Check Host, message framing and the announced body size, in one pass.

    Args:
        http_version: as in the ASGI scope, ``1.1``.
        headers: names in lower case, as in the ASGI scope.
        limits: of which those of bodies are used here.
        target: the path as it came, which `body_limit` goes by.

    Returns:
        The error to answer (the connection must then be closed), or None for a proper head.
    """
    framing = [field for field in headers if field[0] in _FRAMING]
    if len(framing) > 1:
        names = [name for name, _ in framing]
        if len(set(names)) < len(names):
            return _duplicate_fault(names)
    fields = dict(framing)
    host = fields.pop(b"host", None)
    if host is None:
        if http_version < "2":
            return InvalidRequest("The request has no Host header.", code="invalid_host")
    elif _HOST.fullmatch(host) is None:
        return InvalidRequest("The request's Host header is not host or host:port.", code="invalid_host")
    return _check_framing(http_version, fields, limits, target) if fields else None


def _duplicate_fault(names: list[bytes]) -> ApiError:
    if names.count(b"host") > 1:
        return InvalidRequest("The request has more than one Host header.", code="invalid_host")
    return _framing_fault("more than one Content-Length or Transfer-Encoding header")


def _check_framing(http_version: str, fields: dict[bytes, bytes], limits: EdgeLimits, target: bytes) -> ApiError | None:
    length = fields.get(b"content-length")
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        if length is None or not length.isdigit():
            return _framing_fault("a Content-Length header that is not a number")
        if len(length) <= _LONGEST_LENGTH and int(length) <= limits.max_body_bytes:
            return None
        limit = body_limit(limits, target)
        return None if len(length) <= _LONGEST_LENGTH and int(length) <= limit else body_too_large(limit)
    if length is not None:
        return _framing_fault("both Content-Length and Transfer-Encoding")
    if http_version == "1.0":
        return _framing_fault("a Transfer-Encoding header, which HTTP/1.0 does not have")
    if coding.lower() != b"chunked":
        return ApiError(
            "The request's Transfer-Encoding is not 'chunked'.", status=501, code="unsupported_transfer_encoding"
        )
    return None


def _framing_fault(found: str) -> ApiError:
    return InvalidRequest(f"The request has {found}.", code="invalid_framing")


def error_reply(error: ApiError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Render an error that closes the connection: status, headers, and OpenAI's envelope as the body."""
    body = msgspec.json.encode(error.envelope())
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", b"req_" + secrets.token_hex(12).encode()),
        (b"connection", b"close"),
    ]
    headers.extend((name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items())
    return error.status, headers, body


async def send_error(send: Send, error: ApiError) -> None:
    """Answer `error` over ASGI and ask the server to close the connection."""
    status, headers, body = error_reply(error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class EdgeGuard:
    """An ASGI application that lets only proper requests through to `app`.

    Args:
        app: what is protected; gets `lifespan` untouched, and no WebSocket.
        limits: of header, target and body.
    """

    def __init__(self, app: ASGIApp, limits: EdgeLimits | None = None) -> None:
        self._app = app
        self._limits = EdgeLimits() if limits is None else limits
        self._trusted: object = self._limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request, then run the application on it."""
        kind = scope["type"]
        if kind != "http":
            await (_refuse_websocket(scope, receive, send) if kind == "websocket" else self._app(scope, receive, send))
            return
        extensions = scope.get("extensions")
        if extensions is not None and self._is_checked(extensions.get(CHECKED_EXTENSION)):
            await self._app(scope, receive, send)
            return
        error = self._check(scope)
        if error is not None:
            await send_error(send, error)
        elif scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
        else:
            bounded = _BoundedBody(receive, send, body_limit(self._limits, _target_of(scope)))
            await self._app(scope, bounded.receive, bounded.send)

    def _is_checked(self, limits: object) -> bool:
        if limits is self._trusted:
            return True
        if limits is None or limits != self._limits:
            return False
        self._trusted = limits
        return True

    def _check(self, scope: Scope) -> ApiError | None:
        limits = self._limits
        headers = scope["headers"]
        if len(headers) > limits.max_header_fields:
            return headers_too_large(limits)
        size = 4 * len(headers)
        for name, value in headers:
            size += len(name) + len(value)
        if size > limits.max_header_bytes:
            return headers_too_large(limits)
        path = scope["path"]
        if len(path) + len(scope["query_string"]) > limits.max_target_bytes:
            return target_too_long(limits)
        if not path.startswith("/"):
            return InvalidRequest("The request target must be a path that starts with '/'.", code="invalid_target")
        return check_head(scope["http_version"], headers, limits, _target_of(scope))


def _target_of(scope: Scope) -> bytes:
    raw: bytes | None = scope.get("raw_path")
    return scope["path"].encode() if raw is None else raw


class _BoundedBody:
    """Counts a body as it is read, and answers 413 itself once it is too long."""

    __slots__ = ("_answered", "_left", "_limit_bytes", "_receive", "_send", "_started")

    def __init__(self, receive: Receive, send: Send, limit_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._limit_bytes = self._left = limit_bytes
        self._started = False
        self._answered = False

    async def receive(self) -> Message:
        if self._left < 0:
            return {"type": "http.disconnect"}
        message = await self._receive()
        body = message.get("body")
        if body:
            self._left -= len(body)
            if self._left < 0:
                await self._refuse()
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if not self._answered:
            self._started = True
            await self._send(message)

    async def _refuse(self) -> None:
        if not self._started:
            self._answered = True
            await send_error(self._send, body_too_large(self._limit_bytes))


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Decline the handshake: 403 from the server, or our envelope where it can carry one."""
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    status, headers, body = error_reply(
        InvalidRequest("No WebSocket is served here; send an HTTP request.", code="websocket_not_supported")
    )
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})

"""The bytes of a client connection: HTTP/1.1 requests in, with limits on how they are framed.

Rule: parsing only, and it is llhttp's, through httptools; what happens to a connection is in `connection`.
An exception raised in one of the parser's callbacks comes out of `_feed`; an `ApiError` there is the answer.

Source: RFC 9112, sections 2 to 7; RFC 9110, section 7.8 (a server may ignore Upgrade).
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn import Config
from uvicorn.server import ServerState as HostState

from chatproxy.errors import ApiError, InvalidRequest
from chatproxy.server.connection import Connection
from chatproxy.server.cycle import HIGH_WATER_BYTES, RequestCycle
from chatproxy.server.hosted import state_of
from chatproxy.surfaces.edge import (
    CHECKED_EXTENSION,
    DISCONNECT_EXTENSION,
    Scope,
    body_limit,
    body_too_large,
    check_head,
    headers_too_large,
    target_too_long,
)

_ASGI = {"version": "3.0", "spec_version": "2.3"}
_MOST_PIPELINED = 16
_MOST_HELD_BYTES = 65_536
_FRAMING_SLACK_BYTES = 65_536
_FRAMING_PER_BODY_BYTE = 8
_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings", b"connection"})


class GatewayProtocol(Connection):
    """An HTTP/1.1 server connection with limits and deadlines, in the form of uvicorn's ``http=`` protocols.

    Args:
        config: uvicorn's.
        server_state: what the server's connections share; of our own server a `ServerState`.
        app_state: what the application's lifespan left for its requests.
    """

    __slots__ = ("_expects_continue", "_headers", "_held", "_parser", "_target", "_wire_bytes")

    def __init__(
        self,
        config: Config,
        server_state: HostState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(state_of(config, server_state, app_state, _loop))
        self._parser: Any = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._expects_continue = False
        self._held = b""
        self._wire_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        super().connection_made(transport)
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; let go of the parser, which refers to this object."""
        self._parser = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless an answer is under way or the connection is on its way out."""
        if self.is_reading_over:
            self.discard(len(data))
        elif self.cycle is not None and self.incoming is None:
            self._held += data
            if len(self._held) > _MOST_HELD_BYTES:
                self.pause_reading()
        else:
            self._parse(data)

    def parse_held(self) -> None:
        """Parse what came while an answer was under way."""
        if self._held:
            held, self._held = self._held, b""
            self.resume_reading()
            self._parse(held)

    def _parse(self, data: bytes) -> None:
        state = self.state
        if self.incoming is not None:
            self._feed_body(data)
        elif self.head_bytes + len(data) > state.limits.max_header_bytes:
            self._feed_long(memoryview(data))
        else:
            self._feed(data)
        if self.is_reading_over:
            return
        if self.incoming is not None:
            self.deadline = state.now + self.body_wait_s
        elif self.cycle is not None:
            self.deadline = state.now + state.stall_check_s
        else:
            if self.served and not self.head_bytes:
                self.deadline = state.now + state.options.header_timeout_s
            self.head_bytes += len(data)

    def _feed_body(self, data: bytes) -> None:
        """Feed a body's next bytes; chunk headers and trailers may not outgrow what they carry."""
        cycle = self.incoming
        self._wire_bytes += len(data)
        self._feed(data)
        if cycle is not None and cycle is self.incoming:
            most = cycle.received * (1 + _FRAMING_PER_BODY_BYTE) + _FRAMING_SLACK_BYTES
            if self._wire_bytes > most:
                self.fail(InvalidRequest("The request's chunks have too much framing.", code="invalid_framing"))

    def _feed_long(self, data: memoryview) -> None:
        """Feed a head up to its limit, then see whether it was complete; what follows a head may be longer."""
        room = self.state.limits.max_header_bytes - self.head_bytes
        self._feed(data[:room])
        if self.is_reading_over:
            return
        if self.cycle is None:
            self.fail(headers_too_large(self.state.limits))
        else:
            self._feed(data[room:])

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._ignore_upgrade(bytes(data[exc.args[0] :]))
        except httptools.HttpParserCallbackError as exc:
            if not isinstance(exc.__context__, ApiError):
                raise
            self.fail(exc.__context__)
        except httptools.HttpParserError as exc:
            self.fail(InvalidRequest(f"The request is not proper HTTP/1.1: {exc}.", code="invalid_http"))

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1: parse the same head again without what asks for another protocol.

        llhttp reads no body after an upgrade, and clients that offer h2c on a POST (Java's) do send one.
        """
        head = [self._parser.get_method(), b" ", self._target, b" HTTP/1.1\r\n"]
        for name, value in self._headers:
            if name not in _UPGRADE_HEADERS:
                head += (name, b": ", value, b"\r\n")
            elif name == b"connection" and b"close" in value.lower():
                head.append(b"connection: close\r\n")
        self._parser = httptools.HttpRequestParser(self)
        self._feed(b"".join(head) + b"\r\n")
        if rest and not self.is_reading_over:
            self._feed(rest)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request starts."""
        if self._pipeline is not None and len(self._pipeline) >= _MOST_PIPELINED:
            raise InvalidRequest("Too many requests are pipelined.", code="too_many_requests")
        self._is_mid_head = True
        self._target = b""
        self._headers = []
        self._expects_continue = False

    def on_url(self, target: bytes) -> None:
        """More of the request target."""
        self._target += target
        if len(self._target) > self.state.limits.max_target_bytes:
            raise target_too_long(self.state.limits)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field, or a trailer field, which nobody gets to see."""
        if not self._is_mid_head:
            return
        name = name.lower()
        headers = self._headers
        headers.append((name, value))
        if len(headers) > self.state.limits.max_header_fields:
            raise headers_too_large(self.state.limits)
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True

    def on_headers_complete(self) -> None:
        """Check the head; then the application starts, or the request queues behind those before it."""
        parser = self._parser
        method: bytes = parser.get_method()
        version: str = parser.get_http_version()
        if parser.should_upgrade() and method != b"CONNECT":
            return
        error = self._check(method, version)
        if error is not None:
            raise error
        self._is_mid_head = False
        self.head_bytes = 0
        self._wire_bytes = 0
        cycle = self.incoming = RequestCycle(
            self,
            method=method,
            is_http10=version == "1.0",
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            expects_continue=self._expects_continue,
        )
        self.start(cycle, self._build_scope(method.decode("ascii"), version, cycle))

    def _check(self, method: bytes, version: str) -> ApiError | None:
        if version not in ("1.1", "1.0"):
            return ApiError("Only HTTP/1.1 is served here.", status=505, code="http_version_not_supported")
        if method == b"CONNECT":
            return ApiError(
                "CONNECT is not served here.", status=405, code="method_not_allowed", headers={"allow": "GET, POST"}
            )
        if not self._target.startswith(b"/") or b"#" in self._target:
            return InvalidRequest("The request target must be a path that starts with '/'.", code="invalid_target")
        return check_head(version, self._headers, self.state.limits, self._target)

    def _build_scope(self, method: str, version: str, cycle: RequestCycle) -> Scope:
        raw_path, _, query = self._target.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "method": method,
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self.state.app_state.copy(),
            "extensions": {DISCONNECT_EXTENSION: cycle, CHECKED_EXTENSION: self.state.limits},
        }

    def on_body(self, data: bytes) -> None:
        """More of a body."""
        cycle = self.incoming
        if cycle is None:
            return
        if cycle.received + len(data) > self.state.limits.max_body_bytes:
            limit = body_limit(self.state.limits, self._target)
            if cycle.received + len(data) > limit:
                raise body_too_large(limit)
        if cycle.add_body(data) > HIGH_WATER_BYTES:
            self.pause_reading()

    def on_message_complete(self) -> None:
        """The request is read in full."""
        if self.incoming is not None:
            self.incoming.end_body()
            self.incoming = None

"""One request and its answer: the ASGI `receive` and `send` of an HTTP/1.1 exchange.

Rule: no sockets and no parsing here; bytes of a body come from the protocol, bytes of an answer go to its transport.
The head of an answer waits for its first body message (ASGI says so), so that a small answer is one write; an empty
body message with ``more_body`` sends the head alone.
"""

from __future__ import annotations

import asyncio
import http
import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from chatproxy.errors import ApiError
from chatproxy.surfaces.edge import ASGIApp, Message, Scope

if TYPE_CHECKING:
    from chatproxy.server.protocol import GatewayProtocol

logger = logging.getLogger("chatproxy.server")

HIGH_WATER_BYTES = 65_536

_PLAIN, _LENGTH, _CODING, _CONNECTION, _DATE = range(5)
_KINDS = {b"content-length": _LENGTH, b"transfer-encoding": _CODING, b"connection": _CONNECTION, b"date": _DATE}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MOST_NAMES = 512
_names: dict[bytes, tuple[bytes, int]] = {}
_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in http.HTTPStatus
}
_NO_BODY = frozenset({204, 304})


def status_line(status: int) -> bytes:
    """The first line of an answer, for any three-digit status."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _admit_name(name: bytes) -> tuple[bytes, int]:
    """Check a header name not met before; keep what is needed to write it again."""
    if _TOKEN.fullmatch(name) is None:
        raise RuntimeError("an answer's header has a name that is not a token")
    lower = name.lower()
    entry = (lower + b": ", _KINDS.get(lower, _PLAIN))
    if len(_names) < _MOST_NAMES:
        _names[name] = entry
    return entry


class RequestCycle:
    """The two ASGI callables of a request, and the watch that tells when its client has left.

    The application finds this object in ``scope["extensions"]["chatproxy.disconnect"]`` and may use `disconnected`,
    `on_disconnect` and `remove`: no task and no `receive()` is needed to learn of a client's leaving. `abandon` breaks
    an answer off.
    """

    __slots__ = (
        "_callbacks",
        "_chunked",
        "_close",
        "_event",
        "_expects_continue",
        "_head",
        "_is_head",
        "_is_http10",
        "_left",
        "_protocol",
        "_read_end",
        "body",
        "complete",
        "disconnected",
        "keep_alive",
        "more_body",
        "received",
        "started",
        "task",
    )

    def __init__(
        self, protocol: GatewayProtocol, *, method: bytes, is_http10: bool, keep_alive: bool, expects_continue: bool
    ) -> None:
        self._protocol = protocol
        self._is_head = method == b"HEAD"
        self._is_http10 = is_http10
        self._expects_continue = expects_continue
        self._callbacks: list[Callable[[], object]] | None = None
        self._event: asyncio.Event | None = None
        self._head = b""
        self._left: int | None = None
        self._chunked = False
        self._close = False
        self._read_end = False
        self.keep_alive = keep_alive
        self.body: bytes | bytearray = b""
        self.received = 0
        self.more_body = True
        self.started = False
        self.complete = False
        self.disconnected = False
        self.task: asyncio.Task[None] | None = None

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run the application on this request; whatever it does, the client gets an end."""
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._protocol.abort()
            raise
        except Exception:
            if not self.disconnected:
                logger.exception("the application failed on %s %s", scope["method"], scope["path"])
            self._end_unfinished()
        else:
            if not self.complete and not self.disconnected:
                logger.error("the application left %s %s without an end", scope["method"], scope["path"])
                self._end_unfinished()
        finally:
            if self.task is not None:
                self._protocol.state.tasks.discard(self.task)
                self.task = None

    def _end_unfinished(self) -> None:
        if self.complete or self.disconnected:
            return
        if self.started and not self._head:
            self._protocol.close()
        else:
            self.refuse(ApiError("The server had an error.", code="internal_error"))

    def refuse(self, error: ApiError) -> None:
        """Answer `error` in the application's place and close; only before any byte of an answer is out."""
        self.lose()
        self._protocol.refuse(error)

    @property
    def unsent(self) -> bool:
        """Whether no byte of an answer is out yet."""
        return not self.started or bool(self._head)

    def add_body(self, data: bytes) -> int:
        """Take more of the request's body; returns how much waits to be received."""
        self.received += len(data)
        if not self.body:
            self.body = data
        else:
            if isinstance(self.body, bytes):
                self.body = bytearray(self.body)
            self.body += data
        self._wake()
        return len(self.body)

    def end_body(self) -> None:
        """The request's body is complete."""
        self.more_body = False
        self._wake()

    def lose(self) -> None:
        """The client has left, or will get no answer from the application; tell those who watch."""
        if self.disconnected or self.complete:
            return
        self.disconnected = True
        self._wake()
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            self._protocol.state.loop.call_soon(callback)

    def on_disconnect(self, callback: Callable[[], object]) -> None:
        """Have `callback` called on the event loop, once, if the client leaves before the answer's end."""
        if self.disconnected:
            self._protocol.state.loop.call_soon(callback)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def remove(self, callback: Callable[[], object]) -> None:
        """Forget a callback given to `on_disconnect`; nothing happens if it is not there."""
        if self._callbacks is not None and callback in self._callbacks:
            self._callbacks.remove(callback)

    def abandon(self) -> None:
        """Break off an answer that cannot be finished, by a reset, so that no client takes the part for the whole."""
        self._callbacks = None
        self._protocol.reset()

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()

    async def receive(self) -> Message:
        """ASGI receive: the body as it comes, then ``http.disconnect`` once the client leaves or has its answer."""
        while not self.disconnected and not self.complete:
            if self.body or not (self.more_body or self._read_end):
                body, self.body = self.body, b""
                self._read_end = not self.more_body
                self._protocol.resume_reading()
                return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}
            if self._expects_continue:
                self._expects_continue = False
                if not self.started:
                    self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if self._event is None:
                self._event = asyncio.Event()
            self._event.clear()
            await self._event.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI send; waits while the client is more than 64 KiB behind; silent once the client has left."""
        protocol = self._protocol
        if protocol.write_paused and not self.disconnected:
            await protocol.wait_writable()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.started and not self.complete:
            self._write_body(message.get("body", b""), more_body=message.get("more_body", False))
        elif kind == "http.response.start" and not self.started:
            self._head = self._build_head(message["status"], message.get("headers", ()))
            self.started = True
        else:
            raise RuntimeError(f"the application sent {kind!r} out of turn")

    def _build_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        parts = [status_line(status)]
        self._close = self._protocol.closes_after(self)
        dated = closing = False
        for name, value in headers:
            prefix, kind = _names.get(name) or _admit_name(name)
            if kind != _PLAIN:
                if kind == _LENGTH:
                    self._left = int(value)
                elif kind == _CODING:
                    continue
                elif kind == _DATE:
                    dated = True
                elif b"close" in value.lower():
                    self._close = closing = True
                else:
                    continue
            parts.append(b"%b%b\r\n" % (prefix, value))
        if not dated:
            parts.append(self._protocol.state.date)
        self._frame(status, parts)
        if self._close and not closing:
            parts.append(b"connection: close\r\n")
        head = b"".join(parts)
        lines = len(parts)
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise RuntimeError("an answer's header has a line break or NUL in it")
        return head + b"\r\n"

    def _frame(self, status: int, parts: list[bytes]) -> None:
        """Choose how the end of the answer will show: nothing to show, Content-Length, chunks, or closing."""
        if self._is_head or status in _NO_BODY:
            self._is_head = True
        elif self._left is None:
            if self._is_http10:
                self._close = True
            else:
                self._chunked = True
                parts.append(b"transfer-encoding: chunked\r\n")

    def _write_body(self, body: bytes, *, more_body: bool) -> None:
        if self._is_head:
            body = b""
        elif self._chunked:
            body = _chunk(body, more_body=more_body)
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more_body):
                raise RuntimeError("the answer's body differs from its Content-Length")
        transport = self._protocol.transport
        head = self._head
        if head:
            self._head = b""
            if len(body) > HIGH_WATER_BYTES:
                transport.write(head)
            else:
                body = head + body
        if body:
            transport.write(body)
        if not more_body:
            self.complete = True
            self._callbacks = None
            self._wake()
            self._protocol.on_answered(self, close=self._close)


def _chunk(body: bytes, *, more_body: bool) -> bytes:
    if more_body:
        return b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"

"""One HTTP/1.1 connection to a server, carrying one exchange at a time.

Rule: bytes that come while no exchange is on are never parsed, the connection is closed; what is not read yet is
bounded; cancelling whoever waits closes the socket, which is what tells a server that nobody waits any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools
import httpx2

MAX_HEAD_BYTES = 64 << 10
MAX_UNREAD_BYTES = 256 << 10
LINGER_S = 1.0
_NO_BODY = frozenset({204, 304})
_INTERIM = 200

Pairs = list[tuple[bytes, bytes]]


class Wire(asyncio.Protocol):
    """Belongs to its `Pool` while idle, to one exchange else.

    Attributes:
        is_open: no one has closed it yet.
        pairs: the reply's headers.
        status: the reply's; 0 until it came.
    """

    def __init__(self, release: Callable[[Wire], None], lost: Callable[[Wire], None]) -> None:
        self.is_open = False
        self.status = 0
        self.pairs: Pairs = []
        self.idle_timer: asyncio.TimerHandle | None = None
        self._release = release
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._chunks: deque[bytes] = deque()
        self._unread = self._head_bytes = 0
        self._has_head = self._is_done = self._is_paused = self._keeps_alive = False
        self._has_length = self._has_junk = False
        self._linger: asyncio.TimerHandle | None = None
        self._error: httpx2.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # What the pool and the exchange call.

    def start(self, data: bytes) -> None:
        """Send a request."""
        self._parser = httptools.HttpResponseParser(self)
        self._chunks.clear()
        self.status, self.pairs = 0, []
        self._unread = self._head_bytes = 0
        self._has_head = self._is_done = self._keeps_alive = self._has_length = False
        cast("asyncio.Transport", self._transport).write(data)

    async def head(self) -> None:
        """Wait for the reply's head.

        Raises:
            httpx2.TransportError: none will come.
        """
        try:
            while not self._has_head:
                await self._change()
        except BaseException:
            self.close()
            raise

    async def read(self) -> bytes:
        """Give what came of the body; nothing: it is over.

        Raises:
            httpx2.TransportError: it was cut off.
        """
        while not self._chunks:
            if self._is_done:
                return b""
            try:
                await self._change()
            except BaseException:
                self.close()
                raise
        data = b"".join(self._chunks) if len(self._chunks) > 1 else self._chunks[0]
        self._chunks.clear()
        self._unread = 0
        self._go_on()
        return data

    def finish(self) -> None:
        """End the exchange: back to the pool, or closed.

        The SDK stops reading a stream of events at the answer, just before its end: that is waited for a moment.
        """
        if not self.is_open or self._error is not None or not self._has_head:
            self.close()
        elif self._is_done:
            self._part()
        else:
            self._chunks.clear()
            self._go_on()
            self._linger = self._loop.call_later(LINGER_S, self.close)

    def _part(self) -> None:
        """Go back to the pool, if the reply allows it."""
        self._chunks.clear()
        self._go_on()
        self._parser = None
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._keeps_alive and self.is_open and not self._has_junk:
            self._release(self)
        else:
            self.close()

    def close(self, error: httpx2.TransportError | None = None) -> None:
        """Close the socket now; who still reads gets the error. Further calls do nothing."""
        if self._error is None:
            self._error = error or httpx2.ReadError("the connection was closed")
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._transport is not None:
            self._transport.abort()
        self._gone()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open socket."""
        self._transport = cast("asyncio.Transport", transport)
        if self._error is not None:
            self._transport.abort()
        else:
            self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Parse what came and wake who waits for it."""
        parser = self._parser
        if parser is None or self._is_done:
            self.close()
            return
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(httpx2.RemoteProtocolError("the server's reply is not HTTP/1.1"))
            return
        self._parsed()

    def _parsed(self) -> None:
        if not self._has_head and self._head_bytes > MAX_HEAD_BYTES:
            self._fail(httpx2.RemoteProtocolError(f"the head of the server's reply is over {MAX_HEAD_BYTES} bytes"))
            return
        if self._linger is not None:
            if self._is_done:
                self._part()
            elif self._chunks:
                self.close()
            return
        if self._unread > MAX_UNREAD_BYTES and not self._is_paused and not self._is_done:
            self._is_paused = True
            cast("asyncio.Transport", self._transport).pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """End a body that only the connection's end delimits; anything else is cut off."""
        if self._parser is not None and not self._is_done:
            if self._has_head and not self._has_length:
                self._is_done = True
            else:
                self._error = self._error or httpx2.ReadError("the server closed the connection before its reply ended")
        self._keeps_alive = False
        self._gone()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a reset; an orderly end was seen before."""
        if exc is None and self._error is None:
            self.eof_received()
            return
        self._error = self._error or httpx2.ReadError("the connection to the server broke")
        self._gone()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, names in small letters; not what comes after the body, or after the end."""
        if self._has_head:
            return
        lower = name.lower()
        self._has_length = self._has_length or lower in {b"content-length", b"transfer-encoding"}
        self.pairs.append((lower, value))

    def on_headers_complete(self) -> None:
        """Note the head, unless it is an interim one (100, 103)."""
        if self._has_head:
            self._has_junk = True
            return
        parser = cast("httptools.HttpResponseParser", self._parser)
        status = parser.get_status_code()
        if status < _INTERIM:
            self.pairs = []
            self._has_length = False
            return
        self.status = status
        self._has_length = self._has_length or status in _NO_BODY
        self._keeps_alive = parser.should_keep_alive()
        self._has_head = True

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body until it is read."""
        if self._is_done:
            return
        self._chunks.append(data)
        self._unread += len(data)

    def on_message_complete(self) -> None:
        """Note the reply's end; `should_keep_alive` is only right in here."""
        if self._has_head and not self._is_done:
            self._is_done = True
            self._keeps_alive = cast("httptools.HttpResponseParser", self._parser).should_keep_alive()

    # Inside.

    async def _change(self) -> None:
        """Wait for anything to happen."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _go_on(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if self.is_open:
                cast("asyncio.Transport", self._transport).resume_reading()

    def _fail(self, error: httpx2.TransportError) -> None:
        self._chunks.clear()
        self.close(error)

    def _gone(self) -> None:
        if self.is_open:
            self.is_open = False
            self._lost(self)
        self._wake()

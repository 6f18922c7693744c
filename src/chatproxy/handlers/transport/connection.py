"""One HTTP/1.1 connection to an upstream: the asyncio protocol that carries one exchange at a time.

States: idle in the pool (no stream), carrying an exchange (one stream), or gone. Rules:

- Bytes that come while no exchange is on are never parsed: the connection is closed. So nothing that an upstream
  sends after a reply can become part of the next one.
- A connection goes back to the pool only after a complete reply that allows it, with the request fully sent.
- Whatever ends an exchange (its end, a fault, a deadline, a cancellation) first cuts the stream off, and is
  synchronous, so a second cancellation finds nothing left to do.
- One timer, for the deadline of whatever is being waited for. Bytes do not re-arm it and the end of an exchange does
  not cancel it: when it fires it looks at the clock, and sleeps on if something happened meanwhile.
"""

import asyncio
from typing import Protocol, cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade

from chatproxy.handlers.transport.reply import MAX_HEAD_BYTES, ReplyReader
from chatproxy.handlers.transport.request import Timeouts
from chatproxy.handlers.transport.response import ResponseStream
from chatproxy.handlers.transport.wire import Origin

MAX_UNREAD_BYTES = 64 * 1024
_TIMER_SLACK_S = 0.001


class Owner(Protocol):
    """The pool as a connection sees it."""

    def release(self, connection: "Connection") -> None:
        """Take back a connection that can carry another exchange."""

    def discard(self, connection: "Connection") -> None:
        """Forget a connection that is closed or closing; called once."""


class Connection(asyncio.Protocol):
    """Belongs to its owner from before it is open until it is closed."""

    __slots__ = (
        "_is_gone",
        "_is_paused",
        "_is_uploading",
        "_last_event_at",
        "_limit_s",
        "_loop",
        "_owner",
        "_reader",
        "_stream",
        "_timeouts",
        "_timer",
        "_timer_at",
        "_transport",
        "_unsent",
        "_waiter",
        "fd",
        "idle_since",
        "origin",
    )

    def __init__(self, owner: Owner, origin: Origin, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self.fd = -1
        self.idle_since = 0.0
        self._owner = owner
        self._loop = loop
        self._reader = ReplyReader()
        self._transport: asyncio.Transport | None = None
        self._stream: ResponseStream | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timeouts: Timeouts = {}
        self._limit_s: float | None = None
        self._last_event_at = self._timer_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._is_gone = self._is_paused = self._is_uploading = False

    @property
    def is_new(self) -> bool:
        """True until the connection was opened or given up."""
        return self._transport is None and not self._is_gone

    @property
    def is_open(self) -> bool:
        """False once the connection is closed, closing, or known to be dead."""
        return not self._is_gone and self._transport is not None and not self._transport.is_closing()

    # What the HTTP transport calls.

    def begin(self, data: bytes, timeouts: Timeouts, *, is_bodiless: bool, is_upload: bool) -> ResponseStream:
        """Start an exchange.

        Args:
            data: the request's head, with the body where that is in memory.
            timeouts: its limits, see ``lean_request``.
            is_bodiless: the reply has no body (to HEAD).
            is_upload: the body follows through ``send``, until ``end_upload``.
        """
        reader = self._reader
        reader.start(is_bodiless=is_bodiless)
        self._stream = stream = ResponseStream(self, reader.chunks)
        self._timeouts = timeouts
        self._is_uploading = is_upload
        self._last_event_at = self._loop.time()
        self._watch(None if is_upload else self._first_byte_s())
        cast("asyncio.Transport", self._transport).write(data)
        return stream

    async def send(self, stream: ResponseStream, data: bytes) -> bool:
        """Send a part of a body and wait until it is out; False once the reply or a fault made the rest pointless."""
        if self._stream is not stream or self._reader.has_head:
            return False
        cast("asyncio.Transport", self._transport).write(data)
        while self._unsent and self._stream is stream and not self._reader.has_head:
            await self.wait()
        return self._stream is stream and not self._reader.has_head

    def end_upload(self, stream: ResponseStream) -> None:
        """Note that the whole body was handed over; from now on the upstream's clock runs."""
        if self._stream is stream and not self._reader.has_head:
            self._is_uploading = False
            self._restart_clock(self._first_byte_s())

    # What the stream calls.

    def wait(self) -> asyncio.Future[None]:
        """Give a future for the next change of the current exchange."""
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def describe(self, stream: ResponseStream) -> None:
        """Fill in status and headers if the head has come; from then on the read deadline counts."""
        reader = self._reader
        if reader.has_head:
            stream.status, stream.pairs = reader.status, reader.pairs
            self._watch(self._timeouts.get("read"))

    def taken(self) -> None:
        """Read on, where reading was paused because too much was waiting."""
        self._reader.unread = 0
        if self._is_paused:
            self._is_paused = False
            cast("asyncio.Transport", self._transport).resume_reading()
            self._restart_clock(self._timeouts.get("read"))

    def abort(self, error: Exception | None = None) -> None:
        """Close the socket now, whatever is going on; who still reads gets the error. Further calls do nothing."""
        self._cut(error or httpx.StreamClosed())
        self._leave()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open socket, unless the connection was given up or lost meanwhile."""
        self._transport = opened = cast("asyncio.Transport", transport)
        if self._is_gone or opened.is_closing():
            opened.abort()
            return
        opened.set_write_buffer_limits(high=1, low=0)
        self.fd = opened.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        """Parse what came and wake who waits for it."""
        reader = self._reader
        if self._stream is None:
            self._leave()
            return
        self._last_event_at = self._loop.time()
        reader.unread += len(data)
        try:
            reader.feed(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            self._parsed_badly(exc)
            return
        if reader.is_complete:
            self._finish()
        elif reader.unread > MAX_UNREAD_BYTES:
            self._brake()
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def eof_received(self) -> None:
        """End the exchange: well for a body that only the connection's end delimits, as a fault otherwise."""
        reader = self._reader
        if self._stream is not None:
            if reader.ends_with_connection():
                self._cut(None)
            elif reader.has_head:
                self._cut(httpx.RemoteProtocolError("the upstream closed the connection in the middle of a body"))
            elif reader.unread:
                self._cut(httpx.RemoteProtocolError("the upstream closed the connection in the middle of a head"))
            else:
                self._cut(httpx.RemoteProtocolError("the upstream closed the connection without a reply"))
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a reset; everything else was said before."""
        if self._stream is not None:
            if exc is None:
                self.eof_received()
            elif self._unsent:
                self._cut(httpx.WriteError(f"the connection broke while the request was sent: {exc}"))
            else:
                self._cut(httpx.ReadError(f"the connection to the upstream broke: {exc}"))
        self._leave()
        self._reader.release()

    def pause_writing(self) -> None:
        """The kernel takes no more for now: the write deadline runs."""
        self._unsent = cast("asyncio.Transport", self._transport).get_write_buffer_size()
        self._restart_clock(self._timeouts.get("write"))

    def resume_writing(self) -> None:
        """Everything handed over so far is out."""
        self._unsent = 0
        if self._reader.has_head:
            self._restart_clock(self._timeouts.get("read"))
        else:
            self._restart_clock(None if self._is_uploading else self._first_byte_s())
        self._wake()

    # The end of an exchange.

    def _finish(self) -> None:
        can_go_on = self._reader.keep_alive and not self._is_uploading and not self._unsent
        self._cut(None)
        if can_go_on and self.is_open:
            self.idle_since = self._last_event_at
            self._owner.release(self)
        else:
            self._leave()

    def _cut(self, error: Exception | None) -> None:
        """Part the stream from this connection, and wake whoever waits on it."""
        stream, reader = self._stream, self._reader
        if stream is None:
            return
        self._stream = None
        if reader.has_head:
            stream.status, stream.pairs = reader.status, reader.pairs
        stream.detach(error)
        reader.chunks.clear()
        self._wake()

    def _leave(self) -> None:
        """Close the socket and leave the pool."""
        if self._is_gone:
            return
        self._is_gone = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._owner.discard(self)

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _parsed_badly(self, error: Exception) -> None:
        reader = self._reader
        self._cut(None if reader.is_complete else httpx.RemoteProtocolError(reader.explain(error)))
        self._leave()

    def _brake(self) -> None:
        """Stop reading while much is unread; refuse bytes that never become a head or a body."""
        reader = self._reader
        if not reader.has_head or not reader.chunks:
            what = "a body" if reader.has_head else "the end of its headers"
            self._cut(httpx.RemoteProtocolError(f"the upstream sent {MAX_HEAD_BYTES} bytes without {what}"))
            self._leave()
        elif not self._is_paused:
            self._is_paused = True
            cast("asyncio.Transport", self._transport).pause_reading()

    # The deadline.

    def _first_byte_s(self) -> float | None:
        timeouts = self._timeouts
        return timeouts["first_byte"] if "first_byte" in timeouts else timeouts.get("read")

    def _restart_clock(self, limit_s: float | None) -> None:
        self._last_event_at = self._loop.time()
        self._watch(limit_s)

    def _watch(self, limit_s: float | None) -> None:
        """Let the limit count from the last event; an armed timer that fires early enough is left alone."""
        self._limit_s = limit_s
        if limit_s is None or self._is_gone:
            return
        due = self._last_event_at + limit_s
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(limit_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._stream is None or self._limit_s is None or self._is_paused:
            return
        left = self._last_event_at + self._limit_s - self._loop.time()
        if left > _TIMER_SLACK_S:
            self._timer_at = self._loop.time() + left
            self._timer = self._loop.call_later(left, self._on_timer)
        elif not self._unsent:
            self._expire(httpx.ReadTimeout(f"no byte came from the upstream for {self._limit_s} s"))
        elif self._has_sent_more():
            self._restart_clock(self._limit_s)
        else:
            self._expire(httpx.WriteTimeout(f"the upstream took no byte of the request for {self._limit_s} s"))

    def _has_sent_more(self) -> bool:
        before = self._unsent
        self._unsent = cast("asyncio.Transport", self._transport).get_write_buffer_size()
        return self._unsent < before

    def _expire(self, error: httpx.TimeoutException) -> None:
        self._cut(error)
        self._leave()

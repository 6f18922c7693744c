"""One client connection, without its parsing: who is answered, when it ends, and how.

Rule: everything that decides whether a connection lives is here. A connection is in one of these states:

idle or in a head   `cycle` is None; `head_bytes` counts what came of a head that is not complete
body                `incoming` is the request whose body is being read (its answer may already be under way)
reply               `cycle` is the request being answered, and its body is complete
lingering           refused or answered early: our side is shut, what still comes is thrown away for a moment
closing             the transport is closing and may still have bytes to flush

Source: RFC 9112, section 9.3 (persistence) and 9.6 (tear-down).
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections import deque
from typing import cast

from chatproxy.errors import ApiError
from chatproxy.server.cycle import RequestCycle, status_line
from chatproxy.server.resources import has_hung_up, reset_on_close, unsent_bytes
from chatproxy.server.state import ServerState
from chatproxy.surfaces.edge import Scope, error_reply

logger = logging.getLogger("chatproxy.server")

_MOST_LINGER_BYTES = 65_536
_LINGER_S = 1.0
_HANG_UP_CHECK_S = 0.4


class Connection(asyncio.Protocol):
    """The life of a connection of `state`. `deadline` says when the state's clock has to look at it."""

    __slots__ = (
        "_client",
        "_is_last",
        "_is_lingering",
        "_is_mid_head",
        "_is_reading_paused",
        "_linger_left",
        "_pending_bytes",
        "_pipeline",
        "_server",
        "_stalled_at",
        "_writable",
        "cycle",
        "deadline",
        "head_bytes",
        "incoming",
        "served",
        "state",
        "transport",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.cycle: RequestCycle | None = None
        self.incoming: RequestCycle | None = None
        self.deadline = float("inf")
        self.head_bytes = 0
        self.served = 0
        self.write_paused = False
        self._is_last = False
        self._is_lingering = False
        self._is_mid_head = False
        self._is_reading_paused = False
        self._linger_left = 0
        self._pipeline: deque[tuple[RequestCycle, Scope]] | None = None
        self._writable: list[asyncio.Future[None]] | None = None
        self._pending_bytes = 0
        self._stalled_at = 0.0

    @abstractmethod
    def parse_held(self) -> None:
        """Parse what came while an answer was under way."""

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the header deadline at once: a connection that says nothing is closed by it."""
        self.transport = cast("asyncio.Transport", transport)
        self.state.enter(self)
        server, client = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        self._server = tuple(server[:2]) if isinstance(server, tuple) else None
        self._client = tuple(client[:2]) if isinstance(client, tuple) else None
        self.deadline = self.state.now + self.state.options.header_timeout_s

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits on this connection."""
        self.state.leave(self)
        self.incoming = self._pipeline = None
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            cycle.lose()
        self.resume_writing()

    def eof_received(self) -> None:
        """A client that shuts its side while an answer is due counts as gone; else flush and close."""
        if self.cycle is not None:
            self.abort()

    def pause_writing(self) -> None:
        """The client is more than the transport's high-water mark (64 KiB) behind; it is judged from now on."""
        self.write_paused = True
        self._pending_bytes = 0

    def resume_writing(self) -> None:
        """The client caught up, or is gone."""
        self.write_paused = False
        waiters, self._writable = self._writable, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    async def wait_writable(self) -> None:
        """Wait until the client caught up, or is gone."""
        waiter = self.state.loop.create_future()
        if self._writable is None:
            self._writable = []
        self._writable.append(waiter)
        await waiter

    def pause_reading(self) -> None:
        """Read no more for now; nobody has room for it."""
        if not self._is_reading_paused:
            self._is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take up reading after a pause."""
        if self._is_reading_paused:
            self._is_reading_paused = False
            self.transport.resume_reading()
            if self.incoming is not None:
                self.deadline = self.state.now + self.body_wait_s

    @property
    def body_wait_s(self) -> float:
        """Until the reading of a body has to be looked at: while it is paused, a client's leaving does not show."""
        return _HANG_UP_CHECK_S if self._is_reading_paused else self.state.options.body_timeout_s

    # Answers.

    def start(self, cycle: RequestCycle, scope: Scope) -> None:
        """Let the application answer a request; those that came later wait for it."""
        if self.cycle is None:
            self.cycle = cycle
            task = cycle.task = self.state.loop.create_task(cycle.run(self.state.app, scope))
            self.state.tasks.add(task)
        elif self._pipeline is None:
            self._pipeline = deque(((cycle, scope),))
        else:
            self._pipeline.append((cycle, scope))

    def closes_after(self, cycle: RequestCycle) -> bool:
        """Whether the connection ends with this answer, so that the answer says so."""
        if not cycle.keep_alive or self.incoming is cycle or self.state.draining:
            return True
        return self._is_last and not self._pipeline

    def on_answered(self, cycle: RequestCycle, *, close: bool) -> None:
        """The last byte of an answer is written: next request, or wait for one, or close."""
        self.cycle = None
        self.served += 1
        if self.transport.is_closing():
            return
        if close or (self.closes_after(cycle) and not self._may_bring_more(cycle)):
            self._pipeline = None
            if self.incoming is cycle:
                self._linger(self.state.limits.max_body_bytes)
            else:
                self.close()
        elif self._pipeline:
            self.start(*self._pipeline.popleft())
            self.deadline = self.state.now + self.state.stall_check_s
        else:
            self.deadline = self.state.now + self._idle_limit_s()
            if self.state.draining:
                self.deadline = self.state.loop.time() + self.state.options.drain_idle_grace_s
            self.parse_held()

    def _may_bring_more(self, cycle: RequestCycle) -> bool:
        """Whether an answer whose head was out before the drain has promised to keep the connection."""
        return self.state.draining and cycle.keep_alive and self.incoming is not cycle and not self._is_last

    def _idle_limit_s(self) -> float:
        if self.write_paused:
            return self.state.stall_check_s
        options = self.state.options
        return options.header_timeout_s if self._is_mid_head else options.keep_alive_timeout_s

    def fail(self, error: ApiError) -> None:
        """Refuse what is being read; the bytes after it are not a request."""
        cycle = self.cycle
        if cycle is None:
            self.refuse(error)
        elif cycle is not self.incoming:
            self._is_last = True
            self.incoming = None
        elif cycle.unsent:
            cycle.refuse(error)
        else:
            self.abort()

    def refuse(self, error: ApiError) -> None:
        """Answer `error` outside the application, and close."""
        self.cycle = self.incoming = self._pipeline = None
        if self.transport.is_closing():
            return
        logger.debug("refused %s: %s", self._client, error.message)
        status, headers, body = error_reply(error)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"%b%b%b\r\n%b" % (status_line(status), lines, self.state.date, body))
        self._linger(_MOST_LINGER_BYTES)

    # The end.

    @property
    def is_reading_over(self) -> bool:
        """Whether what still comes is thrown away."""
        return self._is_last or self._is_lingering or self.transport.is_closing()

    def _linger(self, most_bytes: int) -> None:
        """Shut our side and read a little on: closing at once would reset the connection under the answer."""
        self.incoming = None
        self._is_lingering = True
        self._linger_left = most_bytes
        self.deadline = self.state.now + max(_LINGER_S, 2 * self.state.tick_s)
        self.resume_reading()
        if self.transport.can_write_eof():  # not over TLS
            self.transport.write_eof()

    def discard(self, size_bytes: int) -> None:
        """Throw away what came after the last request; too much of it ends the lingering."""
        self._linger_left -= size_bytes
        if self._is_lingering and self._linger_left < 0:
            self.close()

    def close(self) -> None:
        """Flush what is written, then close."""
        self._is_lingering = False
        self._is_last = True
        self.deadline = self.state.now + self.state.stall_check_s
        self.transport.close()

    def abort(self) -> None:
        """Drop the connection and what is not flushed."""
        if self.cycle is not None:
            self.cycle.lose()
        self.transport.abort()

    def reset(self) -> None:
        """Drop the connection by a reset, not by a proper end."""
        reset_on_close(self.transport.get_extra_info("socket"))
        self.abort()

    def shutdown(self) -> None:
        """Stop after the answer under way; an idle connection goes when the grace is over. The server calls it."""
        self.state.draining = True
        if self.cycle is None and not self._is_lingering and not self.head_bytes:
            self.deadline = min(self.deadline, self.state.now + self.state.options.drain_idle_grace_s)

    # Deadlines, called by the state's clock.

    def on_deadline(self, now: float) -> None:
        """Close a connection that is idle, late or stuck; else say when to look again."""
        was_pending = self._pending_bytes > 0
        if self._is_lingering:
            self.close()
        elif self._is_stalled(now):
            self.abort()
        elif self.transport.is_closing() or self._pending_bytes:
            self.deadline = now + self.state.stall_check_s
        elif was_pending:
            self.deadline = now + self.state.options.keep_alive_timeout_s
        elif self.incoming is not None:
            self._look_at_body(now)
        elif self.cycle is not None:
            self.deadline = now + self.state.stall_check_s
        elif self.head_bytes or self._is_mid_head:
            self.refuse(_too_slow("headers", self.state.options.header_timeout_s))
        else:
            self.close()

    def _look_at_body(self, now: float) -> None:
        """Refuse a body that comes too slowly; while nobody has room for it, see whether its client is still there."""
        if not self._is_reading_paused:
            self.fail(_too_slow("body", self.state.options.body_timeout_s))
        elif has_hung_up(self.transport.get_extra_info("socket")):
            self.abort()
        else:
            self.deadline = now + self.body_wait_s

    def _is_stalled(self, now: float) -> bool:
        """Whether bytes wait here for the client and it took none for the write deadline.

        Bytes in the system's send buffer count as not taken until the client's side acknowledges them: the transport
        gets room only in large steps, which a slow but steady reader does not fill in time. While an answer is
        written and the transport's mark is not reached the amount may grow, so that is not judged.
        """
        pending = self.transport.get_write_buffer_size()
        if not pending or (self.cycle is not None and not self.write_paused):
            self._pending_bytes = 0
            return False
        pending += unsent_bytes(self.transport.get_extra_info("socket"))
        if not self._pending_bytes or pending < self._pending_bytes:
            self._stalled_at = now
        self._pending_bytes = pending
        return now - self._stalled_at >= self.state.options.write_timeout_s


def _too_slow(part: str, timeout_s: float) -> ApiError:
    return ApiError(f"No more of the request's {part} came within {timeout_s:g} s.", status=408, code="request_timeout")

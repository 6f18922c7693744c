"""Which connections exist, which are idle, and who waits for one.

Rules: the connection used last is used first; nothing is polled: an idle connection that sees EOF or an error leaves
by itself, and one lazy timer closes what has been idle for too long. Every connection holds one slot from before it is
opened until ``discard``; a freed slot goes straight to the first waiter, so nobody overtakes. While somebody waits,
nothing is idle.
"""

import asyncio
import select
from collections import OrderedDict
from typing import NamedTuple

import httpx

from chatproxy.handlers.transport.connection import Connection
from chatproxy.handlers.transport.wire import Origin

_MIN_SWEEP_S = 0.5


class PoolStats(NamedTuple):
    """Counts at one moment; ``open`` includes connections that are idle or still being opened."""

    open: int
    idle: int
    waiting: int


class Pool:
    """The connections of one transport, on one event loop."""

    __slots__ = (
        "_all",
        "_idle",
        "_idle_expiry_s",
        "_is_closed",
        "_max_connections",
        "_max_idle_per_origin",
        "_poll",
        "_sweeper",
        "_waiters",
    )

    def __init__(self, *, max_connections: int | None, max_idle_per_origin: int, idle_expiry_s: float) -> None:
        self._max_connections = max_connections
        self._max_idle_per_origin = max_idle_per_origin
        self._idle_expiry_s = idle_expiry_s
        self._all: set[Connection] = set()
        self._idle: dict[Origin, dict[Connection, None]] = {}
        self._waiters: OrderedDict[asyncio.Future[Connection], Origin] = OrderedDict()
        self._sweeper: asyncio.TimerHandle | None = None
        self._poll = select.poll()
        self._is_closed = False

    def stats(self) -> PoolStats:
        """Count what there is now."""
        return PoolStats(open=len(self._all), idle=sum(map(len, self._idle.values())), waiting=len(self._waiters))

    def take(self, origin: Origin) -> Connection | None:
        """Take the idle connection that was used last and is still good, if there is one.

        What can be known of a kept connection before a request is written to it: that the event loop saw its end (then
        it has left the pool), or that the kernel holds an end, or bytes nobody asked for, which the loop has not read
        yet (one ``poll`` call tells). Such a connection is passed over here, with nothing sent. An upstream that
        closes later was sent a request and may have acted on it: that is an error, never a second try.
        """
        idle = self._idle.get(origin)
        while idle:
            connection, _ = idle.popitem()
            if self._is_good(connection):
                return connection
            connection.abort()
        return None

    async def reserve(self, origin: Origin, timeout_s: float | None) -> Connection:
        """Get a connection that is still to be opened or, after a wait, one that has just become free.

        Raises:
            httpx.PoolTimeout: no slot became free in time.
            httpx.ConnectError: the transport is closed.
        """
        if self._is_closed:
            raise httpx.ConnectError("the transport is closed")
        while self._waiters or not (self._has_room() or self._evict()):
            connection = await self._queue(origin, timeout_s)
            if connection.is_new or self._is_good(connection):
                return connection
            if connection in self._all:
                return self._replace(connection)
        return self._new(origin)

    def release(self, connection: Connection) -> None:
        """Keep a connection for the next exchange, or hand it to whoever waits for one like it."""
        waiter = self._next_waiter() if self._waiters else None
        if waiter is not None:
            if self._waiters[waiter] == connection.origin:
                del self._waiters[waiter]
                waiter.set_result(connection)
            else:
                connection.abort()
            return
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = {}
        if self._is_closed or len(idle) >= self._max_idle_per_origin:
            connection.abort()
            return
        idle[connection] = None
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_expiry_s, self._sweep)

    def discard(self, connection: Connection) -> None:
        """Forget a closed connection; its slot goes to the first waiter."""
        self._all.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle is not None:
            idle.pop(connection, None)
        waiter = self._next_waiter()
        if waiter is not None and self._has_room():
            waiter.set_result(self._new(self._waiters.pop(waiter)))

    def _next_waiter(self) -> asyncio.Future[Connection] | None:
        """Find the first who still waits; one that was cancelled may not have had its turn to leave."""
        while self._waiters:
            waiter = next(iter(self._waiters))
            if not waiter.done():
                return waiter
            del self._waiters[waiter]
        return None

    def close(self) -> None:
        """Close every connection and turn every waiter away."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._waiters:
            waiter, _ = self._waiters.popitem()
            if not waiter.done():
                waiter.set_exception(httpx.ConnectError("the transport is closed"))
        for connection in tuple(self._all):
            connection.abort(httpx.ReadError("the transport was closed"))

    def _new(self, origin: Origin) -> Connection:
        connection = Connection(self, origin, asyncio.get_running_loop())
        self._all.add(connection)
        return connection

    def _replace(self, connection: Connection) -> Connection:
        """Swap a connection whose end came while it was handed over; its slot stays with whom it was given to."""
        fresh = self._new(connection.origin)
        connection.abort()
        return fresh

    def _has_room(self) -> bool:
        return self._max_connections is None or len(self._all) < self._max_connections

    def _evict(self) -> bool:
        """Close the oldest idle connection (of another origin: an idle one of the same would have been taken)."""
        oldest = min(
            (next(iter(idle)) for idle in self._idle.values() if idle), key=lambda c: c.idle_since, default=None
        )
        if oldest is None:
            return False
        oldest.abort()
        return True

    async def _queue(self, origin: Origin, timeout_s: float | None) -> Connection:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection] = loop.create_future()
        self._waiters[waiter] = origin
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._give_up, waiter, timeout_s)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._return(waiter.result())
            raise
        finally:
            self._waiters.pop(waiter, None)
            if timer is not None:
                timer.cancel()

    def _return(self, connection: Connection) -> None:
        """Take back what was granted to somebody who is gone."""
        if connection.is_open:
            self.release(connection)
        else:
            connection.abort()

    def _give_up(self, waiter: "asyncio.Future[Connection]", timeout_s: float) -> None:
        if self._waiters.pop(waiter, None) is not None and not waiter.done():
            waiter.set_exception(httpx.PoolTimeout(f"no connection became free within {timeout_s} s"))

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = None
        limit = loop.time() - self._idle_expiry_s
        oldest = None
        for origin in tuple(self._idle):
            since = self._sweep_origin(origin, limit)
            if since is not None and (oldest is None or since < oldest):
                oldest = since
        if oldest is not None:
            self._sweeper = loop.call_later(max(oldest - limit, _MIN_SWEEP_S), self._sweep)

    def _sweep_origin(self, origin: Origin, limit: float) -> float | None:
        """Close what has been idle since before ``limit``; tell since when the oldest of the rest is."""
        idle = self._idle[origin]
        for connection in tuple(idle):
            if connection.idle_since > limit:
                return connection.idle_since
            connection.abort()
        del self._idle[origin]
        return None

    def _is_good(self, connection: Connection) -> bool:
        """Say whether an open connection is quiet: anything to read is its end, or junk."""
        if not connection.is_open:
            return False
        poll = self._poll
        poll.register(connection.fd, select.POLLIN)
        try:
            return not poll.poll(0)
        finally:
            poll.unregister(connection.fd)

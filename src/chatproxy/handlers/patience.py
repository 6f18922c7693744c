"""Patience: how long one exchange waits for its upstream.

One timer for each exchange, re-armed lazily; it works over any transport, because it interrupts the task that waits.
Comments of an event stream do not count as life.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, NamedTuple, TypeVar

from chatproxy.errors import UpstreamTimeout

T = TypeVar("T")


class Deadlines(NamedTuple):
    """Seconds; None = no limit."""

    connect_s: float | None = 5.0
    first_byte_s: float | None = 60.0
    idle_s: float | None = 60.0
    exchange_s: float | None = None


class Patience:
    """Waits under the deadlines of one exchange.

    Time counts only while somebody waits: a client that reads slowly does not make its upstream late.

    Attributes:
        began_s: when the first byte came that counts, on `time.perf_counter` (the event loop's clock may count
            milliseconds, uvloop's does); None while none has come.
    """

    __slots__ = (
        "_began",
        "_deadlines",
        "_expired",
        "_loop",
        "_quiet_since",
        "_started",
        "_task",
        "_timer",
        "began_s",
    )

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._began = False  # whether the first byte has come
        self._started = self._quiet_since = self._loop.time()
        self._task: asyncio.Task[Any] | None = None  # the one that waits, while it waits
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False
        self.began_s: float | None = None

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await ``awaitable``, which is interrupted at the deadline.

        Raises:
            UpstreamTimeout: a deadline passed (504).
        """
        self.begin()
        try:
            return await awaitable
        except asyncio.CancelledError:
            self.raise_if_expired()
            raise
        finally:
            self.end()

    def begin(self) -> None:
        """The current task begins to wait; `wait` in three parts, for where a coroutine more would cost too much."""
        if self._timer is None:
            self._arm()
        self._task = asyncio.current_task(self._loop)

    def raise_if_expired(self) -> None:
        """Where a wait was cancelled: raise `UpstreamTimeout` if it was the deadline that did it."""
        if self._expired and self._task is not None:
            self._task.uncancel()
            raise self._error() from None

    def end(self) -> None:
        """The wait is over."""
        self._task = None

    def alive(self) -> None:
        """The upstream gave something that counts; the next wait starts anew."""
        self._quiet_since = self._loop.time()
        if not self._began:
            self._began = True
            self.began_s = time.perf_counter()
            limits = self._deadlines
            if limits.idle_s is not None and (limits.first_byte_s is None or limits.idle_s < limits.first_byte_s):
                self.stop()  # a timer that is armed may only be too early, never too late
                self._arm()

    def resume(self, waited_from: float) -> None:
        """The consumer took its time; it does not count as the upstream's."""
        self._quiet_since += self._loop.time() - waited_from

    def now(self) -> float:
        """The event loop's clock, in seconds."""
        return self._loop.time()

    def stop(self) -> None:
        """The exchange is over; no timer is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> float | None:
        limit_s = self._deadlines.idle_s if self._began else self._deadlines.first_byte_s
        due = None if limit_s is None else self._quiet_since + limit_s
        if self._deadlines.exchange_s is not None:
            end = self._started + self._deadlines.exchange_s
            due = end if due is None else min(due, end)
        return due

    def _arm(self) -> None:
        due = self._due()
        if due is not None:
            self._timer = self._loop.call_at(due, self._check)

    def _check(self) -> None:
        self._timer = None
        due = self._due()
        if due is None:
            return
        now = self._loop.time()
        if self._task is None:  # the consumer is busy; look again later
            self._timer = self._loop.call_at(max(due, now) + 0.05, self._check)
        elif due > now:
            self._timer = self._loop.call_at(due, self._check)
        else:
            self._expired = True
            self._task.cancel()

    def _error(self) -> UpstreamTimeout:
        limits = self._deadlines
        if limits.exchange_s is not None and self._loop.time() >= self._started + limits.exchange_s:
            return UpstreamTimeout(f"The exchange took over {limits.exchange_s:g} s.", code="exchange_timeout")
        if not self._began:
            return UpstreamTimeout(
                f"The upstream sent nothing for {limits.first_byte_s:g} s.", code="upstream_first_byte_timeout"
            )
        return UpstreamTimeout(f"The upstream went silent for {limits.idle_s:g} s.", code="upstream_idle_timeout")

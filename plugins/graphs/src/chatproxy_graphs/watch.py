"""Waiting with a limit: deadlines of workers, and tasks that do not stop when they are told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger("chatproxy_graphs")

GRACE_S = 1.0
"""So long a worker may take to end once it is cancelled; then it is left behind."""

_left: set[asyncio.Task[Any]] = set()  # tasks that nobody waits for any more; kept so that they are not collected


class Deadline:
    """Cancels the current task when its time is over; ``is_over`` says afterwards whether that happened.

    Args:
        timeout_s: None never ends.
        give_up: called when the task goes on for `GRACE_S` seconds after that.
    """

    __slots__ = ("_ends_at", "_give_up", "_handle", "_left_s", "_loop", "_task", "is_over")

    def __init__(self, timeout_s: float | None, give_up: Callable[[], None]) -> None:
        self._left_s = timeout_s
        self._give_up = give_up
        self._handle: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        if self._left_s is not None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
            self.go_on()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if self.is_over and self._task is not None:
            self._task.uncancel()

    def hold(self) -> None:
        """The clock stops: somebody else is slow."""
        if self._handle is not None and not self.is_over:
            self._handle.cancel()
            self._left_s = max(0.0, self._ends_at - self._loop.time())

    def go_on(self) -> None:
        """The clock goes on."""
        if self._left_s is not None and not self.is_over:
            self._ends_at = self._loop.time() + self._left_s
            self._handle = self._loop.call_at(self._ends_at, self._end)

    def _end(self) -> None:
        self.is_over = True
        if self._task is not None:
            self._task.cancel()
        self._handle = self._loop.call_later(GRACE_S, self._give_up)


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for them, `GRACE_S` seconds at most; what still runs is left behind."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=GRACE_S)
    for task in tasks:
        if not task.done():
            leave(task)
        elif not task.cancelled():
            task.exception()  # whoever stops it does not want to know


def leave(task: asyncio.Task[Any]) -> None:
    """Wait no more for a task that goes on although it was cancelled."""
    if task in _left or task.done():
        return
    logger.error("a worker goes on although it was cancelled %g s ago; it is left behind: %r", GRACE_S, task)
    _left.add(task)
    task.add_done_callback(_came_back)


def _came_back(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()

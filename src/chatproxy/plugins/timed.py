"""Deadlines on a plugin's own time, without a task or a timer for code that does not wait.

A hook's coroutine is stepped by hand inside the caller's task: one that finishes in its first step costs no timer.
One that suspends is driven by `finish`, which passes its futures on to the event loop and interrupts it by cancelling
the task at the deadline, as `asyncio.timeout` does. A coroutine that swallows the cancellation is abandoned after a
grace time, not waited for.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Protocol

logger = logging.getLogger("chatproxy.plugins")

GRACE_S = 1.0


class Steps(Protocol):
    """A coroutine, or one step of an async generator."""

    def send(self, value: Any, /) -> Any:
        """Go on; returns what the event loop must wait for."""

    def throw(self, error: BaseException, /) -> Any:
        """Go on with an error."""

    def close(self) -> None:
        """End it where it stands."""


class DeadlinePassedError(Exception):
    """A plugin's code took longer than its deadline. ``abandoned``: it also ignored its cancellation."""

    def __init__(self, *, abandoned: bool) -> None:
        super().__init__("deadline passed")
        self.abandoned = abandoned


class Clock:
    """How much of its own time one call of a hook has left. Paused while the plugin waits for the core."""

    __slots__ = (
        "_cancelled_before",
        "_deadline_s",
        "_grace",
        "_left_s",
        "_paused",
        "_started_at",
        "_task",
        "_timer",
        "abandoned",
        "fired",
        "grace_over",
    )

    def __init__(self, deadline_s: float | None) -> None:
        self._deadline_s = deadline_s
        self._left_s = deadline_s
        self._paused = 0
        self._timer: asyncio.TimerHandle | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled_before = 0
        self._started_at = 0.0
        self.fired = False
        self.grace_over = False
        self.abandoned = False

    def reset(self) -> None:
        """Start over, for the next event of a stream."""
        self._left_s = self._deadline_s

    def pause(self) -> None:
        """The plugin begins to wait for the core; its time stands still."""
        self._paused += 1
        if self._timer is not None and not self.fired:
            self.disarm()

    def resume(self) -> None:
        """The plugin goes on; the timer is armed only when it suspends next."""
        self._paused -= 1

    def arm(self, task: asyncio.Task[Any]) -> None:
        """Let the timer run while the plugin is suspended on its own account."""
        if self._timer is None and not self._paused and not self.fired and self._left_s is not None:
            loop = asyncio.get_running_loop()
            self._task = task
            self._started_at = loop.time()
            self._timer = loop.call_later(max(self._left_s, 0.0), self._fire)

    def arm_grace(self, task: asyncio.Task[Any], cancelled_before: int) -> None:
        """From now on the plugin has only the grace time to go along with its cancellation.

        Args:
            cancelled_before: ``task.cancelling()`` when the plugin's code began.
        """
        if self._grace is not None:
            self._grace.cancel()
        self._task, self._cancelled_before = task, cancelled_before
        self._grace = asyncio.get_running_loop().call_later(GRACE_S, self._end_grace)

    def disarm(self) -> None:
        """Stop the timers and count the time since the deadline's was armed."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._left_s is not None:
                self._left_s -= asyncio.get_running_loop().time() - self._started_at

    def _fire(self) -> None:
        self._timer = None
        if self._task is not None:
            self.fired = True
            self._task.cancel()

    def _end_grace(self) -> None:
        """Give up, unless the plugin's code cancelled itself, as time limits in it do, and has taken that back."""
        self._grace = None
        if self._task is not None and (self.fired or self._task.cancelling() > self._cancelled_before):
            self.grace_over = True
            self._task.cancel()


@types.coroutine
def finish(steps: Steps, waiting_for: Any, clock: Clock) -> Generator[Any, Any, Any]:
    """Drive ``steps``, which has suspended on ``waiting_for``, to its end.

    Raises:
        DeadlinePassedError: its own time went over the clock's deadline.
        asyncio.CancelledError: somebody else cancelled the task.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a hook was called outside a task")
    cancelled_before = task.cancelling()
    try:
        result = yield from _drive(steps, waiting_for, clock, task, cancelled_before)
    except BaseException as exc:
        if clock.fired and task.uncancel() <= cancelled_before:
            raise DeadlinePassedError(abandoned=clock.abandoned) from exc
        raise
    else:
        if clock.fired and task.uncancel() <= cancelled_before:
            raise DeadlinePassedError(abandoned=False)
        return result
    finally:
        clock.disarm()


def _drive(
    steps: Steps, waiting_for: Any, clock: Clock, task: asyncio.Task[Any], cancelled_before: int
) -> Generator[Any, Any, Any]:
    """Pass futures up to the event loop and what comes of them down to ``steps``."""
    while True:
        clock.arm(task)
        try:
            sent = yield waiting_for
        except GeneratorExit:
            steps.close()
            raise
        except asyncio.CancelledError as exc:
            if clock.grace_over:
                _abandon(steps, task, clock)
                raise
            clock.arm_grace(task, cancelled_before)
            go_on: Callable[[], Any] = partial(steps.throw, exc)
        except BaseException as exc:  # noqa: BLE001 - whatever the loop throws belongs to the plugin's code
            go_on = partial(steps.throw, exc)
        else:
            go_on = partial(steps.send, sent)
        try:
            waiting_for = go_on()
        except StopIteration as stop:
            return stop.value


def _abandon(steps: Steps, task: asyncio.Task[Any], clock: Clock) -> None:
    """Give up on code that ignores its cancellation."""
    clock.abandoned = True
    task.uncancel()  # the cancellation that ended the grace time
    try:
        steps.close()
    except RuntimeError:
        logger.exception("a plugin's coroutine cannot even be closed; it is left to the garbage collector")

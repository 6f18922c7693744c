"""Deadlines on a plugin's own time, without a task or a timer for code that does not wait.

A hook's coroutine is stepped by hand inside the caller's task: one that finishes in its first step costs no timer.
One that suspends is driven by `finish`, which passes its futures on to the event loop and interrupts it by cancelling
the task at the deadline, as `asyncio.timeout` does. A coroutine that swallows the cancellation is abandoned after a
grace time, not waited for.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from typing import Any, Protocol

GRACE_S = 1.0


class Steps(Protocol):
    """A coroutine, or one step of an async generator."""

    def send(self, value: Any, /) -> Any: ...
    def throw(self, error: BaseException, /) -> Any: ...
    def close(self) -> None: ...


class DeadlinePassedError(Exception):
    """A plugin's code took longer than its deadline. ``abandoned``: it also ignored its cancellation."""

    def __init__(self, *, abandoned: bool) -> None:
        super().__init__("deadline passed")
        self.abandoned = abandoned


class Clock:
    """How much of its own time one call of a hook has left. Paused while the plugin waits for the core."""

    __slots__ = ("_deadline_s", "_left_s", "_paused", "_started_at", "_task", "_timer", "fired", "grace_over")

    def __init__(self, deadline_s: float | None) -> None:
        self._deadline_s = deadline_s
        self._left_s = deadline_s
        self._paused = 0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._started_at = 0.0
        self.fired = False
        self.grace_over = False

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
        if self._timer is None and not self._paused and self._left_s is not None:
            loop = asyncio.get_running_loop()
            self._task = task
            self._started_at = loop.time()
            self._timer = loop.call_later(max(self._left_s, 0.0), self._fire)

    def arm_grace(self, task: asyncio.Task[Any]) -> None:
        """From now on the plugin has only the grace time to go along with its cancellation."""
        if self._timer is not None:
            self._timer.cancel()
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._end_grace)

    def disarm(self) -> None:
        """Stop the timer and count the time since it was armed."""
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
        self._timer = None
        if self._task is not None:
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
    if task is None:  # pragma: no cover - hooks are only called from tasks
        raise RuntimeError("a hook was called outside a task")
    cancelled_before = task.cancelling()
    try:
        while True:
            clock.arm(task)
            try:
                sent = yield waiting_for
            except asyncio.CancelledError as exc:
                if clock.grace_over:
                    return _abandon(steps, task, clock)
                clock.arm_grace(task)
                waiting_for = steps.throw(exc)
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as exc:
                waiting_for = steps.throw(exc)
            else:
                waiting_for = steps.send(sent)
    except StopIteration as stop:
        if clock.fired and task.uncancel() <= cancelled_before:
            raise DeadlinePassedError(abandoned=False) from None
        return stop.value
    except DeadlinePassedError:
        raise
    except BaseException as exc:
        if clock.fired and task.uncancel() <= cancelled_before:
            raise DeadlinePassedError(abandoned=False) from exc
        raise
    finally:
        clock.disarm()


def _abandon(steps: Steps, task: asyncio.Task[Any], clock: Clock) -> None:
    task.uncancel()  # the cancellation that ended the grace time
    try:
        steps.close()
    except RuntimeError:  # it yields even while it is closed; nothing more can be done to it
        clock.grace_over = True
    if clock.fired:
        task.uncancel()
        raise DeadlinePassedError(abandoned=True)
    raise asyncio.CancelledError

"""Stepping: a kit's own coroutines, run inside of the exchange's task under a deadline, and got rid of at its end.

A step that does not wait costs no timer. One that waits is interrupted at its deadline as `asyncio.timeout` does it.
Code that swallows its cancellation, the client's leaving included, is abandoned after a grace time, not waited for.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from time import perf_counter
from typing import Any

logger = logging.getLogger("chatproxy.kit")

GRACE_S = 1.0
"""For code to end that has passed its deadline."""

LEAVING_S = 5.0
"""For code to end whose client has left; longer, for code may also have cancelled itself, and be on its way."""

BLOCKED_S = 0.5


class DeadlinePassedError(Exception):
    """A step took longer than its deadline."""


class CancelledByItselfError(Exception):
    """Code raised CancelledError while nobody had cancelled it."""


class ExitedError(Exception):
    """Code raised what is no `Exception`, such as SystemExit, which would end the event loop and all it serves."""


@types.coroutine
def stepped(work: Awaitable[Any], timeout_s: float | None, who: str) -> Generator[Any, Any, Any]:
    """Await something of a kit's.

    Args:
        timeout_s: seconds; None for no deadline.
        who: for the log.

    Raises:
        DeadlinePassedError: it took longer, also by blocking the event loop.
        CancelledByItselfError: it raised CancelledError of its own accord.
        ExitedError: it raised something else that is no `Exception`.
        asyncio.CancelledError: the exchange was cancelled, also where the work swallowed that.
    """
    steps: Any = work if hasattr(work, "send") else _awaited(work)
    started_at = perf_counter()
    try:
        waiting_for = steps.send(None)
    except StopIteration as stop:
        _check_block(perf_counter() - started_at, timeout_s, who)
        return stop.value
    except Exception:
        raise
    except BaseException as exc:
        raise _of_its_own(exc, who) from exc
    _check_block(perf_counter() - started_at, None, who)
    return (yield from _Driver(steps, timeout_s, who).drive(waiting_for))


def _of_its_own(exc: BaseException, who: str) -> Exception:
    """The error for what code raised that nobody else had asked for, and that is no `Exception`."""
    kind = CancelledByItselfError if isinstance(exc, asyncio.CancelledError) else ExitedError
    return kind(f"{who} raised {type(exc).__name__}")


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _check_block(took_s: float, timeout_s: float | None, who: str) -> None:
    if took_s < BLOCKED_S:
        return
    logger.warning("%s blocked the event loop for %.1f s: await what waits, or make it a plain 'def', which runs in a "
                   "thread", who, took_s)  # fmt: skip
    if timeout_s is not None and took_s > timeout_s:
        raise DeadlinePassedError


class _Driver:
    """Passes the futures that steps wait for up to the event loop, and what comes of them down.

    Steps may cancel the task themselves and take it back, as `asyncio.timeout` and anyio's scopes do; so not every
    cancellation that passes is the exchange's. One that nobody has taken back in a while is.
    """

    __slots__ = (
        "_before",
        "_deadline",
        "_fired",
        "_grace",
        "_is_closed",
        "_is_late",
        "_is_over",
        "_steps",
        "_task",
        "_timeout_s",
        "_who",
    )

    def __init__(self, steps: Any, timeout_s: float | None, who: str) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a kit's code must run in a task")
        self._task = task
        self._before = task.cancelling()
        self._steps = steps
        self._timeout_s = timeout_s
        self._who = who
        self._deadline: asyncio.TimerHandle | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._fired = 0
        self._is_closed = False
        self._is_late = False
        self._is_over = False

    def drive(self, waiting_for: Any) -> Generator[Any, Any, Any]:
        """Go on to the end."""
        if self._timeout_s is not None:
            self._deadline = asyncio.get_running_loop().call_later(self._timeout_s, self._pass_deadline)
        try:
            result = yield from self._drive(waiting_for)
        except BaseException as exc:
            if self._is_closed:
                raise
            if self._settle():  # whatever it made of its cancellation
                if isinstance(exc, asyncio.CancelledError):
                    raise
                raise asyncio.CancelledError from exc
            if isinstance(exc, Exception):
                raise
            raise _of_its_own(exc, self._who) from exc
        finally:
            self._disarm()
        if self._settle():
            raise asyncio.CancelledError
        return result

    def _settle(self) -> bool:
        """Take back our own cancellations; whether the task is cancelled by somebody else.

        Raises:
            DeadlinePassedError: it was the deadline alone.
        """
        self._disarm()
        for _ in range(self._fired):
            self._task.uncancel()
        self._fired = 0
        if self._task.cancelling() > self._before:
            return True
        if self._is_late:
            self._is_late = False
            raise DeadlinePassedError
        return False

    def _drive(self, waiting_for: Any) -> Generator[Any, Any, Any]:
        while True:
            try:
                sent = yield waiting_for
            except GeneratorExit:
                self._is_closed = True
                self._abandon()
                raise
            except asyncio.CancelledError as exc:
                if self._is_over:
                    self._abandon()
                    raise
                self._arm_grace()
                go_on: Callable[[], Any] = partial(self._steps.throw, exc)
            except BaseException as exc:  # noqa: BLE001 - whatever a future failed with belongs to the kit's code
                go_on = partial(self._steps.throw, exc)
            else:
                go_on = partial(self._steps.send, sent)
            started_at = perf_counter()
            try:
                waiting_for = go_on()
            except StopIteration as stop:
                return stop.value
            finally:
                _check_block(perf_counter() - started_at, None, self._who)

    def _arm_grace(self) -> None:
        if self._grace is None:
            after_s = GRACE_S if self._is_late else LEAVING_S
            self._grace = asyncio.get_running_loop().call_later(after_s, self._end_grace)

    def _pass_deadline(self) -> None:
        self._deadline = None
        self._is_late = True
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self._cancel()

    def _end_grace(self) -> None:
        self._grace = None
        if self._is_late or self._task.cancelling() > self._before:
            self._is_over = True
            self._cancel()

    def _cancel(self) -> None:
        self._fired += 1
        self._task.cancel()

    def _disarm(self) -> None:
        for timer in (self._deadline, self._grace):
            if timer is not None:
                timer.cancel()
        self._deadline = self._grace = None

    def _abandon(self) -> None:
        """Give up on code that ignores its cancellation."""
        logger.error("%s ignored its cancellation and is abandoned", self._who)
        try:
            self._steps.throw(GeneratorExit())
        except (GeneratorExit, StopIteration, StopAsyncIteration):
            return
        except BaseException as exc:
            logger.warning("%s failed while it was abandoned", self._who, exc_info=exc)
            return
        logger.error("%s cannot be ended; it is left to the garbage collector", self._who)

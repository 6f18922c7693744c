"""Awaiting what must be able to clear up after itself.

httpcore 1.0.9 gives a connection back to its pool within the task that was cancelled. If that task is cancelled again
meanwhile, the connection stays open, or in the pool, for ever.

Rule: no I/O here.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def steadily(awaitable: Awaitable[T]) -> Generator[Any, Any, T]:
    """Await it; it is cancelled only where it waits for something, not where it merely lets others run.

    A cancellation at a bare yield is put off to the next future, or to the end: httpcore and anyio have no futures
    while they clear up. The task's count of cancellations stays as it is.
    """
    steps = awaitable.__await__()
    thrown: BaseException | None = None
    put_off: asyncio.CancelledError | None = None
    while True:
        try:
            waiting = steps.send(None) if thrown is None else steps.throw(thrown)
        except StopIteration as exc:
            if put_off is not None:
                _cancel_at_next_await()
            result: T = exc.value
            return result
        except BaseException:
            if put_off is not None:
                raise put_off from None
            raise
        if put_off is not None and waiting is not None and waiting.cancel():
            put_off = None
        thrown = None
        try:
            yield waiting
        except asyncio.CancelledError as exc:
            put_off, thrown = (exc, None) if waiting is None else (put_off, exc)
        except BaseException as exc:  # noqa: BLE001 - thrown into what it is meant for
            thrown = exc


def _cancel_at_next_await() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        task.cancel()

"""Plain functions in threads of their own.

Rule: no pool. A function that hangs keeps its thread for ever; in a pool it would take the place of others, DNS
look-ups among them, and the process could not end before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any


async def in_thread(function: Callable[[Any], Any], argument: Any) -> Any:
    """Call a function in a daemon thread, with the context variables of the caller.

    Cancelling ends the wait, never the function.

    Raises:
        RuntimeError: it raised StopIteration, which a coroutine must not.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(function, argument)
        except BaseException as exc:  # noqa: BLE001 - raised where the function is awaited
            error = exc
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    Thread(target=run, name=f"worker {getattr(function, '__name__', '')}", daemon=True).start()
    return await future

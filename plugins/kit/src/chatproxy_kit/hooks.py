"""Calling a kit's own hooks: async ones in the exchange's task, plain ones in a thread, each with a deadline."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from chatproxy_kit.stepping import stepped
from chatproxy_kit.threads import Threads


async def call_hook(hook: Callable[..., Any], *args: Any, threads: Threads, timeout_s: float, who: str) -> Any:
    """What a hook returns.

    Raises:
        DeadlinePassedError: it took too long.
        Exception: whatever it raised.
    """
    if is_async(hook):
        return await stepped(hook(*args), timeout_s, who)
    result = await stepped(threads.call(partial(hook, *args)), timeout_s, who)
    return await stepped(result, timeout_s, who) if inspect.isawaitable(result) else result


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; also of an object whose ``__call__`` is ``async def``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def check_callable(function: object, takes: int, what: str) -> None:
    """Refuse what cannot be called with so many arguments.

    Raises:
        TypeError: it cannot.
    """
    if not callable(function):
        raise TypeError(f"{what} decorates a function, found {type(function).__name__}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # a built-in one that does not tell
        return
    try:
        signature.bind(*[None] * takes)
    except TypeError as exc:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise TypeError(f"{what}: {name}{signature} must take {takes} arguments: {exc}") from None

"""Calling a tool's handler: on the loop if it is async, else in a thread, and never longer than allowed."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chatproxy_sdk.agent.schema import Function, Signature, plain_function

MAX_LEFT_THREADS = 64
logger = logging.getLogger("chatproxy_sdk")


class ToolTimeoutError(Exception):
    """A handler did not end in time."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A callable, and how it is called."""

    fn: Function
    signature: Signature

    async def call(self, arguments: Mapping[str, Any], threads: Threads, timeout_s: float | None) -> Any:
        """What the handler returns.

        An async handler is cancelled at its deadline. A sync one cannot be: its thread is left to itself, and what it
        returns later is dropped.

        Raises:
            ToolTimeoutError: the time is over.
            Exception: what the handler raised.
        """
        scope = asyncio.timeout(timeout_s)
        try:
            async with scope:
                return await self._result(arguments, threads)
        except TimeoutError as exc:
            if scope.expired():
                raise ToolTimeoutError(f"no result within {timeout_s:g} s") from exc
            raise

    async def _result(self, arguments: Mapping[str, Any], threads: Threads) -> Any:
        if is_async(self.fn):
            return await self.fn(**arguments)
        result = await threads.run(lambda: self.fn(**arguments), name=self.signature.name)
        return await result if inspect.isawaitable(result) else result


def is_async(fn: Function) -> bool:
    """Whether a call gives a coroutine."""
    plain = plain_function(fn)
    return inspect.iscoroutinefunction(plain) or (
        not inspect.isclass(plain) and inspect.iscoroutinefunction(getattr(plain, "__call__", None))  # noqa: B004
    )


def is_generator(fn: Function) -> bool:
    """Whether a call gives a generator, async or not, which is no result."""
    plain = plain_function(fn)
    return inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain)


class Threads:
    """Threads for sync handlers: one for each call, so that a handler that hangs holds up no other.

    They are daemons, so that the interpreter ends without them. How many may hang is bounded.
    """

    def __init__(self) -> None:
        self._left: list[threading.Thread] = []

    async def run(self, work: Callable[[], Any], *, name: str) -> Any:
        """What ``work`` returns, called in a thread with this task's context variables.

        Cancelling leaves the thread to itself.

        Raises:
            RuntimeError: too many threads that were left are still at work.
            Exception: what ``work`` raised; ``sys.exit`` ends the call, not the program.
        """
        self._left = [thread for thread in self._left if thread.is_alive()]
        if len(self._left) >= MAX_LEFT_THREADS:
            raise RuntimeError(f"{len(self._left)} earlier calls still hang in their threads; no further one is made")
        done = asyncio.get_running_loop().create_future()
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(_work, work, done), name=f"chatproxy-tool-{name}", daemon=True
        )
        thread.start()
        try:
            result, error = await done
        except asyncio.CancelledError:
            self._left.append(thread)
            logger.warning("tool handler %s was not waited for; its thread goes on", name)
            raise
        if error is not None:
            raise error
        return result


def _work(work: Callable[[], Any], done: asyncio.Future[tuple[Any, BaseException | None]]) -> None:
    """Call ``work`` in this thread, and hand over what came of it."""
    outcome: tuple[Any, BaseException | None]
    try:
        outcome = (work(), None)
    except SystemExit as exc:
        outcome = (None, RuntimeError(f"exited with {exc.code!r}"))
    except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
        outcome = (None, exc)
    try:
        done.get_loop().call_soon_threadsafe(_hand_over, done, outcome)
    except RuntimeError:
        logger.debug("a tool handler ended after its event loop")


def _hand_over(done: asyncio.Future[Any], outcome: tuple[Any, BaseException | None]) -> None:
    if not done.done():
        done.set_result(outcome)

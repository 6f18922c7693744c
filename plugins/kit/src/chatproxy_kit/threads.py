"""Threads: plain functions and generators of a kit, off the event loop and bounded in number.

Rule: threads are daemons, since one that hangs can be neither ended nor waited for; its place stays taken until then.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from chatproxy.errors import Overloaded

logger = logging.getLogger("chatproxy.kit")

WAIT_S = 10.0
"""For a thread to come free."""

_AHEAD = 16
"""How many items a generator may be ahead of its reader."""


class Threads:
    """Runs functions in threads.

    Args:
        most: at a time.

    Attributes:
        running: how many there are now, those that were left behind included.
    """

    def __init__(self, most: int) -> None:
        self.running = 0
        self._most = most
        self._free = asyncio.Semaphore(most)

    async def call(self, function: Callable[[], Any]) -> Any:
        """What a function returns.

        Raises:
            Overloaded: no thread came free in time (503, code ``handler_busy``).
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Any] = loop.create_future()

        def run() -> None:
            try:
                result = function()
            except BaseException as exc:  # noqa: BLE001 - handed to whoever waits
                self._tell(loop, partial(_fail, told, exc))
            else:
                self._tell(loop, partial(_set, told, result))

        await self._start(run, loop)
        return await told

    async def iterate(self, function: Callable[[], Iterable[Any]]) -> ThreadItems:
        """What the iterable that a function returns yields; close it where you stop early.

        Raises:
            Overloaded: as `call` does.
        """
        loop = asyncio.get_running_loop()
        items = ThreadItems(partial(self._tell, loop))
        await self._start(partial(items.run, function), loop)
        return items

    async def _start(self, run: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            message = f"All {self._most} threads for plain functions are busy; try again soon."
            raise Overloaded(message, code="handler_busy") from None
        self.running += 1
        context = contextvars.copy_context()

        def body() -> None:
            try:
                context.run(run)
            finally:
                self._tell(loop, self._end)

        try:
            threading.Thread(target=body, name="chatproxy-kit", daemon=True).start()
        except RuntimeError:
            self._end()
            raise

    def _end(self) -> None:
        self.running -= 1
        self._free.release()

    @staticmethod
    def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(call)


class ThreadItems(AsyncIterator[Any]):
    """The items of an iterable that runs in a thread; made by `Threads.iterate`."""

    def __init__(self, tell: Callable[[Callable[[], None]], None]) -> None:
        self._tell = tell
        self._room = threading.Semaphore(_AHEAD)
        self._is_closed = False
        self._items: deque[Any] = deque()
        self._is_over = False
        self._failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def run(self, function: Callable[[], Iterable[Any]]) -> None:
        """The thread's part."""
        failure: BaseException | None = None
        try:
            iterator = iter(function())
            try:
                for item in iterator:
                    self._room.acquire()
                    if self._is_closed:
                        break
                    self._tell(partial(self._take, item))
            finally:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
        except BaseException as exc:  # noqa: BLE001 - handed to the reader
            failure = exc
        self._tell(partial(self._finish, failure))

    async def __anext__(self) -> Any:
        while not self._items:
            if self._is_over:
                failure, self._failure = self._failure, None
                raise StopAsyncIteration if failure is None else _raisable(failure)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._room.release()
        return self._items.popleft()

    async def aclose(self) -> None:
        """Have the iterable closed, in its thread, after the step that it is in."""
        self._is_closed = True
        self._room.release()

    def _take(self, item: Any) -> None:
        self._items.append(item)
        self._wake()

    def _finish(self, failure: BaseException | None) -> None:
        self._is_over = True
        self._failure = failure
        if failure is not None and self._is_closed:
            logger.warning("a generator failed while it was closed", exc_info=failure)
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _set(told: asyncio.Future[Any], result: Any) -> None:
    if not told.done():
        told.set_result(result)


def _fail(told: asyncio.Future[Any], failure: BaseException) -> None:
    if told.done():
        logger.warning("a function failed after it was left", exc_info=failure)
    else:
        told.set_exception(_raisable(failure))


def _raisable(failure: BaseException) -> BaseException:
    """What a coroutine can raise without being taken for its own end."""
    if isinstance(failure, Exception) and not isinstance(failure, StopIteration | StopAsyncIteration):
        return failure
    wrapped = RuntimeError(f"it raised {type(failure).__name__}")
    wrapped.__cause__ = failure
    return wrapped

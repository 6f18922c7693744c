"""Waiting: for the next event of a stream, with patience that may end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from chatproxy.types import StreamEvent

NO_NEWS: Final = StreamEvent(b"")
"""Stands for: nothing has come in time; the event is still awaited."""


class Waiting:
    """Reads events one after the other.

    One that did not come in time goes on being awaited by a task, which `aclose` ends.
    """

    __slots__ = ("_events", "_task")

    def __init__(self, events: AsyncIterator[StreamEvent]) -> None:
        self._events = events
        self._task: asyncio.Task[StreamEvent | None] | None = None

    async def next(self, timeout_s: float | None) -> StreamEvent | None:
        """The next event, None at the end, or `NO_NEWS`.

        Args:
            timeout_s: seconds to wait; None: as long as it takes.
        """
        if timeout_s is None and self._task is None:
            return await self._read()
        task = self._task = self._task or asyncio.create_task(self._read())
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            return NO_NEWS
        self._task = None
        return task.result()

    async def aclose(self) -> None:
        """Stop waiting."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _read(self) -> StreamEvent | None:
        try:
            return await self._events.__anext__()
        except StopAsyncIteration:
            return None

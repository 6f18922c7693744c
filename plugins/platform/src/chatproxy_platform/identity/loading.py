"""Loader: many who wait for rows, one task that reads them, many at a time.

However many requests come at once with cold caches, the database sees one query after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from chatproxy_platform.errors import StorageUnavailable

V = TypeVar("V")

MOST_AT_ONCE = 200
MOST_WAITING = 20_000

logger = logging.getLogger("chatproxy.platform")


class Loader(Generic[V]):
    """Reads values by name.

    Args:
        fetch: reads some; what it leaves out is not there.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[dict[str, V]]]) -> None:
        self._fetch = fetch
        self._wanted: dict[str, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, name: str) -> V | None:
        """A value as it is stored now or later; None where there is none.

        Raises:
            StorageUnavailable: it could not be read (503).
        """
        future = self._wanted.get(name)
        if future is None:
            if len(self._wanted) >= MOST_WAITING:
                raise StorageUnavailable
            future = self._wanted[name] = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="platform loader")
                self._task.add_done_callback(_report)
        return await asyncio.shield(future)  # others may wait for it too

    async def aclose(self) -> None:
        """Stop reading; who waits is refused."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        try:
            while self._wanted:
                batch = dict(islice(self._wanted.items(), MOST_AT_ONCE))
                for name in batch:  # who comes from now on gets a reading of their own
                    del self._wanted[name]
                await self._serve(batch)
        finally:
            self._task = None
            self._refuse(self._wanted)
            self._wanted.clear()

    async def _serve(self, batch: dict[str, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._fetch(list(batch))
            for name, future in batch.items():
                if not future.done():
                    future.set_result(found.get(name))
        except StorageUnavailable as exc:
            logger.debug("nothing could be read: %s", exc)
        finally:
            self._refuse(batch)

    @staticmethod
    def _refuse(futures: dict[str, asyncio.Future[V | None]]) -> None:
        for future in futures.values():
            if not future.done():
                future.set_exception(StorageUnavailable())
                future.exception()  # asked for here, since whoever waited may be gone


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("what authentication needs could not be read", exc_info=error)

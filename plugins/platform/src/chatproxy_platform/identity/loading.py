"""Loader: many who wait for rows, one task that reads them, many at a time.

However many requests come at once with cold caches, the database sees one query after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from chatproxy_platform.errors import StorageUnavailable

V = TypeVar("V")

MOST_AT_ONCE = 200
MOST_WAITING = 20_000

logger = logging.getLogger("chatproxy.platform")


class Found(NamedTuple, Generic[V]):
    """What a reading brought: a value, or nothing under that name."""

    value: V | None


Waiting: TypeAlias = "dict[str, asyncio.Future[Found[V] | None]]"
"""None in place of `Found`: it could not be read. Whoever waited raises an error of their own, for one that many tasks
raise would carry the frames of all of them."""


class Loader(Generic[V]):
    """Reads values by name.

    Args:
        fetch: reads some; what it leaves out is not there.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[dict[str, V]]]) -> None:
        self._fetch = fetch
        self._wanted: Waiting[V] = {}
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
        found = await asyncio.shield(future)  # others may wait for it too
        if found is None:
            raise StorageUnavailable
        return found.value

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

    async def _serve(self, batch: Waiting[V]) -> None:
        try:
            found = await self._fetch(list(batch))
            for name, future in batch.items():
                if not future.done():
                    future.set_result(Found(found.get(name)))
        except StorageUnavailable as exc:
            logger.debug("nothing could be read: %s", exc)
        finally:
            self._refuse(batch)

    @staticmethod
    def _refuse(futures: Waiting[V]) -> None:
        for future in futures.values():
            if not future.done():
                future.set_result(None)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("what authentication needs could not be read", exc_info=error)

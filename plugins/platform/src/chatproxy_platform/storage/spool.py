"""Spool: a durable local waiting room for what the database cannot take now.

Rule: a record is on disk before `Spool.put` returns, and leaves only after somebody took it. One that was taken just
before a process died comes again, so what takes records must not mind to see one twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from chatproxy_platform.errors import SpoolFull, StorageUnavailable
from chatproxy_platform.storage.segments import Segments, encode

T = TypeVar("T")
Record = dict[str, Any]
LIMIT_S = 5.0


class Spool:
    """The waiting room of one process; processes may share its directory.

    Args:
        max_bytes: of all that waits in the directory.
    """

    def __init__(self, directory: str | Path, max_bytes: int) -> None:
        self._segments = Segments(Path(directory))
        self._max_bytes = max_bytes
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="chatproxy-spool")
        self._guard = threading.Lock()
        self._asked: list[_Asked] = []
        self._asked_bytes = 0
        self._draining: dict[str, asyncio.Lock] = {}
        self._is_open = False

    @property
    def waiting(self) -> dict[str, int]:
        """How many records wait, by kind: this process's, and those of dead ones that it took over."""
        return self._segments.waiting

    @property
    def damaged(self) -> int:
        """How many lines could not be read and were left out."""
        return self._segments.damaged

    @property
    def size_bytes(self) -> int:
        """Bytes that wait."""
        return self._segments.size_bytes

    def report(self) -> dict[str, Any]:
        """What ``/readyz`` says of it."""
        return {"waiting": self.waiting, "size_bytes": self.size_bytes, "damaged": self.damaged}

    async def open(self) -> None:
        """Take over what dead processes left, so that `waiting` knows of it; `put` and `drain` do it by themselves too.

        Raises:
            StorageUnavailable: the directory cannot be used.
        """
        await self._run(self._opened)

    async def put(self, kind: str, record: Record) -> None:
        """Keep a record, durably. Records of one task come out in the order they were put.

        Args:
            kind: ``[a-z_]+``; each has a queue of its own.
            record: JSON. One whose `put` failed or was cancelled may be kept all the same.

        Raises:
            SpoolFull: it is full, or the disk does not take the record (503).
        """
        await self.put_all(kind, [record])

    async def put_all(self, kind: str, records: list[Record]) -> None:
        """As `put`, for several records in one go: all or none of them."""
        if not records:
            return
        asked = _Asked(kind, [encode(record) for record in records], Future())
        with self._guard:
            if self._asked_bytes + asked.size_bytes > self._max_bytes:
                raise SpoolFull
            self._asked_bytes += asked.size_bytes
            self._asked.append(asked)
        self._submit(self._flush)
        try:
            async with asyncio.timeout(LIMIT_S):
                await asyncio.wrap_future(asked.kept)
        except (OSError, TimeoutError) as exc:
            raise SpoolFull from exc

    async def drain(self, kind: str, take: Callable[[list[Record]], Awaitable[None]]) -> int:
        """Hand over all that waits, in order; what `take` raises is passed on, and its batch stays.

        Args:
            take: gets up to some hundred records; they are removed when it returns.

        Returns:
            How many records were taken.

        Raises:
            StorageUnavailable: the directory cannot be read.
        """
        taken = 0
        async with self._draining.setdefault(kind, asyncio.Lock()):
            for path in await self._run(partial(self._found, kind)):
                records = await self._run(partial(self._segments.read, path))
                if records:
                    await take(records)
                await self._run(partial(self._segments.remove, path))
                taken += len(records)
        return taken

    async def aclose(self) -> None:
        """Finish what was asked for; what waits stays for the next process."""
        try:
            await self._run(self._segments.close)
        finally:
            self._worker.shutdown(wait=False)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        try:
            return self._worker.submit(work)
        except RuntimeError as exc:  # shut down
            raise SpoolFull("The spool is closed.") from exc

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(LIMIT_S):
                return await asyncio.wrap_future(self._submit(work))
        except (OSError, TimeoutError) as exc:
            raise StorageUnavailable("The platform's spool cannot be used.") from exc

    # -- in the worker's thread ---------------------------------------------------------------------------------------

    def _opened(self) -> None:
        self._segments.open()
        self._is_open = True

    def _found(self, kind: str) -> list[Path]:
        self._opened()
        return self._segments.sealed(kind)

    def _flush(self) -> None:
        """Keep all that was asked for meanwhile, with one sync for each kind."""
        with self._guard:
            asked, self._asked, self._asked_bytes = self._asked, [], 0
        by_kind: dict[str, list[_Asked]] = {}
        for entry in asked:
            if entry.kept.set_running_or_notify_cancel():
                by_kind.setdefault(entry.kind, []).append(entry)
        for kind, entries in by_kind.items():
            self._keep(kind, entries)

    def _keep(self, kind: str, entries: list[_Asked]) -> None:
        """Write the first entries, as many as there is room for; the others are refused."""
        try:
            if not self._is_open:
                self._opened()
            fitting = self._fitting(entries)
            if fitting:
                self._segments.append(kind, [line for entry in fitting for line in entry.lines])
        except OSError as exc:
            for entry in entries:
                entry.kept.set_exception(exc)
            return
        for entry in fitting:
            entry.kept.set_result(None)
        for entry in entries[len(fitting) :]:
            entry.kept.set_exception(SpoolFull())

    def _fitting(self, entries: list[_Asked]) -> list[_Asked]:
        room = self._max_bytes - self._segments.size_bytes
        sizes = accumulate(entry.size_bytes for entry in entries)
        return [entry for entry, size_bytes in zip(entries, sizes, strict=True) if size_bytes <= room]


class _Asked(NamedTuple):
    """Records that somebody waits for to be kept."""

    kind: str
    lines: list[bytes]
    kept: Future[None]

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.lines))

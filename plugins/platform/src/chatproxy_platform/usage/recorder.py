"""Usage recorder: takes an exchange's end in next to no time, and writes rows together, off the request path.

What is lost when the process is killed: exchanges that ended within the last ``flush_interval_s``, or whose
transaction was not committed yet. What the database does not take goes to the spool, synced to disk, and is written
later; what neither takes stays in memory up to a bound, beyond which it is dropped, counted and logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError

from chatproxy import Exchange
from chatproxy_platform.config import UsageConfig
from chatproxy_platform.errors import StorageUnavailable, Unprocessable
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.usage.rows import Ended, Row, ended, row_of
from chatproxy_platform.usage.writing import row_from, write_rows

KIND = "usage"
_BATCH = 100  # rows in one transaction; making their SQL holds the loop up for a few milliseconds
_CLOSE_S = 10.0
_LONGEST_PAUSE_S = 15.0
_LOOK_EVERY = 10  # replays, after which the spool is looked into even if nothing of this process waits there

logger = logging.getLogger("chatproxy.platform")


class UsageRecorder:
    """Writes one row for each exchange, whatever became of it.

    Attributes:
        written: rows that this process stored, those from the spool included.
        spooled: rows that went to the spool.
        lost: rows that were dropped.
    """

    def __init__(self, database: Database, spool: Spool, config: UsageConfig) -> None:
        self.written = self.spooled = self.lost = 0
        self._database = database
        self._spool = spool
        self._config = config
        self._waiting: deque[Ended | Row] = deque()
        self._arrived, self._many, self._full = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._recovered = asyncio.Event()
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._failing = False

    def record(self, exchange: Exchange, identity: Identity | None, cost: int | None) -> None:
        """Keep what is needed of an exchange that ended; its row is written soon. Never waits, never raises.

        Args:
            cost: nano-USD; None where it is not known.
        """
        count = len(self._waiting)
        if count >= self._config.max_waiting:
            self._full.set()
            if count >= 2 * self._config.max_waiting:
                self._lose(1)
                return
        self._waiting.append(ended(exchange, identity, cost))
        if count == 0:
            self._arrived.set()
        elif count >= _BATCH:
            self._many.set()

    def report(self) -> dict[str, Any]:
        """What ``/readyz`` says of it."""
        return {
            "waiting": len(self._waiting),
            "written": self.written,
            "spooled": self.spooled,
            "lost": self.lost,
            "is_failing": self._failing or any(task.done() for task in self._tasks),
        }

    async def open(self) -> None:
        """Begin to write, first of all what earlier processes left in the spool."""
        self._tasks = [self._own(self._write()), self._own(self._overflow()), self._own(self._replay())]

    async def flush(self) -> None:
        """Write what waits in memory now, to the database or else to the spool; not what comes meanwhile."""
        async with self._writing:
            left = len(self._waiting)
            while left > 0 and self._waiting and await self._write_some():
                left -= _BATCH

    async def aclose(self) -> None:
        """Stop, and write what waits, within ten seconds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with suppress(TimeoutError):  # what is left is spooled
            async with asyncio.timeout(_CLOSE_S):
                await self.flush()
        while self._waiting and await self._spool_some():
            pass
        if self._waiting:
            self._lose(len(self._waiting))
            self._waiting.clear()

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(_log_failure)
        return task

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.flush_interval_s):
                    await self._many.wait()
            self._arrived.clear()
            self._many.clear()
            await self.flush()
            if self._waiting:
                self._arrived.set()

    async def _overflow(self) -> None:
        """Move rows to the spool when so many wait that the database must be too slow for them."""
        while True:
            await self._full.wait()
            while self._waiting and await self._spool_some():
                pass
            self._full.clear()
            if self._waiting:
                await asyncio.sleep(self._config.flush_interval_s)

    async def _replay(self) -> None:
        """Write what waits in the spool; ever more rarely while that fails, for each try begins a new file."""
        turn, shortest_s = 0, 2 * self._config.flush_interval_s
        pause_s = shortest_s
        while True:
            if turn % _LOOK_EVERY == 0 or self._spool.waiting.get(KIND):
                try:
                    await self._spool.drain(KIND, self._take_back)
                    pause_s = shortest_s
                except StorageUnavailable as exc:
                    self._fail(exc)
                    pause_s = min(2 * pause_s, max(_LONGEST_PAUSE_S, shortest_s))
            turn += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._recovered.wait()
            self._recovered.clear()

    # -- batches -------------------------------------------------------------------------------------------------------

    async def _write_some(self) -> bool:
        """Write the oldest rows; whether they are out of memory now."""
        batch = self._take()
        try:
            await self._store(batch)
        except StorageUnavailable as exc:
            self._fail(exc)
            return await self._keep(batch)
        except BaseException:
            self._put_back(batch)
            raise
        self._recover()
        return True

    async def _spool_some(self) -> bool:
        return await self._keep(self._take())

    async def _keep(self, batch: Sequence[Row]) -> bool:
        """Put rows into the spool, or back where they were; whether they are out of memory now."""
        try:
            await self._spool.put_all(KIND, [msgspec.to_builtins(row) for row in batch])
        except StorageUnavailable as exc:
            self._put_back(batch)
            self._fail(exc)
            return False
        except BaseException:
            self._put_back(batch)
            raise
        self.spooled += len(batch)
        return True

    async def _take_back(self, records: list[dict[str, Any]]) -> None:
        """Write what waited in the spool."""
        rows = [row for row in map(row_from, records) if row is not None]
        for start in range(0, len(rows), _BATCH):
            await self._store(rows[start : start + _BATCH])
        if len(rows) < len(records):
            self._lose(len(records) - len(rows))
        self._recover()

    async def _store(self, rows: Sequence[Row]) -> None:
        try:
            async with self._database.write() as session:
                new = await write_rows(session, rows)
        except (Unprocessable, IntegrityError):  # one of them; the others must not wait for it for ever
            if len(rows) == 1:
                self._lose(1)
                return
            for row in rows:
                await self._store([row])
        else:
            self.written += new

    def _take(self) -> list[Row]:
        rows = []
        for end in [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]:
            try:
                rows.append(end if isinstance(end, Row) else row_of(end))
            except (AttributeError, OverflowError, TypeError, ValueError):  # a handler wrote nonsense into its exchange
                self._lose(1)
        return rows

    def _put_back(self, batch: Sequence[Row]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._arrived.set()

    # -- what went wrong -----------------------------------------------------------------------------------------------

    def _lose(self, count: int) -> None:
        if self.lost == 0 or count > 1:
            logger.error("usage: %d row(s) could be stored nowhere and are lost; further ones are counted", count)
        self.lost += count

    def _fail(self, error: StorageUnavailable) -> None:
        if not self._failing:
            logger.warning("usage: rows cannot be stored now and wait in the spool: %s", error.message)
        self._failing = True

    def _recover(self) -> None:
        if self._failing:
            logger.info("usage: rows are stored again; %d wait in the spool", self._spool.waiting.get(KIND, 0))
            self._recovered.set()
        self._failing = False


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("usage: a task stopped, and rows are no longer written", exc_info=error)

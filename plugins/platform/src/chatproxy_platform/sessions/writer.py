"""Writer: turns of sessions on their way to the database, many in one transaction.

Rule: one task writes; who puts a turn waits until it is committed, or durably kept in the spool. Turns are stored in
the order in which they are committed; what waits in the spool comes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec
from sqlalchemy.exc import IntegrityError

from chatproxy_platform.errors import StorageUnavailable, Unprocessable
from chatproxy_platform.sessions.turns import KIND, KeptTurn
from chatproxy_platform.sessions.writing import write_turns
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Record, Spool

logger = logging.getLogger("chatproxy.platform")
REFUSED = "turns_refused"
_POISONED = (IntegrityError, Unprocessable)
_BATCH = 100
_RETRY_S = 1.0
_MORE_S = 1.0


class _Waiting(msgspec.Struct):
    turn: KeptTurn
    stored: asyncio.Future[None]


class Writer:
    """Writes the turns of one application.

    Attributes:
        written: turns that were committed here; ``spooled``: that went to the spool.
    """

    def __init__(self, database: Database, spool: Spool) -> None:
        self._database = database
        self._spool = spool
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False
        self.written = 0
        self.spooled = 0

    def open(self) -> None:
        """Begin to write; also what waits in the spool."""
        self._is_closing = False
        self._wake.set()
        self._run()

    async def aclose(self) -> None:
        """Write what waits; what the database does not take goes to the spool."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=2 * self._database.config.deadline_s + _MORE_S)
            self._task.cancel()
        left, self._waiting = self._waiting, []
        await self._keep(left)

    async def put(self, turn: KeptTurn) -> None:
        """Store a turn; it is durable when this returns.

        Raises:
            StorageUnavailable: neither the database nor the spool took it (503).
        """
        waiting = _Waiting(turn, asyncio.get_running_loop().create_future())
        if self._is_closing:
            await self._keep([waiting])
            return await waiting.stored
        self._waiting.append(waiting)
        self._wake.set()
        self._run()
        try:
            async with asyncio.timeout(self._database.config.deadline_s + _MORE_S):
                await asyncio.shield(waiting.stored)
        except TimeoutError:  # the writer may still store it; twice is harmless
            late = _Waiting(turn, asyncio.get_running_loop().create_future())
            await self._keep([late])
            await late.stored
        return None

    async def catch_up(self) -> None:
        """Write what waits in the spool, so that a session can be read whole.

        Raises:
            StorageUnavailable: the database does not take it (503).
        """
        if self._spool.waiting.get(KIND):
            await self._spool.drain(KIND, self._replay)

    # -- the one that writes ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._own(), name="session-writer")

    async def _own(self) -> None:
        while True:
            await self._awoken()
            is_up = await self._caught_up()
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if batch and is_up:
                await self._write(batch)
            elif batch:
                await self._keep(batch)
            if self._is_closing and not self._waiting:
                return

    async def _awoken(self) -> None:
        """Wait for a turn; while the spool holds some, only for a while."""
        if self._waiting or self._is_closing:
            return
        self._wake.clear()
        limit_s = _RETRY_S if self._spool.waiting.get(KIND) else None
        try:
            async with asyncio.timeout(limit_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _caught_up(self) -> bool:
        try:
            await self.catch_up()
        except StorageUnavailable:
            return False
        return True

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._commit([waiting.turn for waiting in batch])
        except StorageUnavailable:
            await self._keep(batch)
        except _POISONED:  # another process was faster with one of them; or one can never be stored
            if len(batch) == 1:
                logger.exception("a turn cannot be stored; it is put aside")
                await self._keep(batch, REFUSED)
            for waiting in batch if len(batch) > 1 else ():
                await self._write([waiting])
        else:
            for waiting in batch:
                _settle(waiting, None)

    async def _commit(self, turns: Sequence[KeptTurn]) -> None:
        async with self._database.write() as session:
            await write_turns(session, turns)
        self.written += len(turns)

    async def _keep(self, batch: Sequence[_Waiting], kind: str = KIND) -> None:
        """Put turns into the spool."""
        if not batch:
            return
        try:
            await self._spool.put_all(kind, [msgspec.to_builtins(waiting.turn) for waiting in batch])
        except StorageUnavailable as error:
            for waiting in batch:
                _settle(waiting, error)
        else:
            self.spooled += len(batch)
            for waiting in batch:
                _settle(waiting, None)

    async def _replay(self, records: list[Record]) -> None:
        """Write turns out of the spool; what is no turn is put aside."""
        turns: list[KeptTurn] = []
        for record in records:
            try:
                turns.append(msgspec.convert(record, KeptTurn))
            except msgspec.ValidationError:
                logger.exception("a record of the spool is no turn of a session; it is put aside")
                await self._spool.put(REFUSED, record)
        try:
            await self._commit(turns)
        except _POISONED:
            for turn in turns:
                await self._replay_one(turn)

    async def _replay_one(self, turn: KeptTurn) -> None:
        try:
            await self._commit([turn])
        except _POISONED:
            logger.exception("a turn of the spool cannot be stored; it is put aside")
            await self._spool.put(REFUSED, msgspec.to_builtins(turn))


def _settle(waiting: _Waiting, error: StorageUnavailable | None) -> None:
    if waiting.stored.done():
        return
    if error is None:
        waiting.stored.set_result(None)
    else:
        waiting.stored.set_exception(StorageUnavailable(error.message))  # to each its own, for it is raised there
        waiting.stored.exception()  # who gave up waiting does not ask for it

"""Retention: sessions that nobody used for so long are deleted."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import select

from chatproxy_platform.clock import MICRO, now_us
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.sessions.deleting import delete_sessions
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import ChatSession

logger = logging.getLogger("chatproxy.platform")
_BATCH = 200
_DAY_S = 86_400
_MAX_INTERVAL_S = 3600.0


class Retention:
    """Deletes what is too old, from time to time; several processes may.

    Args:
        days: since a session was used last.
    """

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._age_us = round(days * _DAY_S * MICRO)
        self._interval_s = min(_MAX_INTERVAL_S, max(1.0, days * _DAY_S / 24))
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin; the first sweep is made at once."""
        self._task = asyncio.get_running_loop().create_task(self._own(), name="session-retention")

    async def aclose(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def sweep(self) -> int:
        """Delete all that is too old now; how many sessions that was.

        Raises:
            StorageUnavailable: the database did not answer (503).
        """
        before, deleted = now_us() - self._age_us, 0
        query = (
            select(ChatSession)
            .where(ChatSession.updated_at < before)
            .order_by(ChatSession.updated_at, ChatSession.row_id)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        while True:
            async with self._database.write() as session:
                rows = [*(await session.execute(query)).scalars()]
                await delete_sessions(session, rows)
            deleted += len(rows)
            if len(rows) < _BATCH:
                return deleted

    async def _own(self) -> None:
        while True:
            try:
                if deleted := await self.sweep():
                    logger.info("%d sessions were deleted: older than is kept", deleted)
            except StorageUnavailable:
                logger.warning("old sessions could not be deleted: the database does not answer")
            await asyncio.sleep(self._interval_s)

"""Rows that the database did not take: in the spool, else in memory and in the log, until it takes them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.store import append_new
from chatproxy_platform.errors import SpoolFull
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool

logger = logging.getLogger("chatproxy.platform.audit")

KIND = "audit"
MAX_KEPT = 10_000
MAX_GROUP = 500


class Debts:
    """What has yet to be written.

    Attributes:
        lost: rows for which there was no room anywhere; the log has them, complete.
    """

    def __init__(self, spool: Spool | None, max_kept: int = MAX_KEPT) -> None:
        self._spool = spool
        self._max_kept = max_kept
        self._kept: deque[AuditEvent] = deque()
        self.lost = 0
        self.damaged = 0

    @property
    def kept_in_memory(self) -> int:
        """Rows that neither the database nor the spool took."""
        return len(self._kept)

    @property
    def spooled(self) -> int:
        """Rows that wait in the spool."""
        return 0 if self._spool is None else self._spool.waiting.get(KIND, 0)

    async def add(self, events: Sequence[AuditEvent]) -> None:
        """Keep rows as durably as it goes."""
        if self._spool is None:
            return self.keep(events)
        try:
            await self._spool.put_all(KIND, [msgspec.to_builtins(event, enc_hook=str) for event in events])
        except SpoolFull:
            self.keep(events)
        return None

    def keep(self, events: Sequence[AuditEvent]) -> None:
        """Keep rows in memory, and say in the log what they are: it is all that is left if this process dies."""
        for event in events:
            line = msgspec.json.encode(event, enc_hook=str).decode(errors="replace")
            if len(self._kept) < self._max_kept:
                self._kept.append(event)
                logger.error("audit row kept in memory only: %s", line)
            else:
                self.lost += 1
                logger.error("audit row lost: %s", line)

    async def respool(self) -> None:
        """Try the spool again for what is in memory only, before the process ends."""
        events = list(self._kept)
        self._kept.clear()
        if events:
            await self.add(events)

    async def pay(self, database: Database) -> int:
        """Write all that waits; how many rows there were.

        Raises:
            StorageUnavailable: the database still does not take them, and the rest keeps waiting.
        """
        paid = 0
        while self._kept:
            events = [self._kept[index] for index in range(min(MAX_GROUP, len(self._kept)))]
            await self._write(database, events)
            for _ in events:
                self._kept.popleft()
            paid += len(events)
        if self._spool is not None and self.spooled:
            paid += await self._spool.drain(KIND, lambda records: self._write(database, self._decoded(records)))
        return paid

    async def _write(self, database: Database, events: Sequence[AuditEvent]) -> None:
        async with database.write(durable=True) as session:
            await append_new(session, events)

    def _decoded(self, records: list[dict[str, Any]]) -> list[AuditEvent]:
        """The rows of a spool; what is none (somebody changed the file) is said and left out."""
        events: list[AuditEvent] = []
        for record in records:
            try:
                events.append(msgspec.convert(record, AuditEvent))
            except msgspec.ValidationError as exc:
                self.damaged += 1
                logger.error("audit row in the spool is unreadable (%s)", exc)  # noqa: TRY400
        return events

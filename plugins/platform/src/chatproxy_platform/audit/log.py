"""AuditLog: who did what, in rows that nobody can change without being noticed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.audit.chain import Fault, Head
from chatproxy_platform.audit.debts import Debts
from chatproxy_platform.audit.events import AuditEvent, Entry
from chatproxy_platform.audit.reading import AuditReader, Filter, Verdict
from chatproxy_platform.audit.store import append
from chatproxy_platform.audit.writer import AuditWriter
from chatproxy_platform.config import AuditConfig
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool

CLOSING_S = 5.0


class AuditLog:
    """The audit log of one process; several may write at once.

    Args:
        spool: where rows wait that the database does not take; None: in memory only.
    """

    def __init__(self, database: Database, config: AuditConfig, spool: Spool | None = None) -> None:
        self._database = database
        self._writer = AuditWriter(database, config.on_failure, Debts(spool))
        self.reader = AuditReader(database)

    async def open(self) -> None:
        """Begin to write, rows that wait since an earlier run among them."""
        self._writer.open()

    async def aclose(self) -> None:
        """Write what waits; close it before the spool and the database."""
        await self._writer.aclose(CLOSING_S)

    async def append(self, session: AsyncSession, *events: AuditEvent) -> None:
        """Write rows within the caller's transaction: act and rows are stored together, or none of them.

        Other writers wait from here until the transaction ends, so make it its last step.

        Args:
            session: of ``database.write(durable=True)``.

        Raises:
            StorageUnavailable: the log cannot be continued (503).
        """
        await append(session, events)

    async def record(self, *events: AuditEvent) -> None:
        """Write rows in a transaction of their own, together with others that wait.

        When it returns they outlive the process; with the policy ``degrade`` they may be in the spool only, or (said in
        the log) in memory.

        Raises:
            StorageUnavailable: they were not written, and the policy is ``refuse``: do not do the act (503).
        """
        if events:
            await self._writer.store(events)

    def note(self, event: AuditEvent) -> None:
        """Write a row soon, of something that is refused or over; returns at once and never raises."""
        self._writer.note(event)

    async def page(self, limit: int = 50, offset: int = 0, **wanted: str | None) -> tuple[list[Entry], int]:
        """Some rows, the newest first, and how many there are in all.

        Args:
            wanted: fields of `Filter`.

        Raises:
            StorageUnavailable: 503.
        """
        return await self.reader.page(limit, offset, Filter(**wanted))

    async def tail(self, count: int) -> list[Entry]:
        """The last rows, the oldest of them first."""
        return await self.reader.tail(count)

    async def verify(self, anchor: Head | None = None) -> Fault | None:
        """The first bad row; None: all is as it was written. As `AuditReader.verify`."""
        return (await self.check(anchor)).fault

    async def check(self, anchor: Head | None = None) -> Verdict:
        """As `verify`, with how far the rows are good."""
        return await self.reader.verify(anchor)

    def export(self) -> AsyncGenerator[bytes]:
        """All rows as JSON lines, the oldest first, some at a time; close it when you stop early."""
        return self.reader.export()

    def report(self) -> dict[str, Any]:
        """For ``/readyz``."""
        return self._writer.report()

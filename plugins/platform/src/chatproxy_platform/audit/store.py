"""Rows of the audit log inside of a transaction: the head is locked, the rows follow it, the head moves."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.audit.chain import FIRST, Head, link
from chatproxy_platform.audit.events import AuditEvent, Entry
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.tables import AuditEntry, AuditHead

logger = logging.getLogger("chatproxy.platform.audit")
HEAD = 1


async def append(session: AsyncSession, events: Sequence[AuditEvent]) -> list[Entry]:
    """Put rows at the end of the log, within the caller's transaction.

    Only one transaction at a time gets past here until it ends, in all processes together.

    Raises:
        StorageUnavailable: there is a row already where the next one belongs; somebody changed the log (503).
    """
    if not events:
        return []
    head = await lock_head(session)
    rows = link(head, events)
    try:
        await session.execute(insert(AuditEntry), [msgspec.structs.asdict(row) for row in rows])
    except IntegrityError as exc:
        logger.critical("the audit log cannot go on after row %d; run: chatproxy audit verify", head.seq)
        raise StorageUnavailable("The audit log cannot be written; its administrator has to look.") from exc
    await _move_head(session, Head(rows[-1].seq, rows[-1].hash))
    return rows


async def append_new(session: AsyncSession, events: Sequence[AuditEvent]) -> list[Entry]:
    """As `append`, without those that are stored already; for rows whose storing was tried before."""
    await lock_head(session)
    ids = [event.id for event in events]
    stored = set((await session.scalars(select(AuditEntry.id).where(AuditEntry.id.in_(ids)))).all())
    fresh = {event.id: event for event in events if event.id not in stored}
    return await append(session, list(fresh.values()))


async def lock_head(session: AsyncSession) -> Head:
    """The last row; nobody else appends until this transaction ends."""
    head = await _head(session)
    if head is not None:
        return head
    await _make_head(session)
    return await _head(session) or FIRST


async def _head(session: AsyncSession) -> Head | None:
    query = select(AuditHead.seq, AuditHead.hash).where(AuditHead.id == HEAD).with_for_update()
    found = (await session.execute(query)).one_or_none()
    return None if found is None else Head(found.seq, found.hash)


async def _make_head(session: AsyncSession) -> None:
    """Make the record of the last row, in the one of the processes that append first."""
    new = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    made = new(AuditHead).values(id=HEAD, seq=FIRST.seq, hash=FIRST.hash).on_conflict_do_nothing()
    if await session.scalar(made.returning(AuditHead.id)) is not None:
        await _restore_head(session)


async def _restore_head(session: AsyncSession) -> None:
    """Where there are rows, their head was taken away: the log goes on after the last of them, and a row says so."""
    query = select(AuditEntry.seq, AuditEntry.hash).order_by(AuditEntry.seq.desc()).limit(1)
    last = (await session.execute(query)).one_or_none()
    if last is None:
        return
    logger.error("the record of the audit log's last row was missing; the log goes on after row %d", last.seq)
    await _move_head(session, Head(last.seq, last.hash))
    await append(session, [AuditEvent("audit.head_restored", "audit", metadata={"seq": last.seq})])


async def _move_head(session: AsyncSession, head: Head) -> None:
    moved = update(AuditHead).where(AuditHead.id == HEAD).values(seq=head.seq, hash=head.hash)
    await session.execute(moved, execution_options={"synchronize_session": False})

"""Reads the audit log: page by page, or all of it in batches, so that a million rows need the memory of one batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, func, select

from chatproxy_platform.audit.chain import Checker, Fault, Head
from chatproxy_platform.audit.events import Entry
from chatproxy_platform.audit.store import HEAD
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import AuditEntry, AuditHead

BATCH = 1000
_LAST = (1 << 63) - 1
_COLUMNS = tuple(getattr(AuditEntry, name) for name in Entry.__struct_fields__)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows; None: whatever they have."""

    action: str | None = None
    resource: str | None = None
    resource_id: str | None = None
    user_id: str | None = None
    org_id: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a query."""
        wanted = msgspec.structs.asdict(self)
        return [getattr(AuditEntry, name) == value for name, value in wanted.items() if value is not None]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `AuditReader.verify` found: up to which row it looked, and the first thing that is wrong."""

    rows: int
    hash: str
    fault: Fault | None


class AuditReader:
    """Everything that only reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, limit: int, offset: int, wanted: Filter) -> tuple[list[Entry], int]:
        """Some rows, the newest first, and how many there are in all."""
        conditions = wanted.conditions()
        query = select(*_COLUMNS).where(*conditions).order_by(AuditEntry.seq.desc()).limit(limit)
        async with self._database.read() as session:
            if conditions:
                counted = select(func.count()).select_from(AuditEntry).where(*conditions)
                count = (await session.scalars(counted)).one()
                query = query.offset(offset)
            else:  # rows have no gaps, so the place of the first one is known, however far back it is
                count = await session.scalar(select(AuditHead.seq).where(AuditHead.id == HEAD)) or 0
                query = query.where(AuditEntry.seq <= count - offset)
            rows = (await session.execute(query)).all()
        return [_entry(row) for row in rows], count

    async def tail(self, count: int) -> list[Entry]:
        """The last rows, the oldest of them first."""
        entries, _ = await self.page(count, 0, Filter())
        return entries[::-1]

    async def batches(self, after: int | None = None) -> AsyncGenerator[list[Entry]]:
        """All rows in their order; each batch is a piece of work of its own on the database."""
        while True:
            query = select(*_COLUMNS).order_by(AuditEntry.seq).limit(BATCH)
            batch = await self._batch(query if after is None else query.where(AuditEntry.seq > after))
            if batch:
                yield batch
                after = batch[-1].seq
            if len(batch) < BATCH or after == _LAST:
                return

    async def verify(self, anchor: Head | None = None) -> Verdict:
        """Check every row, up to the one that is the last now.

        Args:
            anchor: a row and its hash that somebody kept elsewhere; whoever may write the database can make a whole
                new chain, but not one with this row in it.
        """
        head, last_seq = await self._end()
        checker = Checker(anchor=anchor)
        fault: Fault | None = None
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                up_to = [row for row in batch if row.seq <= last_seq]
                fault = await asyncio.to_thread(_first_fault, checker, up_to)
                if fault is not None or batch[-1].seq >= last_seq:
                    break
        fault = fault or checker.finish(head)
        return Verdict(rows=checker.last.seq, hash=checker.last.hash, fault=fault)

    async def export(self) -> AsyncGenerator[bytes]:
        """JSON lines, with everything that is needed to check them elsewhere; some hundred lines at a time."""
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                yield await asyncio.to_thread(_lines, batch)

    async def _batch(self, query: Select[Any]) -> list[Entry]:
        async with self._database.read() as session:
            return [_entry(row) for row in (await session.execute(query)).all()]

    async def _end(self) -> tuple[Head | None, int]:
        """The record of the last row, and the last row that there is; in one statement, since rows come meanwhile."""
        last = select(func.max(AuditEntry.seq))
        query = select(AuditHead.seq, AuditHead.hash, last.scalar_subquery().label("last")).where(AuditHead.id == HEAD)
        async with self._database.read() as session:
            found = (await session.execute(query)).one_or_none()
            if found is None:
                return None, _coerced("seq", await session.scalar(last) or 0)
        return Head(found.seq, found.hash), _coerced("seq", found.last or 0)


def _entry(row: Sequence[Any]) -> Entry:
    values = dict(zip(Entry.__struct_fields__, row, strict=True))
    try:
        return msgspec.convert(values, Entry)
    except msgspec.ValidationError:  # SQLite keeps what it is given: somebody wrote a value of another type
        return Entry(**{name: _coerced(name, value) for name, value in values.items()})


def _coerced(name: str, value: Any) -> Any:
    if name in {"seq", "timestamp"}:  # another type than a number comes after all numbers
        return value if isinstance(value, int) else _LAST
    return value if value is None else str(value)


def _first_fault(checker: Checker, rows: Sequence[Entry]) -> Fault | None:
    return next((fault for fault in map(checker.feed, rows) if fault is not None), None)


def _lines(rows: Sequence[Entry]) -> bytes:
    return b"".join(map(json_line, rows))


def json_line(row: Entry) -> bytes:
    """A row as one line of JSON: what clients see of it, and what its hash needs beside that."""
    shown = {"seq": row.seq, **row.shown(), "details": row.details}
    return msgspec.json.encode({**shown, "previous_hash": row.previous_hash, "hash": row.hash}) + b"\n"

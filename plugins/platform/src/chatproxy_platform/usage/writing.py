"""Writing: rows into the database, with the sums that are kept of them, in one transaction.

Rule: a row that is there already changes nothing, so that who does not know whether a batch was stored writes it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.storage.tables import Spend, UsageDay, UsageRow
from chatproxy_platform.usage.rows import COLUMNS, Row, periods_of

_ROWS = cast("Table", UsageRow.__table__)
_DAYS = cast("Table", UsageDay.__table__)
_SPEND = cast("Table", Spend.__table__)
_SUMMED = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")


async def write_rows(session: AsyncSession, rows: Iterable[Row]) -> int:
    """Store what is not there yet; returns how many those were.

    Everything is written in the order of its keys, so that two writers never wait for each other.
    """
    by_id = {row.request_id: row for row in rows}
    if not by_id:
        return 0
    stored = await _insert(session, [by_id[request_id] for request_id in sorted(by_id)])
    new = [by_id[request_id] for request_id in stored]
    await _add(session, _DAYS, _day_sums(new))
    await _add(session, _SPEND, _spend_sums(new))
    return len(new)


async def _insert(session: AsyncSession, rows: Sequence[Row]) -> Sequence[str]:
    statement = _dialect(session).insert(_ROWS).on_conflict_do_nothing().returning(_ROWS.c.request_id)
    values = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    return (await session.execute(statement, values)).scalars().all()


async def _add(session: AsyncSession, table: Table, sums: dict[tuple[str, ...], dict[str, int]]) -> None:
    """Add to the sums that are kept under these keys."""
    if not sums:
        return
    statement = _dialect(session).insert(table)
    keys = [column.name for column in table.primary_key]
    summed = {
        column.name: column + statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    statement = statement.on_conflict_do_update(index_elements=keys, set_=summed)
    await session.execute(statement, [dict(zip(keys, key, strict=True)) | sums[key] for key in sorted(sums)])


def _day_sums(rows: Iterable[Row]) -> dict[tuple[str, ...], dict[str, int]]:
    sums: dict[tuple[str, ...], dict[str, int]] = {}
    for row in rows:
        key = (row.day, row.key_id or "", row.user_id or "", row.organization_id or "", row.model)
        found = sums.get(key)
        if found is None:
            found = sums[key] = dict.fromkeys(("requests", "errors", *_SUMMED, "cost_nanousd"), 0)
        found["requests"] += 1
        found["errors"] += row.is_error
        found["cost_nanousd"] += row.cost_nanousd or 0
        for name in _SUMMED:
            found[name] += getattr(row, name)
    return sums


def _spend_sums(rows: Iterable[Row]) -> dict[tuple[str, ...], dict[str, int]]:
    sums: dict[tuple[str, ...], dict[str, int]] = {}
    for row in rows:
        if not row.cost_nanousd:
            continue
        for subject in row.subjects:
            for period in periods_of(row.day):
                found = sums.setdefault((subject, period), {"nanousd": 0})
                found["nanousd"] += row.cost_nanousd
    return sums


def _dialect(session: AsyncSession) -> Any:
    """The module with the ``INSERT … ON CONFLICT`` of this session's database."""
    return sqlite if session.get_bind().dialect.name == "sqlite" else postgresql


def row_from(record: dict[str, Any]) -> Row | None:
    """A row that waited in the spool; None where it is none, as one of another version may be."""
    try:
        return msgspec.convert(record, Row)
    except msgspec.ValidationError:
        return None

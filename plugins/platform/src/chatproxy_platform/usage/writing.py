"""Writing: rows into the database, with the sums that are kept of them, in one transaction.

Rule: a row that is there already changes nothing, so that who does not know whether a batch was stored writes it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, cast

import msgspec
from sqlalchemy import JSON, Executable, FromClause, Table, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.storage.tables import Spend, UsageDay, UsageRow
from chatproxy_platform.usage.rows import COLUMNS, Row, periods_of

_ROWS = cast("Table", UsageRow.__table__)
_DAYS = cast("Table", UsageDay.__table__)
_SPEND = cast("Table", Spend.__table__)
_SUMMED = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
Sums = dict[tuple[str, ...], dict[str, int]]


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


def row_from(record: dict[str, Any]) -> Row | None:
    """A row that waited in the spool; None where it is none, as one of another version may be."""
    try:
        return msgspec.convert(record, Row)
    except msgspec.ValidationError:
        return None


async def _insert(session: AsyncSession, rows: Sequence[Row]) -> Sequence[str]:
    values = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    if session.get_bind().dialect.name != "sqlite":
        return (await session.execute(_insertion(), {"rows": values})).scalars().all()
    # There is no other writer meanwhile, and a RETURNING for each of many rows costs SQLite's driver twice the time.
    ids = [row.request_id for row in rows]
    known = set((await session.execute(select(_ROWS.c.request_id).where(_ROWS.c.request_id.in_(ids)))).scalars())
    new = [value for value in values if value["request_id"] not in known]
    if new:
        await session.execute(sqlite.insert(_ROWS), new)
    return [value["request_id"] for value in new]


async def _add(session: AsyncSession, table: Table, sums: Sums) -> None:
    """Add to the sums that are kept under these keys."""
    if not sums:
        return
    keys = table.primary_key.columns.keys()
    values = [dict(zip(keys, key, strict=True)) | sums[key] for key in sorted(sums)]
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(_added(sqlite.insert(table), table), values)
    else:
        await session.execute(_addition(table), {"rows": values})


# -- statements --------------------------------------------------------------------------------------------------------
# PostgreSQL gets all rows of a batch as one parameter, for its drivers' work on thousands of them takes longer than its
# own.


@lru_cache
def _insertion() -> Executable:
    source = _source(_ROWS)
    statement = postgresql.insert(_ROWS).from_select(source.c.keys(), select(source))
    return statement.on_conflict_do_nothing().returning(_ROWS.c.request_id)


@lru_cache
def _addition(table: Table) -> Executable:
    source = _source(table)
    return _added(postgresql.insert(table).from_select(source.c.keys(), select(source)), table)


def _added(statement: postgresql.Insert | sqlite.Insert, table: Table) -> Executable:
    """An insertion that adds to the row of the same key, where there is one."""
    keys = table.primary_key.columns.keys()
    summed = {each.name: each + statement.excluded[each.name] for each in table.columns if each.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=summed)


def _source(table: Table) -> FromClause:
    """The parameter ``rows``, a JSON array of objects, as rows in their order."""
    columns = (column(each.name, each.type) for each in table.columns)
    rows = bindparam("rows", type_=JSON)
    return func.json_to_recordset(rows).table_valued(*columns).render_derived(with_types=True)


# -- sums --------------------------------------------------------------------------------------------------------------


def _day_sums(rows: Iterable[Row]) -> Sums:
    sums: Sums = {}
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


def _spend_sums(rows: Iterable[Row]) -> Sums:
    sums: Sums = {}
    for row in rows:
        if not row.cost_nanousd:
            continue
        for subject in row.subjects:
            for period in periods_of(row.day):
                found = sums.setdefault((subject, period), {"nanousd": 0})
                found["nanousd"] += row.cost_nanousd
    return sums

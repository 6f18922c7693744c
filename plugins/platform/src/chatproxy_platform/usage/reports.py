"""Reports: sums of usage, by any of day, model, key, user and organization, as far as somebody may see them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, false, func, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy.errors import InvalidRequest
from chatproxy_platform.errors import Unprocessable
from chatproxy_platform.identity.records import Actor
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import UsageDay, User
from chatproxy_platform.usage.rates import NANO
from chatproxy_platform.usage.rows import clean

# What can be grouped by, and where it stands in a report.
DIMENSIONS = {
    "day": "day",
    "model": "model",
    "key": "key_id",
    "user": "user_id",
    "organization": "organization_id",
}
MEASURES = ("requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cost_nanousd")
MAX_LIMIT = 10_000
ACTIVE_DAYS = 30


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is about.

    Attributes:
        by: names of `DIMENSIONS`, in the order of the columns; none: one row with everything.
        start: the first day, ``2026-11-01``, UTC; ``end``: the last one.
        key_id: and the others: of these alone.
    """

    by: tuple[str, ...] = ("day",)
    start: str | None = None
    end: str | None = None
    key_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    model: str | None = None
    limit: int = 100
    offset: int = 0


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """Sums; what a report is not grouped by is None, and so is nobody."""

    day: str | None = None
    model: str | None = None
    key_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    cost_nanousd: int
    cost_usd: float


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """A page of sums.

    Attributes:
        count: rows on all pages; ``total`` is the sum of them.
    """

    rows: list[UsageSum]
    count: int
    total: UsageSum


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the whole platform; days are of UTC.

    Attributes:
        total_users: who is known, or has asked for something with an issuer's token.
        active_users: who has asked for something in the last 30 days.
    """

    total_users: int
    active_users: int
    total_requests: int
    requests_today: int
    total_tokens: int
    tokens_today: int
    cost_usd: float
    cost_usd_today: float


class Reports:
    """Reads what `UsageRecorder` wrote."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(self, actor: Actor, query: UsageQuery) -> UsageReport:
        """Sums, in the order of what they are grouped by.

        Args:
            actor: a user sees their own, an organization's administrator theirs, the platform's everybody's.

        Raises:
            InvalidRequest: a name or a day is none (400).
            Unprocessable: a limit or offset is none (422).
            StorageUnavailable: the database failed (503).
        """
        columns = _columns(query.by)
        conditions = [*_scope(actor), *_filters(query)]
        groups = _summed(columns).where(*conditions).group_by(*columns)
        page = groups.order_by(*columns).limit(_limit(query.limit)).offset(_offset(query.offset))
        async with self._database.read() as session:
            total = (await session.execute(_summed([]).where(*conditions))).one()
            count = await _count(session, groups) if columns else 1
            rows = (await session.execute(page)).all() if columns else [total]
        names = [DIMENSIONS[name] for name in query.by]
        return UsageReport(rows=[_sum(names, row) for row in rows], count=count, total=_sum([], total))

    async def totals(self) -> Totals:
        """Numbers of the whole platform, for its statistics."""
        today = datetime.now(UTC).date()
        since = (today - timedelta(days=ACTIVE_DAYS - 1)).isoformat()
        users = select(UsageDay.user_id.label("id")).where(UsageDay.user_id != "")
        known = union(select(User.id), users).subquery()
        active = users.where(UsageDay.day >= since).distinct().subquery()
        async with self._database.read() as session:
            total = _sum([], (await session.execute(_summed([]))).one())
            of_today = _sum([], (await session.execute(_summed([]).where(UsageDay.day == today.isoformat()))).one())
            total_users = (await session.execute(select(func.count()).select_from(known))).scalar_one()
            active_users = (await session.execute(select(func.count()).select_from(active))).scalar_one()
        return Totals(
            total_users=total_users,
            active_users=active_users,
            total_requests=total.requests,
            requests_today=of_today.requests,
            total_tokens=total.total_tokens,
            tokens_today=of_today.total_tokens,
            cost_usd=total.cost_usd,
            cost_usd_today=of_today.cost_usd,
        )


def to_csv(report: UsageReport, by: Sequence[str]) -> str:
    """A report's rows as RFC 4180 says, with a line of names.

    A cell that a spreadsheet would run as a formula gets an apostrophe in front, for clients make up models' names.
    """
    names = [DIMENSIONS[name] for name in by]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*names, *MEASURES, "cost_usd"])
    for row in report.rows:
        writer.writerow(
            [
                *(_cell(getattr(row, name)) for name in names),
                *(getattr(row, name) for name in MEASURES),
                f"{row.cost_nanousd // NANO}.{row.cost_nanousd % NANO:09d}",
            ]
        )
    return text.getvalue()


def _cell(value: str | None) -> str:
    return f"'{value}" if value and value[0] in "=+-@\t\r" else value or ""


# -- queries ----------------------------------------------------------------------------------------------------------


def _columns(by: Sequence[str]) -> list[Any]:
    for name in by:
        if name not in DIMENSIONS:
            raise InvalidRequest(f"Usage is not kept by {name!r}, but by {', '.join(DIMENSIONS)}.", param="by")
    if len(set(by)) < len(by):
        raise InvalidRequest("Name each of them once.", param="by")
    return [getattr(UsageDay, DIMENSIONS[name]) for name in by]


def _summed(columns: Sequence[Any]) -> Select[Any]:
    # PostgreSQL's sum of whole numbers is a decimal one, and none at all where there are no rows.
    return select(*columns, *(func.coalesce(func.sum(getattr(UsageDay, name)), 0) for name in MEASURES))


async def _count(session: AsyncSession, groups: Select[Any]) -> int:
    return (await session.execute(select(func.count()).select_from(groups.subquery()))).scalar_one()


def _sum(names: Sequence[str], row: Row[Any] | Sequence[Any]) -> UsageSum:
    found: dict[str, Any] = {name: value or None for name, value in zip(names, row, strict=False)}
    found |= zip(MEASURES, map(int, row[len(names) :]), strict=True)
    return UsageSum(**found, cost_usd=found["cost_nanousd"] / NANO)


def _filters(query: UsageQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.start is not None:
        found.append(UsageDay.day >= _day(query.start, "from"))
    if query.end is not None:
        found.append(UsageDay.day <= _day(query.end, "to"))
    for name, size in (("key_id", 64), ("user_id", 200), ("organization_id", 64), ("model", 200)):
        value = clean(getattr(query, name), size)
        if value is not None:
            found.append(getattr(UsageDay, name) == value)
    return found


def _scope(actor: Actor) -> list[ColumnElement[bool]]:
    """What somebody may see at most."""
    identity = actor.identity
    if identity is None or identity.role == "platform_admin":
        return []
    if identity.role == "org_admin" and identity.organization_id:
        return [UsageDay.organization_id == identity.organization_id]
    if identity.user_id:
        return [UsageDay.user_id == identity.user_id]
    return [UsageDay.key_id == identity.key_id] if identity.key_id else [false()]


def _day(text: str, param: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as exc:
        raise InvalidRequest(f"{param!r} must be a day as 2026-11-21.", param=param) from exc


def _limit(value: int) -> int:
    if not 1 <= value <= MAX_LIMIT:
        raise Unprocessable(f"'limit' must be between 1 and {MAX_LIMIT}.", param="limit")
    return value


def _offset(value: int) -> int:
    if not 0 <= value <= 2**53:
        raise Unprocessable("'offset' must not be negative.", param="offset")
    return value

"""How many sessions there are in each listing, kept in the transaction that makes or deletes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.storage.tables import SessionCount

_COUNTS = cast("Table", SessionCount.__table__)
Change = tuple[str, str, str | None, int]
"""Owner, user, organization, and how many sessions more."""


def organization_key(organization_id: str) -> tuple[str, str]:
    """Where an organization's sessions are counted."""
    return f"organization:{organization_id}", ""


async def count_sessions(session: AsyncSession, changes: Iterable[Change]) -> None:
    """Count sessions that were made (1) or deleted (-1), always in the same order of rows."""
    sums: Counter[tuple[str, str]] = Counter()
    for owner, user_id, organization_id, more in changes:
        for key in ((owner, user_id), (owner, ""), ("", user_id), ("", "")):
            sums[key] += more
        if organization_id is not None:
            sums[organization_key(organization_id)] += more
    rows = [{"owner": owner, "user_id": user_id, "sessions": more} for (owner, user_id), more in sorted(sums.items())]
    if not rows:
        return
    await session.execute(_adding(session.get_bind().dialect.name), rows)


@cache
def _adding(dialect: str) -> Any:  # made once: it would be compiled each time
    inserted = (sqlite if dialect == "sqlite" else postgresql).insert(_COUNTS)
    return inserted.on_conflict_do_update(
        index_elements=[_COUNTS.c.owner, _COUNTS.c.user_id],
        set_={"sessions": _COUNTS.c.sessions + inserted.excluded.sessions},
    )


async def sessions_counted(session: AsyncSession, key: tuple[str, str]) -> int:
    """How many there are."""
    query = select(_COUNTS.c.sessions).where(_COUNTS.c.owner == key[0], _COUNTS.c.user_id == key[1])
    return (await session.execute(query)).scalar() or 0

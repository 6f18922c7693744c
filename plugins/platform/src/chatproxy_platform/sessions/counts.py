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
Key = tuple[str, str]
Change = tuple[str, str, str | None, int]
"""Owner, user, organization, and how many sessions more."""


def organization_key(organization_id: str, user_id: str | None = None) -> Key:
    """Where an organization's sessions are counted, or those of one of its users."""
    return f"organization:{organization_id}", user_id or ""


async def count_sessions(session: AsyncSession, changes: Iterable[Change], *, archived: bool = False) -> None:
    """Count sessions that were made (1) or deleted (-1), always in the same order of rows.

    Args:
        archived: count those that were put into the archive (1) or taken out (-1), which are counted apart too.
    """
    sums: Counter[Key] = Counter()
    for owner, user_id, organization_id, more in changes:
        keys: list[Key] = [(owner, user_id), (owner, ""), ("", user_id), ("", "")]
        if organization_id is not None:
            keys += [organization_key(organization_id), organization_key(organization_id, user_id)]
        sums.update({_archive(key) if archived else key: more for key in keys})
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


async def sessions_counted(session: AsyncSession, key: Key, *, archived: bool | None) -> int:
    """How many there are: in the archive, outside of it, or (None) both."""
    query = select(_COUNTS.c.owner, _COUNTS.c.sessions).where(
        _COUNTS.c.owner.in_([key[0], _archive(key)[0]]), _COUNTS.c.user_id == key[1]
    )
    found = {row[0]: row[1] for row in (await session.execute(query)).all()}
    everything, in_archive = found.get(key[0], 0), found.get(_archive(key)[0], 0)
    if archived is None:
        return int(everything)
    return int(in_archive if archived else everything - in_archive)


def _archive(key: Key) -> Key:
    return f"archived:{key[0]}", key[1]

"""What tests of usage share: exchanges that ended, and a second way to add up what is stored."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatproxy_platform.config import Limits, UsageConfig
from chatproxy_platform.identity.records import Identity, Subject
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.storage.tables import Spend, UsageDay, UsageRow
from chatproxy_platform.usage.recorder import UsageRecorder
from sqlalchemy import Table, select

from chatproxy import Exchange, Usage

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
PROCESS = [sys.executable, str(Path(__file__).with_name("usage_process.py"))]
# Nothing listens there, and connecting is refused at once.
NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
_numbers = itertools.count()


def somebody(key: str | None = "k1", user: str | None = "u1", organization: str | None = "o1") -> Identity:
    """A key of a user of an organization."""
    names = [f"{kind}:{name}" for kind, name in (("key", key), ("user", user), ("org", organization)) if name]
    return Identity(
        id=f"key_{key}",
        key_id=key,
        user_id=user,
        organization_id=organization,
        owner=names[-1] if names else "key:none",
        subjects=tuple(Subject(name=name, limits=Limits()) for name in names),
    )


def exchange(*, prompt: int = 10, completion: int = 5, cached: int = 0, **fields: Any) -> Exchange:
    """One that ended well."""
    usage = Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion, cached_tokens=cached
    )
    values: dict[str, Any] = {
        "request_id": f"req_{next(_numbers)}_{secrets.token_hex(4)}",
        "started_at": NOON,
        "model": "gpt-4o",
        "handler": "upstream",
        "status": 200,
        "outcome": "completed",
        "duration_s": 0.5,
        "usage": usage,
    }
    return Exchange(**(values | fields))


def recorder(database: Database, spool: Path, **settings: Any) -> UsageRecorder:
    """One that writes soon."""
    config = UsageConfig(**({"flush_interval_s": 0.01} | settings))
    return UsageRecorder(database, Spool(spool, config.max_spool_bytes), config)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what a recorder's own tasks do."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - they set no event
            await asyncio.sleep(0)


async def rows_of(database: Database) -> list[Mapping[str, Any]]:
    """All rows, by their columns."""
    return await _all(database, UsageRow.__table__)


async def assert_exact(database: Database) -> list[Mapping[str, Any]]:
    """The kept sums are those of the rows; returns the rows."""
    rows = await rows_of(database)
    days: dict[tuple[str, ...], Counter[str]] = {}
    spend: Counter[tuple[str, str]] = Counter()
    for row in rows:
        who = {"key": row["key_id"], "user": row["user_id"], "org": row["organization_id"]}
        key = (row["day"], *(name or "" for name in who.values()), row["model"])
        money = row["cost_nanousd"] or 0
        counted = {"requests": 1, "errors": row["outcome"] in ("failed", "rejected"), "cost_nanousd": money}
        tokens = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
        days.setdefault(key, Counter()).update({**counted, **{name: row[name] for name in tokens}})
        for kind, name in who.items():
            for period in (row["day"], row["day"][:7], "total"):
                if name and money:
                    spend[f"{kind}:{name}", period] += money
    kept = {
        (row["day"], row["key_id"], row["user_id"], row["organization_id"], row["model"]): Counter(
            {name: value for name, value in row.items() if isinstance(value, int)}
        )
        for row in await _all(database, UsageDay.__table__)
    }
    assert kept == days
    spent = {(row["subject"], row["period"]): row["nanousd"] for row in await _all(database, Spend.__table__)}
    assert spent == spend
    return rows


async def _all(database: Database, table: Any) -> list[Mapping[str, Any]]:
    assert isinstance(table, Table)
    async with database.read() as session:
        return [dict(row) for row in (await session.execute(select(table))).mappings()]

"""The databases: made for a benchmark, filled with sessions, counted, and dropped.

Rule: plain SQL that SQLite and PostgreSQL read alike; the tables are the plugin's own, made by the gateway.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine as SqlEngine
from sqlalchemy import create_engine, text

from benchmarks.platform.cases import MANY, ORGANIZATIONS, USERS, Engine

POSTGRES = os.environ.get("CHATPROXY_TEST_POSTGRES", "postgresql://postgres:postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("CHATPROXY_TEST_REDIS", "redis://127.0.0.1:6379/0")

_SESSIONS = f"""
WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count),
m(i, who, home) AS (
  SELECT i, CASE i % 2 WHEN 0 THEN '{MANY}' ELSE 'user' || (i % {USERS}) END, 'org' || ((i / 2) % {ORGANIZATIONS})
  FROM n
)
INSERT INTO platform_sessions (id, owner, user_id, organization_id, title, model, surface, created_at, updated_at,
  last_message_at, message_count, tokens_in, tokens_out, tokens_total, metadata, archived)
SELECT 'sess_' || i, 'user:' || who, who, home, 'What was said ' || i, 'mock', 'chat', 1700000000000000 + i,
  1700000000000000 + ((i * 7919) % 1000003) * 1000000, 1700000000000000 + i, 2, 10, 20, 30, '{{}}', (i % 5) = 3 FROM m
"""  # noqa: S608 - constants of this benchmark; 7919 and 1000003 are primes, so that the order is another one
_COUNTED = (
    "owner, user_id",
    "owner, ''",
    "'', user_id",
    "'', ''",
    "'organization:' || organization_id, ''",
    "'organization:' || organization_id, user_id",
)
_TURNS = """
SELECT count(DISTINCT turn_id) FROM platform_messages
WHERE role = 'assistant' AND CAST(metadata AS TEXT) NOT LIKE '%"incomplete"%'
"""


@contextmanager
def made(engine: Engine, folder: Path) -> Iterator[str]:
    """An empty database's URL, as the plugin takes it; PostgreSQL's is a schema that is dropped in the end."""
    if engine == "SQLite":
        yield f"sqlite+aiosqlite:///{folder / 'platform.db'}"
        return
    url = POSTGRES.replace("postgresql://", "postgresql+psycopg://")
    schema = f"bench_{secrets.token_hex(8)}"
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
        try:
            yield f"{url}?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


def stored_turns(url: str) -> int:
    """How many complete turns there are."""
    engine = _engine(url)
    with engine.connect() as connection:
        count: int = connection.execute(text(_TURNS)).scalar_one()
    engine.dispose()
    return count


def fill(url: str, count: int) -> None:
    """Store sessions without messages, in an order that is not that of their use, and count them as the plugin does."""
    engine = _engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA cache_size = -400000"))
        connection.execute(text(_SESSIONS), {"count": count})
        for columns in _COUNTED:
            connection.execute(text(_counts(columns, archived=False)))
            connection.execute(text(_counts(columns, archived=True)))
        connection.execute(text("ANALYZE platform_sessions"))
    engine.dispose()


def _counts(columns: str, *, archived: bool) -> str:
    begin, where = ("'archived:' || ", "WHERE archived") if archived else ("", "")
    return (
        "INSERT INTO platform_session_counts (owner, user_id, sessions) SELECT o, u, count(*) FROM "  # noqa: S608
        f"(SELECT {begin}{columns.replace(', ', ' AS o, ')} AS u FROM platform_sessions {where}) AS s GROUP BY o, u"
    )


def _engine(url: str) -> SqlEngine:
    return create_engine(url.replace("+aiosqlite", ""))

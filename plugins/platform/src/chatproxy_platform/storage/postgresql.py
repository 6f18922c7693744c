"""PostgreSQL: how its connections are made, with psycopg or asyncpg.

Both drivers try to end a statement politely when the task that waits for it is cancelled, which takes seconds where
the server does not answer (psycopg 3.3: up to 10 s, asyncpg 0.32: 2 s). Here the connection is closed at once; the server's
``statement_timeout`` ends what still runs there.
"""

from __future__ import annotations

import asyncio
import select
from typing import Any

from sqlalchemy.exc import DisconnectionError

from chatproxy_platform.config import DatabaseConfig

DRIVERS = ("psycopg", "asyncpg")


def connect_arguments(driver: str) -> dict[str, Any]:
    """What SQLAlchemy passes to the driver."""
    if driver == "psycopg":
        from chatproxy_platform.storage.psycopg import Connection  # noqa: PLC0415 - an optional driver

        return {"async_creator_fn": Connection.connect}
    from chatproxy_platform.storage.asyncpg import connect  # noqa: PLC0415 - an optional driver

    return {"async_creator_fn": connect}

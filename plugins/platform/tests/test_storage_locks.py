"""The locks of SQLite, which belong to a process: they outlive another connection's opening and closing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.storage.database import Database
from sqlalchemy import text

SHARED_FIRST, SHARED_SIZE = 0x40000002, 510
"""The bytes of the file that a connection in WAL mode holds a shared lock on as long as it is open.

Source: SQLite, "File Locking And Concurrency", and ``os.h``."""

ASKS_FOR_THEM = f"""
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, {SHARED_SIZE}, {SHARED_FIRST})
    except OSError:
        print("held")
    else:
        print("free")
"""


def locks(path: Path) -> str:
    """Whether another process could take the file for its own."""
    asked = [sys.executable, "-c", ASKS_FOR_THEM, str(path)]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def test_connection_keeps_its_locks_while_others_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "platform.db"
    database = Database(f"sqlite:///{path}", DatabaseConfig())
    async with database.write() as session:
        await session.execute(text("CREATE TABLE kept (number INTEGER)"))
        assert locks(path) == "held"
        async with database.read() as reading:
            await reading.execute(text("SELECT count(*) FROM sqlite_master"))
            assert locks(path) == "held"
    other = Database(f"sqlite:///{path}", DatabaseConfig())
    async with other.read() as reading:
        await reading.execute(text("SELECT count(*) FROM kept"))
    await other.aclose()
    assert locks(path) == "held"
    await database.aclose()
    assert locks(path) == "free"

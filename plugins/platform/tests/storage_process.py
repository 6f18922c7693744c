"""What tests do with the storage in processes of their own; `test_storage_processes` starts them.

Its global ``ASKED`` is set: an action, its URL or directory, a number, and a pipe for what is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.storage import schema
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.storage.state import StateStore
from chatproxy_platform.storage.tables import Organization, Revision
from sqlalchemy import Engine, event

ASKED: tuple[str, str, int, Connection] = globals()["ASKED"]
ACTION, PLACE, NUMBER, SAY = ASKED
CONFIG = DatabaseConfig(deadline_s=20, busy_timeout_s=20)


async def upgrade(url: str, number: int) -> None:
    """Bring the schema up to date, and die at the statement with this number that makes something."""
    made = 0

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal made
        made += statement.lstrip().startswith(("CREATE", "INSERT"))
        if number and made == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    await schema.upgrade(Database(url, CONFIG))


async def increase(url: str, number: int) -> None:
    """Read and raise a number, so many times."""
    database = Database(url, CONFIG)
    for _ in range(number):
        async with database.write() as session:
            row = await session.get_one(Revision, "keys", with_for_update=True)
            row.value += 1
    await database.aclose()


async def insert(url: str, _: int) -> None:
    """Insert rows until killed, and say each that is committed."""
    database = Database(url, CONFIG)
    number = 0
    while True:
        number += 1
        async with database.write(durable=True) as session:
            session.add(Organization(id=f"{number}", name="x", created_at=number))
        SAY.send(number)


async def put(directory: str, _: int) -> None:
    """Put records until killed, and say each that is kept."""
    spool = Spool(directory, 1 << 30)
    number = 0
    while True:
        number += 1
        await spool.put("turn", {"number": number})
        SAY.send(number)


async def lock(url: str, number: int) -> None:
    """Raise a stored number under a lock, so many times."""
    database = Database(url, CONFIG)
    store = StateStore(database)
    for _ in range(number):
        async with store.lock("test", "number"):
            value = int(await store.get("test", "number") or b"0")
            await store.put("test", "number", b"%d" % (value + 1))
    await database.aclose()


ACTIONS: dict[str, Callable[[str, int], Awaitable[None]]] = {
    "upgrade": upgrade, "increase": increase, "insert": insert, "put": put, "lock": lock,
}  # fmt: skip


async def main() -> None:
    """Do what was asked for."""
    await ACTIONS[ACTION](PLACE, NUMBER)


if __name__ == "__main__":
    asyncio.run(main())

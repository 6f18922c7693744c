"""Several processes on one database or spool, and processes that are killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import runpy
import signal
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

import pytest
from chatproxy_platform.storage import schema
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.storage.state import StateStore
from chatproxy_platform.storage.tables import Organization, Revision
from sqlalchemy import func, select

MAKES_TABLES = True

SCRIPT = Path(__file__).with_name("storage_process.py")


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["chatproxy_platform.storage.schema", "chatproxy_platform.storage.state"])


class Running(NamedTuple):
    process: ForkServerProcess
    said: Connection


def left_in(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


async def start(action: str, place: str | Path, number: int = 0) -> Running:
    """A process of its own; modules are loaded once for all of them."""
    said, say = CONTEXT.Pipe(duplex=False)
    arguments = str(SCRIPT), {"ASKED": (action, str(place), number, say)}, "__main__"
    process = CONTEXT.Process(target=runpy.run_path, args=arguments)
    await asyncio.to_thread(process.start)
    say.close()
    return Running(process, said)


async def ended(running: Running) -> int | None:
    """Its exit code."""
    await asyncio.to_thread(running.process.join)
    running.said.close()
    return running.process.exitcode


async def acknowledged_until_killed(running: Running, count: int) -> int:
    """The last number that a process said, which is killed after it said so many."""
    last = 0
    try:
        while True:
            last = await asyncio.to_thread(running.said.recv)
            if last == count:
                running.process.kill()
    except EOFError:
        pass
    assert await ended(running) == -signal.SIGKILL
    return last


async def test_four_processes_that_write_lose_no_update(database: Database, database_url: str) -> None:
    async with database.write() as session:
        session.add(Revision(name="keys", value=0))
    processes = [await start("increase", database_url, 25) for _ in range(4)]
    assert [await ended(process) for process in processes] == [0, 0, 0, 0]
    async with database.read() as session:
        assert await session.scalar(select(Revision.value)) == 100


@pytest.mark.parametrize("count", [1, 20, 77])
async def test_killed_process_loses_no_committed_row(database: Database, database_url: str, count: int) -> None:
    last = await acknowledged_until_killed(await start("insert", database_url), count)
    async with database.write() as session:
        stored = await session.scalar(select(func.max(Organization.created_at)))
        rows = await session.scalar(select(func.count()).select_from(Organization))
    assert stored in (last, last + 1)  # the last one may be stored and not be said
    assert rows == stored


@pytest.mark.parametrize("number", [1, 2, 9, 25, 40])
async def test_upgrade_that_is_killed_is_done_by_the_next(database_url: str, number: int) -> None:
    database = Database(database_url)
    assert await ended(await start("upgrade", database_url, number)) == -signal.SIGKILL
    found = await schema.check(database)
    assert len(found) == 1
    assert "has revision none" in found[0]
    await schema.upgrade(database)
    assert await schema.check(database) == []
    await database.aclose()


async def test_processes_that_start_at_once_upgrade_once(database_url: str) -> None:
    processes = [await start("upgrade", database_url) for _ in range(4)]
    assert [await ended(process) for process in processes] == [0, 0, 0, 0]
    database = Database(database_url)
    assert await schema.check(database) == []
    await database.aclose()


@pytest.mark.parametrize("count", [1, 30, 200])
async def test_killed_process_loses_no_record_of_the_spool(tmp_path: Path, count: int) -> None:
    last = await acknowledged_until_killed(await start("put", tmp_path), count)
    taken: list[int] = []

    async def take(records: list[dict[str, int]]) -> None:
        taken.extend(record["number"] for record in records)

    spool = Spool(tmp_path, 1 << 30)
    await spool.drain("turn", take)
    assert taken in (list(range(1, last + 1)), list(range(1, last + 2)))
    await spool.aclose()
    assert left_in(tmp_path) == []


async def test_lock_is_held_by_one_process_at_a_time(database: Database, database_url: str) -> None:
    processes = [await start("lock", database_url, 10) for _ in range(3)]
    assert [await ended(process) for process in processes] == [0, 0, 0]
    assert await StateStore(database).get("test", "number") == b"30"

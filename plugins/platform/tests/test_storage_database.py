"""The database's sessions, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.errors import StorageUnavailable, Unprocessable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Media, Organization, Revision, User
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from chatproxy.errors import ConfigError

MAKES_TABLES = True


def organization(name: str) -> Organization:
    return Organization(id=name, name=name, created_at=1)


def modes_in(directory: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(Organization.name).order_by(Organization.id)))


async def test_rows_come_back(database: Database) -> None:
    async with database.write() as session:
        session.add(organization("a"))
    assert await names(database) == ["a"]


async def test_json_and_bytes_come_back_as_they_were(database: Database) -> None:
    value = {"text": "\u00fc\U0001f600\0", "big": 2**70, "half": "\ud800", "list": [1, None, True, 1.5]}
    async with database.write() as session:
        session.add(Organization(id="a", name="A", created_at=2**62, attributes=value))
        session.add(Media(owner="o", digest="d", media_type="image/png", data=bytes(range(256)), created_at=1))
    async with database.read() as session:
        found = await session.get_one(Organization, "a")
        media = await session.get_one(Media, ("o", "d"))
    assert (found.attributes, found.created_at, media.data) == (value, 2**62, bytes(range(256)))


async def test_failing_work_is_taken_back(database: Database) -> None:
    async def work() -> None:
        async with database.write() as session:
            session.add(organization("a"))
            await session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    assert await names(database) == []


async def test_hurt_constraint_is_an_integrity_error_and_no_outage(database: Database) -> None:
    async with database.write() as session:
        session.add(organization("a"))
    for _ in range(10):
        with pytest.raises(IntegrityError):
            async with database.write() as session:
                session.add(organization("a"))
    assert database.report() == {
        "kind": "sqlite" if database.is_sqlite else "postgresql", "state": "closed", "failures": 0, "schema": "ready",
    }  # fmt: skip


async def test_reference_to_nothing_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            session.add(User(id="u", organization_id="missing", created_at=1))


@pytest.mark.parametrize(
    "row", [{"name": "keys", "value": 2**80}, {"name": "\ud800", "value": 1}], ids=["integer", "half a character"]
)
async def test_value_without_room_is_unprocessable_and_no_outage(database: Database, row: dict[str, Any]) -> None:
    for _ in range(10):
        with pytest.raises(Unprocessable):
            async with database.write() as session:
                session.add(Revision(**row))
    assert database.state == "closed"


@pytest.mark.parametrize("name", ["a\0b", "x" * 201], ids=["nul", "too long"])
async def test_text_that_postgresql_has_no_room_for_is_unprocessable(postgres_url: str, name: str) -> None:
    database = Database(postgres_url)
    await database.create()
    with pytest.raises(Unprocessable):
        async with database.write() as session:
            session.add(organization(name))
    assert database.state == "closed"
    await database.aclose()


async def test_wrong_statement_is_logged_and_no_outage(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(10):
        with pytest.raises(StorageUnavailable):
            async with database.read() as session:
                await session.execute(text("SELECT * FROM missing_table"))
    assert "missing_table" in caplog.text
    assert database.state == "closed"


async def test_timeout_of_the_work_itself_stays_what_it_is(database: Database) -> None:
    async def work() -> None:
        async with database.write(), asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
    assert database.report()["failures"] == 0


async def test_work_over_its_deadline_ends_and_is_taken_back(database_url: str) -> None:
    database = Database(database_url, DatabaseConfig(deadline_s=0.2))
    await database.create()

    async def work() -> None:
        async with database.write() as session:
            session.add(organization("a"))
            await session.flush()
            await asyncio.Event().wait()

    with pytest.raises(StorageUnavailable):
        await work()
    assert await names(database) == []
    await database.aclose()


async def test_long_statement_is_ended_at_the_deadline(database_url: str) -> None:
    database = Database(database_url, DatabaseConfig(deadline_s=0.2, failures_to_open=100))
    await database.create()
    count = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n"
    )
    async with asyncio.timeout(10):
        for _ in range(6):
            with pytest.raises(StorageUnavailable):
                async with database.read() as session:
                    await session.execute(text(count))
    assert await names(database) == []
    await database.aclose()


async def test_cancelled_work_leaves_the_pool_whole(database_url: str) -> None:
    database = Database(database_url, DatabaseConfig(pool_size=2))
    await database.create()

    async def work(name: str) -> None:
        async with database.write() as session:
            session.add(organization(name))
        await names(database)

    for steps in range(60):
        task = asyncio.create_task(work(f"{steps}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await asyncio.gather(*(work(f"after {count}") for count in range(8)))
    assert len([name for name in await names(database) if name.startswith("after")]) == 8
    assert database.state == "closed"
    await database.aclose()


async def test_parallel_writers_lose_no_update(database: Database) -> None:
    async with database.write() as session:
        session.add(Revision(name="keys", value=0))

    async def increase() -> None:
        async with database.write() as session:
            row = await session.get_one(Revision, "keys", with_for_update=True)
            row.value += 1

    await asyncio.gather(*(increase() for _ in range(50)))
    async with database.read() as session:
        assert await session.scalar(select(Revision.value)) == 50


# -- SQLite's own ------------------------------------------------------------------------------------------------------


async def test_sqlite_syncs_each_durable_commit(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    found = []
    for durable in (False, True):
        async with database.write(durable=durable) as session:
            found.append(
                (await session.scalar(text("PRAGMA synchronous")), await session.scalar(text("PRAGMA journal_mode")))
            )
    assert found == [(1, "wal"), (2, "wal")]
    await database.aclose()


async def test_sqlite_refuses_to_write_in_read(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await database.create()
    with pytest.raises(StorageUnavailable):
        async with database.read() as session:
            await session.execute(insert(Revision).values(name="keys", value=1))
    await database.aclose()


async def test_sqlite_files_are_for_their_owner_only(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    await database.create()
    assert modes_in(tmp_path) == {0o600}
    await database.aclose()


async def test_another_writer_is_waited_for(sqlite_url: str) -> None:
    database = Database(sqlite_url, DatabaseConfig(deadline_s=1.0, busy_timeout_s=30.0))
    await database.create()
    other = sqlite3.connect(database.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write(name: str) -> None:
        async with database.write() as session:
            session.add(organization(name))

    writers = [asyncio.create_task(write(name)) for name in "abc"]
    for _ in range(20):
        assert await names(database) == []
    assert not any(writer.done() for writer in writers)
    other.execute("COMMIT")
    await asyncio.gather(*writers)
    assert await names(database) == ["a", "b", "c"]
    other.close()
    await database.aclose()


async def test_another_writer_that_does_not_end_is_no_outage(sqlite_url: str) -> None:
    database = Database(sqlite_url, DatabaseConfig(busy_timeout_s=0.05, failures_to_open=1))
    await database.create()
    other = sqlite3.connect(database.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            async with database.write() as session:
                session.add(organization("a"))
    assert (database.state, await names(database)) == ("closed", [])
    other.execute("ROLLBACK")
    async with database.write() as session:
        session.add(organization("b"))
    assert await names(database) == ["b"]
    other.close()
    await database.aclose()


# -- URLs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "drivername"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////data/x.db", "sqlite+aiosqlite"),
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg_async://u@h/d", "postgresql+psycopg"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg"),
    ],
)
async def test_url_is_completed_with_its_driver(url: str, drivername: str) -> None:
    database = Database(url)
    assert database.url.drivername == drivername
    await database.aclose()


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("mysql://u:geheim@h/d", "SQLite or PostgreSQL"),
        ("geheim", "not a URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql+pg8000://u:geheim@h/d", "psycopg or asyncpg"),
    ],
)
def test_url_that_cannot_be_used_is_said_without_showing_it(url: str, wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted) as caught:
        Database(url)
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_password_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    database = Database("postgresql://u:geheim@127.0.0.1:1/d", DatabaseConfig(failures_to_open=1))
    with pytest.raises(StorageUnavailable) as caught:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
    shown = [
        repr(database),
        str(database.url),
        repr(database.url),
        str(database.report()),
        str(caught.value),
        caplog.text,
    ]
    assert "does not answer" in caplog.text
    assert not any("geheim" in each for each in [*shown, repr(caught.value.__cause__)])
    await database.aclose()

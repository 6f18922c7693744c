"""The schema by migrations."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from chatproxy_platform.config import Config, DatabaseConfig
from chatproxy_platform.errors import StorageUnavailable, Unprocessable
from chatproxy_platform.storage import schema
from chatproxy_platform.storage.commands import db_command
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import VERSION_TABLE
from chatproxy_platform.storage.tables import Base, Organization
from sqlalchemy import make_url, text

from chatproxy.errors import ConfigError

from .conftest import POSTGRES

MAKES_TABLES = True

NEWER = "UPDATE platform_schema_version SET version_num = '9999'"


async def execute(database: Database, statement: str) -> None:
    async with database.write() as session:
        await session.execute(text(statement))


async def catalogue(database: Database) -> list[Any]:
    """Indexes, constraints and triggers, as the database itself knows them."""
    sqlite = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2, 3"
    postgresql = """
        SELECT tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = current_schema()
        UNION ALL SELECT event_object_table, trigger_name, event_manipulation || action_timing || action_statement
        FROM information_schema.triggers WHERE trigger_schema = current_schema()
        UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
        ORDER BY 1, 2, 3"""
    async with database.read() as session:
        rows = (await session.execute(text(sqlite if database.is_sqlite else postgresql))).all()
    return [tuple(row) for row in rows if not any(VERSION_TABLE in part for part in row)]


async def test_migrations_make_what_the_tables_declare(database_url: str) -> None:
    database = Database(database_url)
    await schema.upgrade(database)
    assert await schema.check(database) == []
    await database.aclose()


async def test_migrations_make_the_same_indexes_constraints_and_triggers(database: Database) -> None:
    made = await catalogue(database)
    assert any("platform_audit_head_update" in row for row in made)
    async with database.engines.write.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await schema.upgrade(database)
    assert await catalogue(database) == made


@pytest.fixture
def asyncpg_url(postgres_url: str) -> Iterator[str]:
    """A role that works in a schema of its own, for asyncpg's URL has no room for a schema."""
    role = f"test_{secrets.token_hex(8)}"
    schema_name = postgres_url.rpartition("%3D")[2]
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
        admin.execute(f"ALTER ROLE {role} SET search_path = {schema_name}")
        yield make_url(POSTGRES).set(drivername="postgresql+asyncpg", username=role).render_as_string(False)
        admin.execute(f"DROP OWNED BY {role} CASCADE")
        admin.execute(f"DROP ROLE {role}")


async def test_asyncpg_upgrades_and_stores(asyncpg_url: str) -> None:
    database = Database(asyncpg_url)
    await database.open(schema.prepare)
    assert await schema.check(database) == []
    value = {"text": "\u00fc\0", "big": 2**70}
    async with database.write(durable=True) as session:
        session.add(Organization(id="a", name="A", created_at=2**62, attributes=value))
    for name in ("a\0b", "x" * 201):
        with pytest.raises(Unprocessable):
            async with database.write() as session:
                session.add(Organization(id="b", name=name, created_at=1))
    async with database.read() as session:
        assert (await session.get_one(Organization, "a")).attributes == value
    assert database.state == "closed"
    await database.aclose()


async def test_upgrade_keeps_what_is_stored(database_url: str) -> None:
    database = Database(database_url)
    await database.open(schema.prepare)
    async with database.write() as session:
        session.add(Organization(id="a", name="A", created_at=1))
    await schema.upgrade(database)
    async with database.read() as session:
        assert (await session.get_one(Organization, "a")).name == "A"
    await database.aclose()


@pytest.mark.parametrize("work", [schema.upgrade, schema.check, schema.prepare])
async def test_newer_schema_is_refused_and_stays_as_it_is(database_url: str, work: Any) -> None:
    database = Database(database_url)
    await schema.upgrade(database)
    await execute(database, NEWER)
    with pytest.raises(ConfigError, match=r"revision 9999, which .* does not know: it is newer"):
        await work(database)
    async with database.read() as session:
        assert await session.scalar(text("SELECT version_num FROM platform_schema_version")) == "9999"
    await database.aclose()


async def test_differences_are_named(database_url: str) -> None:
    database = Database(database_url)
    await schema.upgrade(database)
    await execute(database, "DROP INDEX ix_platform_usage_day")
    await execute(database, "ALTER TABLE platform_spend ADD COLUMN extra INTEGER")
    await execute(database, "CREATE TABLE of_another_program (id INTEGER)")
    found = await schema.check(database)
    assert len(found) == 2
    assert any("ix_platform_usage_day" in difference for difference in found)
    assert any("extra" in difference for difference in found)
    await database.aclose()


async def test_check_at_the_start_refuses_another_schema(database_url: str) -> None:
    database = Database(database_url, DatabaseConfig(migrate="check"))
    with pytest.raises(ConfigError, match="run chatproxy db upgrade"):
        await database.open(schema.prepare)
    await schema.upgrade(database)
    await database.open(schema.prepare)
    assert database.is_ready
    await database.aclose()


async def test_database_that_cannot_be_reached_is_unavailable() -> None:
    database = Database("postgresql://nobody:geheim@127.0.0.1:1/nothing")
    with pytest.raises(StorageUnavailable) as caught:
        await schema.upgrade(database)
    assert "geheim" not in str(caught.value)
    await database.aclose()


async def test_newer_schema_found_after_an_outage_keeps_all_work_refused(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    is_over = False

    async def prepare(_: Database) -> None:
        if is_over:
            raise ConfigError("it is newer")
        raise StorageUnavailable

    other = Database(database.url.render_as_string(hide_password=False), DatabaseConfig(cooling_s=0.001))
    await other.open(prepare)
    is_over = True
    assert other._preparing is not None
    await asyncio.wait_for(other._preparing, 10)
    assert other.report()["schema"] == "refused"
    with pytest.raises(StorageUnavailable):
        async with other.read():
            pass
    assert "it is newer" in caplog.text
    await other.aclose()


# -- chatproxy db ------------------------------------------------------------------------------------------------------


async def command(url: str, *words: str) -> int:
    made = db_command()
    parser = argparse.ArgumentParser()
    assert made.configure is not None
    made.configure(parser)
    args = parser.parse_args(words)
    args.plugin_config = Config(database_url=url)
    return await asyncio.to_thread(made.run, args)


async def test_command_checks_and_upgrades(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(database_url, "check") == 1
    assert "run chatproxy db upgrade" in capsys.readouterr().out
    assert await command(database_url, "upgrade") == 0
    assert await command(database_url, "check") == 0
    assert "as this version wants it" in capsys.readouterr().out


async def test_command_refuses_a_newer_schema(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(database_url, "upgrade") == 0
    database = Database(database_url)
    await execute(database, NEWER)
    await database.aclose()
    assert await command(database_url, "upgrade") == 2
    assert "it is newer" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql://u:geheim@127.0.0.1:1/d"])
async def test_command_says_that_a_database_cannot_be_used(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(url, "check") == 2
    said = capsys.readouterr().err
    assert said.startswith("chatproxy db: ")
    assert "geheim" not in said


async def test_command_writes_statements_that_make_the_schema(
    database_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert await command(database_url, "upgrade", "--sql") == 0
    script = capsys.readouterr().out
    database = Database(database_url)
    if database.is_sqlite:
        connection = sqlite3.connect(tmp_path / "platform.db")
        connection.executescript(script)
        connection.close()
    else:
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as server:
            server.execute(script.encode())
    assert await schema.check(database) == []
    await database.aclose()


async def test_several_applications_of_one_process_start_at_once(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path / str(number)}.db") for number in range(6)]
    await asyncio.gather(*[database.open(schema.prepare) for database in databases])
    assert [database.is_ready for database in databases] == [True] * 6
    assert [await schema.check(database) for database in databases] == [[]] * 6
    for database in databases:
        await database.aclose()

"""What the plugin's tests share: every test that takes a database runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import upgrade
from chatproxy_platform.storage.tables import Base
from psycopg import sql

POSTGRES = os.environ.get("CHATPROXY_TEST_POSTGRES", "postgresql://postgres:postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("CHATPROXY_TEST_REDIS", "redis://127.0.0.1:6379/0")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def rare_collections() -> Iterator[None]:
    """A gateway with all routes is a quarter of a million objects: full collections were a fifth of what it takes."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    yield
    gc.set_threshold(*before)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and nothing in them."""
    path = tmp_path_factory.mktemp("template") / "platform.db"
    _upgrade(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new SQLite database, with its tables, but for tests about making them."""
    path = tmp_path / "platform.db"
    if not _wants_nothing(request):
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """A schema in the PostgreSQL that runs here, with all tables; emptied after each test."""
    with new_schema() as schema:
        _upgrade(_url_of(schema))
        yield schema


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A schema in the PostgreSQL that runs here, with its tables, but for tests about making them."""
    if _wants_nothing(request):
        with new_schema() as schema:
            yield _url_of(schema)
    else:
        schema = request.getfixturevalue("postgres_template")
        yield _url_of(schema)
        _empty(schema)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A new database of each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database with its tables."""
    opened = Database(database_url)
    await opened.create()
    yield opened
    await opened.aclose()


@pytest.fixture
def redis_url() -> str:
    """The Redis that runs here; use keys with a prefix of your own."""
    return REDIS


@contextmanager
def new_schema() -> Iterator[str]:
    """A schema with nothing in it."""
    schema = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield schema
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def _wants_nothing(request: pytest.FixtureRequest) -> bool:
    """Whether a module says ``MAKES_TABLES``: its tests make, change or drop them."""
    return getattr(request.module, "MAKES_TABLES", False) is True


def _url_of(schema: str) -> str:
    return f"{POSTGRES.replace('postgresql://', 'postgresql+psycopg://')}?options=-csearch_path%3D{schema}"


def _upgrade(url: str) -> None:
    async def upgraded() -> None:
        database = Database(url)
        await upgrade(database)
        await database.aclose()

    asyncio.run(upgraded())


def _empty(schema: str) -> None:
    """Take out all rows, also where triggers forbid it; whoever still holds a lock is cut off."""
    holders = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
        "WHERE relnamespace = %s::regnamespace AND pid <> pg_backend_pid()"
    )
    rows = [sql.SQL("DELETE FROM {}").format(sql.Identifier(schema, table)) for table in Base.metadata.tables]
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(holders, (schema,))
        connection.execute(sql.SQL("; ").join([sql.SQL("SET session_replication_role = replica"), *rows]))

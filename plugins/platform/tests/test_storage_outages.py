"""PostgreSQL that is down, cut off, silent or full."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage import schema
from chatproxy_platform.storage.database import Database
from sqlalchemy import make_url, text

from .conftest import POSTGRES
from .faults import FaultProxy, fault_proxy

MAKES_TABLES = True

POOL = 3


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    url = make_url(POSTGRES)
    async with fault_proxy(url.host or "", url.port or 5432) as opened:
        yield opened


@pytest.fixture(params=["psycopg", "asyncpg"])
def url(request: pytest.FixtureRequest, proxy: FaultProxy) -> str:
    """Through the proxy, by each driver."""
    target = make_url(POSTGRES).set(drivername=f"postgresql+{request.param}", host="127.0.0.1", port=proxy.port)
    return target.render_as_string(hide_password=False)


def database(url: str, *, deadline_s: float = 1.0, failures_to_open: int = 3, cooling_s: float = 0.001) -> Database:
    config = DatabaseConfig(
        deadline_s=deadline_s, failures_to_open=failures_to_open, cooling_s=cooling_s, pool_size=POOL
    )
    return Database(url, config)


async def ask(database: Database) -> int:
    async with database.read() as session:
        found: int = (await session.execute(text("SELECT 1"))).scalar_one()
        return found


async def store(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("SELECT 1"))


async def assert_whole(database: Database) -> None:
    """All connections of the pool can be used at once, and no more."""
    barrier = asyncio.Barrier(POOL)

    async def use() -> None:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
            await barrier.wait()

    await asyncio.gather(*(use() for _ in range(POOL)))


async def until_it_answers(database: Database) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                assert await ask(database) == 1
                return
            except StorageUnavailable:
                await asyncio.sleep(0)


async def test_database_that_is_down_at_the_start_is_used_when_it_comes(url: str, proxy: FaultProxy) -> None:
    await proxy.refuse()
    prepared = asyncio.Event()

    async def prepare(database: Database) -> None:
        await schema.check(database)
        prepared.set()

    db = database(url)
    await db.open(prepare)
    with pytest.raises(StorageUnavailable):
        await ask(db)
    assert (db.is_ready, db.report()["schema"]) == (False, "waiting for the database")
    await proxy.listen()
    async with asyncio.timeout(20):
        await prepared.wait()
    await until_it_answers(db)
    assert db.report()["schema"] == "ready"
    await db.aclose()


async def test_database_that_goes_away_is_used_again_when_it_is_back(url: str, proxy: FaultProxy) -> None:
    db = database(url)
    await assert_whole(db)
    await proxy.refuse()
    for work in (ask, store, ask, store, ask):
        with pytest.raises(StorageUnavailable):
            await work(db)
    assert db.state != "closed"
    await proxy.listen()
    await until_it_answers(db)
    assert db.report()["failures"] == 0
    await assert_whole(db)
    await db.aclose()


async def test_open_breaker_asks_nothing(url: str, proxy: FaultProxy) -> None:
    db = database(url, failures_to_open=1, cooling_s=1000)
    await ask(db)
    await proxy.refuse()
    with pytest.raises(StorageUnavailable):
        await ask(db)
    await proxy.listen()
    accepted = proxy.accepted
    for work in (ask, store):
        with pytest.raises(StorageUnavailable) as caught:
            await work(db)
        assert caught.value.headers == {"retry-after": "1"}
    assert (db.state, proxy.accepted) == ("open", accepted)
    await db.aclose()


async def test_silent_database_is_given_up_at_the_deadline(url: str, proxy: FaultProxy) -> None:
    db = database(url, deadline_s=0.2, failures_to_open=1000)
    await assert_whole(db)
    proxy.is_flowing.clear()
    async with asyncio.timeout(3):  # what the drivers themselves do takes longer
        for _ in range(2):
            failed = await asyncio.gather(*(work(db) for work in (ask, store) * 5), return_exceptions=True)
            assert [type(error) for error in failed] == [StorageUnavailable] * 10
    proxy.is_flowing.set()
    await until_it_answers(db)
    await assert_whole(db)
    await db.aclose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_connection_that_died_unused_is_replaced_without_a_failure(driver: str) -> None:
    url = make_url(POSTGRES).set(drivername=f"postgresql+{driver}")
    db = database(url.render_as_string(hide_password=False), failures_to_open=1)
    name = f"chatproxy_{secrets.token_hex(4)}"
    barrier = asyncio.Barrier(POOL)

    async def name_connection() -> None:
        async with db.read() as session:
            await session.execute(text("SELECT set_config('application_name', :name, false)"), {"name": name})
            await barrier.wait()

    await asyncio.gather(*(name_connection() for _ in range(POOL)))
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        gone = admin.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = %s", (name,)
        ).fetchone()
    assert gone == (POOL,)
    for _ in range(5):  # asyncpg reads the farewell by its loop
        await asyncio.sleep(0)
    await assert_whole(db)
    assert db.state == "closed"
    await db.aclose()


@pytest.fixture
def narrow_url() -> Iterator[str]:
    """A role that may have two connections."""
    role = f"narrow_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")
        yield make_url(POSTGRES).set(username=role).render_as_string(hide_password=False)
        admin.execute(f"DROP ROLE {role}")


async def test_too_many_connections_fail_what_has_none_and_nothing_else(narrow_url: str) -> None:
    db = database(narrow_url, failures_to_open=1000)
    has_both, is_over = asyncio.Barrier(3), asyncio.Event()

    async def hold() -> int:
        async with db.read() as session:
            await session.execute(text("SELECT 1"))
            await has_both.wait()
            await is_over.wait()
            found: int = (await session.execute(text("SELECT 2"))).scalar_one()
            return found

    holders = [asyncio.create_task(hold()) for _ in range(2)]
    await has_both.wait()
    with pytest.raises(StorageUnavailable):
        await ask(db)
    assert db.report()["failures"] == 1
    is_over.set()
    assert await asyncio.gather(*holders) == [2, 2]
    assert await asyncio.gather(*(ask(db) for _ in range(2))) == [1, 1]
    assert db.report()["failures"] == 0
    await db.aclose()


async def test_server_itself_ends_long_statements(url: str) -> None:
    db = database(url, deadline_s=1.5)
    async with db.read() as session:
        limits = await session.execute(
            text("SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')")
        )
        assert limits.one() == ("1500ms", "3s")
    await db.aclose()

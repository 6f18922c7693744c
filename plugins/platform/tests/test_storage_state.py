"""The session store over the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.state import StateStore
from chatproxy_platform.storage.tables import State, StateLock
from sqlalchemy import func, insert, select


@pytest.fixture
async def store(database: Database) -> AsyncIterator[StateStore]:
    opened = StateStore(database)
    await opened.open()
    yield opened
    await opened.aclose()


async def count(database: Database, table: type[State | StateLock]) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_value_comes_back_and_is_replaced(store: StateStore) -> None:
    await store.put("plugin", "key", b"\x00one")
    await store.put("other", "key", b"two")
    await store.put("plugin", "key", b"three")
    assert (await store.get("plugin", "key"), await store.get("other", "key")) == (b"three", b"two")
    assert await store.get("plugin", "missing") is None


async def test_deleted_value_is_gone(store: StateStore) -> None:
    await store.put("plugin", "key", b"one")
    assert [await store.delete("plugin", "key"), await store.delete("plugin", "key")] == [True, False]
    assert await store.get("plugin", "key") is None


async def test_value_whose_time_is_over_is_gone_and_swept(store: StateStore, database: Database) -> None:
    over = [
        {"namespace": "plugin", "key": f"{number}", "value": b"x", "expires_at": 1, "updated_at": 1}
        for number in range(1200)
    ]
    async with database.write() as session:
        await session.execute(insert(State), over)
    await store.put("plugin", "key", b"y", ttl_s=3600)
    assert (await store.get("plugin", "6"), await store.get("plugin", "key")) == (None, b"y")
    assert not await store.delete("plugin", "5")
    assert await store.sweep() == 1199
    assert await count(database, State) == 1


async def test_no_time_to_live_removes(store: StateStore) -> None:
    await store.put("plugin", "key", b"one")
    await store.put("plugin", "key", b"two", ttl_s=0)
    assert await store.get("plugin", "key") is None


async def test_endless_time_to_live_is_kept(store: StateStore) -> None:
    await store.put("plugin", "key", b"one", ttl_s=float("inf"))
    assert await store.get("plugin", "key") == b"one"


@pytest.mark.parametrize("key", ["", "x" * 5000, "a\0b", "owner\nid", "\u00fc\U0001f600", "\ud800"])
async def test_any_key_can_be_used(store: StateStore, key: str) -> None:
    await store.put("plugin", key, b"one")
    await store.put("plugin", key + "y", b"two")
    async with store.lock("plugin", key):
        assert await store.get("plugin", key) == b"one"


async def test_lock_is_held_by_one_task_at_a_time_in_the_order_they_asked(
    store: StateStore, database: Database
) -> None:
    seen: list[str] = []

    async def hold(name: str) -> None:
        async with store.lock("plugin", "key"):
            seen.append(f"{name} in")
            await store.put("plugin", "key", name.encode())
            seen.append(f"{name} out")

    await asyncio.gather(*(hold(name) for name in "abcd"))
    assert seen == ["a in", "a out", "b in", "b out", "c in", "c out", "d in", "d out"]
    assert (await count(database, StateLock), store.lock_count) == (0, 0)


async def test_other_key_is_not_locked(store: StateStore) -> None:
    async with store.lock("plugin", "one"), store.lock("plugin", "two"), store.lock("other", "one"):
        assert store.lock_count == 3


async def test_lock_is_respected_by_another_node(store: StateStore, database: Database) -> None:
    other = StateStore(database)
    is_held = asyncio.Event()

    async def hold() -> None:
        async with other.lock("plugin", "key"):
            is_held.set()

    async with store.lock("plugin", "key"):
        task = asyncio.create_task(hold())
        for _ in range(20):
            await store.get("plugin", "key")
        assert not is_held.is_set()
    await task
    assert is_held.is_set()


async def test_lease_of_a_dead_node_runs_out(store: StateStore, database: Database) -> None:
    async with database.write() as session:
        session.add(StateLock(namespace="plugin", key="key", holder="dead", until=1))
    async with asyncio.timeout(10), store.lock("plugin", "key"):
        assert await count(database, StateLock) == 1
    assert await count(database, StateLock) == 0


async def test_lease_is_renewed_while_it_is_held(database: Database) -> None:
    store = StateStore(database, lease_s=0.3)

    async def until() -> int:
        async with database.read() as session:
            return await session.scalar(select(StateLock.until)) or 0

    async with asyncio.timeout(10), store.lock("plugin", "key"):
        first = await until()
        while await until() == first:
            pass


async def test_failing_or_cancelled_holder_gives_the_lock_back(store: StateStore, database: Database) -> None:
    with pytest.raises(LookupError):
        async with store.lock("plugin", "key"):
            raise LookupError
    for steps in range(30):
        task = asyncio.create_task(_hold(store))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5), store.lock("plugin", "key"):
        pass
    assert (await count(database, StateLock), store.lock_count) == (0, 0)


async def _hold(store: StateStore) -> None:
    async with store.lock("plugin", "key"):
        await asyncio.Event().wait()

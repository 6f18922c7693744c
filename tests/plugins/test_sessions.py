"""The in-memory session store: bounds, times, namespaces and locks."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.plugins.sessions import MemorySessionStore
from chatproxy.types import SessionStore


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_stored_value_is_found_again() -> None:
    store: SessionStore = MemorySessionStore()
    await store.put("kit", "a", b"one")
    assert await store.get("kit", "a") == b"one"
    await store.put("kit", "a", b"two")
    assert await store.get("kit", "a") == b"two"


async def test_absent_key_is_none() -> None:
    assert await MemorySessionStore().get("kit", "a") is None


async def test_namespaces_are_apart() -> None:
    store = MemorySessionStore()
    await store.put("kit", "a", b"one")
    await store.put("mcp", "a", b"two")
    assert await store.get("kit", "a") == b"one"
    assert await store.delete("kit", "a")
    assert await store.get("mcp", "a") == b"two"


async def test_delete_says_whether_there_was_a_value() -> None:
    store = MemorySessionStore()
    await store.put("kit", "a", b"one")
    assert await store.delete("kit", "a") is True
    assert await store.delete("kit", "a") is False
    assert (len(store), store.size_bytes) == (0, 0)


async def test_value_ends_with_the_stores_own_time() -> None:
    clock = Clock()
    store = MemorySessionStore(ttl_s=60, clock=clock)
    await store.put("kit", "a", b"one")
    clock.now += 59.9
    assert await store.get("kit", "a") == b"one"
    clock.now += 0.1
    assert await store.get("kit", "a") is None
    assert await store.delete("kit", "a") is False
    assert (len(store), store.size_bytes) == (0, 0)


async def test_default_time_is_a_day() -> None:
    clock = Clock()
    store = MemorySessionStore(clock=clock)
    await store.put("kit", "a", b"one")
    clock.now += 24 * 3600 - 1
    assert await store.get("kit", "a") == b"one"
    clock.now += 1
    assert await store.get("kit", "a") is None


async def test_own_time_of_a_value_wins_and_storing_again_renews_it() -> None:
    clock = Clock()
    store = MemorySessionStore(ttl_s=60, clock=clock)
    await store.put("kit", "short", b"1", ttl_s=5)
    await store.put("kit", "long", b"2", ttl_s=600)
    await store.put("kit", "renewed", b"3", ttl_s=5)
    clock.now += 4
    await store.put("kit", "renewed", b"4", ttl_s=5)
    clock.now += 2
    assert await store.get("kit", "short") is None
    assert await store.get("kit", "renewed") == b"4"
    clock.now += 500
    assert await store.get("kit", "long") == b"2"


async def test_time_of_zero_removes() -> None:
    store = MemorySessionStore()
    await store.put("kit", "a", b"one")
    await store.put("kit", "a", b"two", ttl_s=0)
    assert await store.get("kit", "a") is None
    assert len(store) == 0


async def test_least_recently_used_leaves_first() -> None:
    store = MemorySessionStore(max_entries=3)
    for key in "abc":
        await store.put("kit", key, key.encode())
    await store.get("kit", "a")  # used: b is now the oldest
    await store.put("kit", "d", b"d")
    assert [await store.get("kit", key) for key in "abcd"] == [b"a", None, b"c", b"d"]


async def test_ended_value_leaves_before_a_living_one() -> None:
    clock = Clock()
    store = MemorySessionStore(max_entries=2, clock=clock)
    await store.put("kit", "old", b"1")
    await store.put("kit", "ended", b"2", ttl_s=1)
    clock.now += 2
    await store.put("kit", "new", b"3")
    assert await store.get("kit", "old") == b"1"


async def test_bytes_are_bounded_keys_included() -> None:
    store = MemorySessionStore(max_bytes=100)
    await store.put("kit", "a", b"x" * 40)  # 44 bytes with its names
    await store.put("kit", "b", b"x" * 40)
    assert store.size_bytes == 88
    await store.put("kit", "c", b"x" * 40)
    assert await store.get("kit", "a") is None
    assert store.size_bytes == 88


async def test_value_larger_than_the_store_is_refused_and_the_old_one_stays() -> None:
    store = MemorySessionStore(max_bytes=100)
    await store.put("kit", "a", b"one")
    with pytest.raises(ValueError, match="does not fit"):
        await store.put("kit", "a", b"x" * 100)
    assert await store.get("kit", "a") == b"one"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "delete", "wait"]),
        st.sampled_from("abcdef"),
        st.integers(0, 40),
        st.none() | st.integers(-1, 8),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
async def test_store_behaves_like_a_bounded_table(steps: list[tuple[str, str, int, int | None]]) -> None:
    """A plain model: an ordered dict of (value, end); the store must agree after each step."""
    clock = Clock()
    store = MemorySessionStore(max_entries=3, max_bytes=90, ttl_s=6, clock=clock)
    model: dict[str, tuple[bytes, float]] = {}
    for action, key, number, ttl_s in steps:
        if action == "wait":
            clock.now += number / 10
        model = {k: v for k, v in model.items() if v[1] > clock.now}
        if action == "get":
            expected = model.pop(key, None)
            model.update({} if expected is None else {key: expected})
            assert await store.get("n", key) == (None if expected is None else expected[0])
        elif action == "delete":
            assert await store.delete("n", key) is (model.pop(key, None) is not None)
        elif action == "put":
            value = b"v" * number
            await store.put("n", key, value, ttl_s=ttl_s)
            model.pop(key, None)
            if ttl_s is None or ttl_s > 0:
                model[key] = (value, clock.now + (6 if ttl_s is None else ttl_s))
            while len(model) > 3 or sum(len(v) + 2 for v, _ in model.values()) > 90:
                del model[next(iter(model))]
    assert [await store.get("n", key) for key in model] == [value for value, _ in model.values()]
    assert store.size_bytes <= 90
    assert len(store) <= 3


async def test_many_rewrites_of_one_key_do_not_grow_the_store() -> None:
    store = MemorySessionStore()
    for i in range(1000):
        await store.put("kit", "a", b"%d" % i)
    assert len(store) == 1
    assert len(store._ends) < 100


async def test_lock_lets_one_task_in_at_a_time_in_order() -> None:
    store = MemorySessionStore()
    seen: list[str] = []
    entered, gate = asyncio.Event(), asyncio.Event()

    async def turn(name: str) -> None:
        async with store.lock("kit", "a"):
            seen.append(f"{name} in")
            entered.set()
            await gate.wait()
            seen.append(f"{name} out")

    async with asyncio.TaskGroup() as group:
        for name in ("1", "2", "3"):
            group.create_task(turn(name))
        await entered.wait()
        assert seen == ["1 in"]
        gate.set()
    assert seen == ["1 in", "1 out", "2 in", "2 out", "3 in", "3 out"]
    assert store.lock_count == 0


async def test_locks_of_other_keys_and_namespaces_are_free() -> None:
    store = MemorySessionStore()
    async with store.lock("kit", "a"), store.lock("kit", "b"), store.lock("mcp", "a"):
        assert store.lock_count == 3
    assert store.lock_count == 0


async def test_lock_of_a_failing_or_cancelled_task_is_given_back() -> None:
    store = MemorySessionStore()
    with pytest.raises(RuntimeError, match="boom"):
        async with store.lock("kit", "a"):
            raise RuntimeError("boom")
    async with store.lock("kit", "a"):
        waiter = asyncio.create_task(_hold(store))
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert store.lock_count == 1
    assert store.lock_count == 0
    async with store.lock("kit", "a"):
        pass


async def _hold(store: MemorySessionStore) -> None:
    async with store.lock("kit", "a"):
        raise AssertionError("the lock was free")

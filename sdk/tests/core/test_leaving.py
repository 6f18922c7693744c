"""Streams that are left before their end, in every way: the connection is closed, and nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from chatproxy_sdk._core.awaiting import AsyncChunkStream, AsyncConnection
from chatproxy_sdk._core.blocking import ChunkStream, Connection
from chatproxy_sdk._core.retries import Retries
from chatproxy_sdk._core.terms import Call, Terms
from chatproxy_sdk.exceptions import ServerConnectionError, server_error

from ..servers import FaultServer, chat, hang, stall_after, too_many
from .driving import CHAT, STREAM, pool_of

ABORTS = 1000


@pytest.fixture
def connection(server: FaultServer) -> Iterator[Connection]:
    found = Connection(Terms(base_url=server.url, timeout_s=10), server_error)
    yield found
    found.close()


@pytest.fixture
async def awaiting(server: FaultServer) -> AsyncIterator[AsyncConnection]:
    found = AsyncConnection(Terms(base_url=server.url, timeout_s=10, retries=Retries(limit=3)), server_error)
    yield found
    await found.close()


def _tasks() -> set[asyncio.Task[object]]:
    """Tasks but those that run tests and fixtures."""
    return {task for task in asyncio.all_tasks() if "TestRunner" not in repr(task.get_coro())} - {
        asyncio.current_task()
    }


async def _settled(connection: AsyncConnection, server: FaultServer) -> None:
    """Wait until closing is done; nothing is left then."""
    for _ in range(400):
        if not _tasks() and not server.open_connections:
            break
        await asyncio.sleep(0.005)
    assert _tasks() == set()
    assert server.open_connections == 0
    pool = pool_of(connection)
    assert pool._requests == []
    assert all(found.is_closed() for found in pool.connections)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


# -- blocking ---------------------------------------------------------------------------------------------------------


def _close(stream: ChunkStream) -> None:
    stream.close()


def _close_twice(stream: ChunkStream) -> None:
    stream.close()
    stream.close()
    assert list(stream) == []


def _drop(stream: ChunkStream) -> None:
    """Nothing: its last reference goes."""


def _drop_in_a_cycle(stream: ChunkStream) -> None:
    stream.itself = stream  # type: ignore[attr-defined]


LEAVING = {"close": _close, "close twice": _close_twice, "drop": _drop, "drop in a cycle": _drop_in_a_cycle}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("chunks", [0, 1, 2], ids=["unread", "one read", "all read"])
def test_a_stream_that_is_left_closes_its_connection(
    connection: Connection, server: FaultServer, leave: Callable[[ChunkStream], None], chunks: int
) -> None:
    server.replies(stall_after("a", "b"))
    stream = connection.stream(STREAM)
    for _ in range(chunks):
        next(stream)
    leave(stream)
    del stream
    gc.collect()
    server.wait_closed()


def test_a_thousand_streams_that_are_left_leave_nothing(connection: Connection, server: FaultServer) -> None:
    server.replies(stall_after("a", "b"))
    before = 0
    ways = list(LEAVING.values())
    for number in range(ABORTS):
        stream = connection.stream(STREAM)
        if number % 3:
            next(stream)
        ways[number % len(ways)](stream)
        if number == 100:
            gc.collect()
            before = _open_files()
    del stream
    gc.collect()
    server.wait_closed()
    server.replies(chat())
    connection.fetch(CHAT)
    assert len(pool_of(connection)._requests) == 0
    assert len(pool_of(connection).connections) == 1
    assert abs(_open_files() - before) < 20


def test_a_stream_dropped_after_its_client_was_closed_is_quiet(connection: Connection, server: FaultServer) -> None:
    server.replies(stall_after("a"))
    stream = connection.stream(STREAM)
    connection.close()
    with pytest.raises(ServerConnectionError):
        list(stream)
    server.wait_closed()


# -- asynchronous -----------------------------------------------------------------------------------------------------


async def _aclose(connection: AsyncConnection) -> None:
    stream = await connection.stream(STREAM)
    await anext(stream.__aiter__())
    await stream.close()


async def _break(connection: AsyncConnection) -> None:
    stream = await connection.stream(STREAM)
    async for _ in stream:
        break
    await stream.close()
    await stream.close()
    assert [chunk async for chunk in stream] == []


async def _abandon(connection: AsyncConnection) -> None:
    async for _ in await connection.stream(STREAM):
        break


async def _never_read(connection: AsyncConnection) -> None:
    await connection.stream(STREAM)


async def _read(stream: AsyncChunkStream, has_begun: asyncio.Event) -> None:
    async for _ in stream:
        has_begun.set()


async def _reading(connection: AsyncConnection) -> asyncio.Task[None]:
    """A task that waits for a chunk which does not come."""
    has_begun = asyncio.Event()
    task = asyncio.create_task(_read(await connection.stream(STREAM), has_begun))
    await has_begun.wait()
    await asyncio.sleep(0)
    return task


async def _cancel(connection: AsyncConnection) -> None:
    task = await _reading(connection)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _cancel_often(connection: AsyncConnection) -> None:
    task = await _reading(connection)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()


async def _time_out(connection: AsyncConnection) -> None:
    stream = await connection.stream(STREAM)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_read(stream, asyncio.Event()), 0.002)


async def _close_elsewhere(connection: AsyncConnection) -> None:
    has_begun = asyncio.Event()
    stream = await connection.stream(STREAM)
    task = asyncio.create_task(_read(stream, has_begun))
    await has_begun.wait()
    await asyncio.sleep(0)
    await stream.close()
    await task


ABORTING: dict[str, Callable[[AsyncConnection], Awaitable[None]]] = {
    "close": _aclose,
    "break": _break,
    "abandon": _abandon,
    "never read": _never_read,
    "cancel": _cancel,
    "cancel often": _cancel_often,
    "time out": _time_out,
    "closed by another task": _close_elsewhere,
}


@pytest.mark.parametrize("abort", ABORTING.values(), ids=ABORTING)
async def test_a_stream_that_is_aborted_closes_its_connection(
    awaiting: AsyncConnection, server: FaultServer, abort: Callable[[AsyncConnection], Awaitable[None]]
) -> None:
    server.replies(stall_after("a"))
    await abort(awaiting)
    gc.collect()
    await _settled(awaiting, server)


async def test_a_thousand_aborted_streams_leave_nothing(awaiting: AsyncConnection, server: FaultServer) -> None:
    server.replies(stall_after("a"))
    ways = list(ABORTING.values())
    before = 0
    for number in range(0, ABORTS, 20):
        await asyncio.gather(*(ways[(number + n) % len(ways)](awaiting) for n in range(20)))
        if number == 100:
            before = _open_files()
    gc.collect()
    await _settled(awaiting, server)
    assert abs(_open_files() - before) < 30


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("call", [CHAT, STREAM], ids=["buffered", "streamed"])
async def test_cancelled_before_the_head_it_leaves_nothing(
    awaiting: AsyncConnection, server: FaultServer, call: Call, times: int
) -> None:
    server.replies(hang())
    ask = awaiting.stream if call is STREAM else awaiting.fetch
    task = asyncio.ensure_future(ask(call))
    await asyncio.to_thread(server.wait_requests, 1)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    await _settled(awaiting, server)


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_at_any_step_of_sending_it_leaves_nothing(
    awaiting: AsyncConnection, server: FaultServer, steps: int
) -> None:
    server.replies(stall_after("a"))
    task = asyncio.ensure_future(awaiting.stream(STREAM))
    for _ in range(steps):
        await asyncio.sleep(0)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()
    del task
    await _settled(awaiting, server)
    gc.collect()


async def test_cancelled_while_it_waits_to_try_again_it_leaves_nothing(
    awaiting: AsyncConnection, server: FaultServer
) -> None:
    server.replies(too_many("30"))
    task = asyncio.ensure_future(awaiting.fetch(CHAT))
    await asyncio.to_thread(server.wait_requests, 1)
    for _ in range(100):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.requests) == 1
    assert pool_of(awaiting)._requests == []


async def test_closing_waits_for_what_is_being_closed(server: FaultServer) -> None:
    server.replies(stall_after("a"))
    connection = AsyncConnection(Terms(base_url=server.url), server_error)
    for abort in (_abandon, _cancel_often, _never_read):
        await abort(connection)
    await asyncio.sleep(0)
    await connection.close()
    assert _tasks() == set()
    await asyncio.to_thread(server.wait_closed)

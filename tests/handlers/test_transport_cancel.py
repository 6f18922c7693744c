"""Cancelling and closing: the socket closes, the slot is free, whatever was going on, once or twice in a row."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatproxy.handlers.transport import Http1Transport, lean_request
from tests.faults.loops import BOTH_LOOPS
from tests.faults.tls import server_context
from tests.faults.upstream import FaultUpstream, chunked, flood, never_answer, ok, slow_reader, stall

TIMEOUT = {"connect": 30.0, "read": 30.0, "write": 30.0, "pool": 30.0}


@pytest.fixture(params=BOTH_LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def post(url: str, body: bytes = b"{}") -> httpx.Request:
    return lean_request("POST", httpx.URL(url), [], body, TIMEOUT)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def cancel_twice(task: "asyncio.Task[Any]") -> None:
    """Cancel, let the task run on for one turn of the loop, cancel again while it may still be cleaning up."""
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() or task.exception() is not None


async def exchange(transport: Http1Transport, url: str, body: bytes = b"{}") -> bytes:
    response = await transport.handle_async_request(post(url, body))
    return b"".join([part async for part in response.stream])  # type: ignore[union-attr]


Moment = Callable[[FaultUpstream], Awaitable[None]]


async def at_once(_: FaultUpstream) -> None:
    return


async def one_turn(_: FaultUpstream) -> None:
    await asyncio.sleep(0)


async def request_came(upstream: FaultUpstream) -> None:
    await upstream.got_request.wait()
    upstream.got_request.clear()


CASES = [
    pytest.param(never_answer(), at_once, id="before it starts"),
    pytest.param(never_answer(), one_turn, id="connecting"),
    pytest.param(never_answer(), request_came, id="waiting for the head"),
    pytest.param(stall(), request_came, id="around the first byte"),
    pytest.param(flood(4_000_000), request_came, id="mid-body"),
    pytest.param(ok(), request_came, id="around the end"),
]


@pytest.mark.parametrize(("script", "moment"), CASES)
async def test_two_cancels_in_a_row_leave_nothing_behind(script: Any, moment: Moment) -> None:
    async with FaultUpstream(script) as upstream, Http1Transport() as transport:
        for _ in range(1000):
            task = asyncio.create_task(exchange(transport, upstream.url))
            await moment(upstream)
            await cancel_twice(task) if not task.done() else None
        async with asyncio.timeout(10):
            stats = transport.stats()
            assert stats.open == stats.idle <= 1
            assert stats.waiting == 0
            await transport.aclose()
            await upstream.all_left()
        assert upstream.open_connections == 0


async def test_a_thousand_at_once_cancelled_twice_leave_nothing_behind() -> None:
    async with FaultUpstream(stall()) as upstream, Http1Transport(max_connections=50) as transport:
        before = open_files()
        tasks = [asyncio.create_task(exchange(transport, upstream.url)) for _ in range(1000)]
        await upstream.until(lambda: upstream.accepted == 50)
        assert transport.stats() == (50, 0, 950)
        await asyncio.gather(*map(cancel_twice, tasks))
        assert transport.stats() == (0, 0, 0)
        await upstream.all_left()
        assert open_files() <= before
        assert len(asyncio.all_tasks()) <= 2


@pytest.mark.parametrize("moment", [one_turn, request_came])
async def test_two_cancels_in_a_row_leave_nothing_behind_over_tls(moment: Moment) -> None:
    script = stall()
    async with FaultUpstream(script, tls=server_context()) as upstream, Http1Transport(verify=False) as transport:
        for _ in range(50):
            task = asyncio.create_task(exchange(transport, upstream.url))
            await moment(upstream)
            await cancel_twice(task)
            assert transport.stats().open == 0
        await upstream.all_left()


@pytest.mark.parametrize("turns", range(1, 12))
async def test_cancel_at_any_turn_of_a_tls_handshake_closes_the_socket(turns: int) -> None:
    async with FaultUpstream(ok(), tls=server_context()) as upstream, Http1Transport(verify=False) as transport:
        before = open_files()
        task = asyncio.create_task(exchange(transport, upstream.url))
        for _ in range(turns):
            await asyncio.sleep(0)
        await cancel_twice(task) if not task.done() else None
        await transport.aclose()
        await upstream.all_left()
        assert transport.stats().open == 0
        assert open_files() <= before + 1


async def test_cancel_while_the_body_is_stuck_closes_the_socket() -> None:
    script = slow_reader(asyncio.Event())
    async with FaultUpstream(script, reads_bodies=False) as upstream, Http1Transport() as transport:
        task = asyncio.create_task(exchange(transport, upstream.url, b"x" * 20_000_000))
        await request_came(upstream)
        await cancel_twice(task)
        assert transport.stats().open == 0


async def test_cancel_while_waiting_for_a_slot_gives_the_turn_to_the_next() -> None:
    async with FaultUpstream(stall(), ok(b"mine")) as upstream, Http1Transport(max_connections=1) as transport:
        holder = await transport.handle_async_request(post(upstream.url))
        first = asyncio.create_task(exchange(transport, upstream.url))
        second = asyncio.create_task(exchange(transport, upstream.url))
        await asyncio.sleep(0)
        assert transport.stats().waiting == 2
        await cancel_twice(first)
        await holder.aclose()
        assert await second == b"mine"
        assert transport.stats() == (1, 1, 0)


async def test_cancel_in_the_moment_a_slot_is_granted_passes_it_on() -> None:
    async with FaultUpstream(stall(), ok(b"mine")) as upstream, Http1Transport(max_connections=1) as transport:
        holder = await transport.handle_async_request(post(upstream.url))
        first = asyncio.create_task(exchange(transport, upstream.url))
        second = asyncio.create_task(exchange(transport, upstream.url))
        await asyncio.sleep(0)
        await holder.aclose()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        assert await second == b"mine"
        assert transport.stats() == (1, 1, 0)


async def test_closing_a_stream_early_closes_its_connection() -> None:
    async with FaultUpstream(stall()) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        await response.aclose()
        await response.aclose()
        assert transport.stats().open == 0
        await upstream.all_left()
        with pytest.raises(httpx.StreamClosed):
            await anext(aiter(response.stream))  # type: ignore[arg-type]


async def test_closing_a_stream_wakes_its_reader() -> None:
    async with FaultUpstream(stall()) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        parts = aiter(response.stream)  # type: ignore[arg-type]
        assert await anext(parts)
        reader = asyncio.ensure_future(anext(parts))
        await asyncio.sleep(0)
        await response.aclose()
        with pytest.raises(httpx.StreamClosed):
            await reader


async def test_closing_a_finished_stream_leaves_the_connection_alone() -> None:
    async with FaultUpstream(chunked([b"a"]), stall()) as upstream, Http1Transport() as transport:
        first = await transport.handle_async_request(post(upstream.url))
        assert await first.aread() == b"a"
        second = await transport.handle_async_request(post(upstream.url))
        await first.stream.aclose()  # type: ignore[union-attr]
        assert transport.stats() == (1, 0, 0)
        assert await anext(aiter(second.stream))  # type: ignore[arg-type]
        await second.aclose()


async def test_closing_the_transport_ends_everything() -> None:
    async with FaultUpstream(ok(), stall()) as upstream:
        transport = Http1Transport(max_connections=2)
        await exchange(transport, upstream.url)
        streaming = await transport.handle_async_request(post(upstream.url))
        other = await transport.handle_async_request(post(upstream.url))
        waiting = asyncio.create_task(exchange(transport, upstream.url))
        await asyncio.sleep(0)
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(httpx.ReadError, match="transport was closed"):
            await streaming.aread()
        with pytest.raises(httpx.ReadError, match="transport was closed"):
            await other.aread()
        with pytest.raises(httpx.ConnectError, match="transport is closed"):
            await waiting
        with pytest.raises(httpx.ConnectError, match="transport is closed"):
            await exchange(transport, upstream.url)
        await upstream.all_left()


async def test_closing_the_transport_while_a_connection_opens_sends_nothing() -> None:
    async with FaultUpstream(ok()) as upstream:
        transport = Http1Transport()
        opening = asyncio.create_task(exchange(transport, upstream.url))
        await asyncio.sleep(0)
        assert transport.stats() == (1, 0, 0)
        await transport.aclose()
        with pytest.raises(httpx.ConnectError, match="before a request could be sent"):
            await opening
        await upstream.all_left()
        assert upstream.requests == []


async def test_connection_refused_frees_its_slot() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    async with Http1Transport(max_connections=1) as transport:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError, match=f"cannot connect to http://127.0.0.1:{port}"):
                await exchange(transport, f"http://127.0.0.1:{port}")
        assert transport.stats() == (0, 0, 0)

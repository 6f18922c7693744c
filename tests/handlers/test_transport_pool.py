"""Which connection is used, how long one is kept, who waits for one, and how much waits unread in it."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatproxy.handlers.transport import Http1Transport, ResponseStream, lean_request
from tests.faults.loops import BOTH_LOOPS
from tests.faults.tls import authority_file, server_context
from tests.faults.upstream import (
    CHUNKED_HEAD,
    Exchange,
    FaultUpstream,
    Script,
    chunk,
    chunked,
    close_on_keep_alive,
    flood,
    ok,
    raw,
    reply,
    stall,
)

TIMEOUT = {"connect": 30.0, "read": 30.0, "write": 30.0, "pool": 30.0}
MIB = 1024 * 1024


@pytest.fixture(params=BOTH_LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def post(url: str, pool_s: float = 30.0) -> httpx.Request:
    return lean_request("POST", httpx.URL(url), [], b"{}", TIMEOUT | {"pool": pool_s})


async def read(response: httpx.Response) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return b"".join([part async for part in response.stream])


async def exchange(transport: Http1Transport, url: str) -> bytes:
    return await read(await transport.handle_async_request(post(url)))


async def test_connection_used_last_is_used_first() -> None:
    ends = [asyncio.Event() for _ in range(3)]

    def ends_on(event: asyncio.Event) -> Script:
        async def script(exchange: Exchange) -> None:
            await exchange.send(CHUNKED_HEAD)
            await event.wait()
            await exchange.send(chunk(b""))

        return script

    async with FaultUpstream(*map(ends_on, ends), ok()) as upstream, Http1Transport() as transport:
        streams = [await transport.handle_async_request(post(upstream.url)) for _ in range(3)]
        for at in (2, 0, 1):
            ends[at].set()
            await read(streams[at])
        for _ in range(3):
            await exchange(transport, upstream.url)
        assert [request.connection for request in upstream.requests] == [1, 2, 3, 2, 2, 2]


async def test_origins_do_not_share_connections() -> None:
    async with FaultUpstream(ok(b"one")) as one, FaultUpstream(ok(b"two")) as two, Http1Transport() as transport:
        for _ in range(2):
            assert await exchange(transport, one.url) == b"one"
            assert await exchange(transport, two.url) == b"two"
        assert (one.accepted, two.accepted) == (1, 1)
        assert transport.stats() == (2, 2, 0)


async def test_no_more_idle_connections_are_kept_than_allowed() -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport(max_idle_per_origin=2) as transport:
        await asyncio.gather(*(exchange(transport, upstream.url) for _ in range(5)))
        assert upstream.accepted == 5
        assert transport.stats() == (2, 2, 0)


async def test_idle_connections_are_closed_after_a_while() -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport(idle_expiry_s=0.05) as transport:
        await asyncio.gather(*(exchange(transport, upstream.url) for _ in range(3)))
        await upstream.all_left()
        assert transport.stats() == (0, 0, 0)
        await exchange(transport, upstream.url)
        await upstream.all_left()
        assert upstream.accepted == 4


async def test_waiters_are_served_in_order() -> None:
    async with FaultUpstream(stall(), ok()) as upstream, Http1Transport(max_connections=1) as transport:
        holder = await transport.handle_async_request(post(upstream.url))
        waiting = [asyncio.create_task(exchange(transport, f"{upstream.url}/{n}")) for n in range(5)]
        await asyncio.sleep(0)
        assert transport.stats() == (1, 0, 5)
        await holder.aclose()
        latecomer = asyncio.create_task(exchange(transport, f"{upstream.url}/late"))
        await asyncio.gather(*waiting, latecomer)
        assert [got.target for got in upstream.requests[1:]] == ["/0", "/1", "/2", "/3", "/4", "/late"]
        assert upstream.accepted == 2, "a connection that is free again is handed on, not replaced"


async def test_waiter_is_not_handed_a_connection_that_has_ended() -> None:
    """The upstream closes with its reply, unannounced: the next in the queue gets a new connection in the same slot."""
    async with FaultUpstream(close_on_keep_alive()) as upstream, Http1Transport(max_connections=1) as transport:
        got = await asyncio.gather(*(exchange(transport, upstream.url) for _ in range(5)))
        assert got == [b"once"] * 5
        assert upstream.accepted == 5
        await upstream.all_left()
        assert transport.stats().waiting == 0


async def test_waiting_too_long_for_a_connection_is_a_pool_timeout() -> None:
    async with FaultUpstream(stall(), ok()) as upstream, Http1Transport(max_connections=1) as transport:
        holder = await transport.handle_async_request(post(upstream.url))
        with pytest.raises(httpx.PoolTimeout, match=r"0\.05 s"):
            await transport.handle_async_request(post(upstream.url, pool_s=0.05))
        assert transport.stats() == (1, 0, 0)
        await holder.aclose()
        await exchange(transport, upstream.url)
        assert len(upstream.requests) == 2


async def test_idle_connection_of_another_origin_makes_room() -> None:
    async with (
        FaultUpstream(ok(b"one")) as one,
        FaultUpstream(ok(b"two")) as two,
        Http1Transport(max_connections=1) as transport,
    ):
        for _ in range(2):
            assert await exchange(transport, one.url) == b"one"
            assert await exchange(transport, two.url) == b"two"
            assert transport.stats() == (1, 1, 0)
        assert (one.accepted, two.accepted) == (2, 2)


async def test_slot_passes_to_a_waiter_for_another_origin() -> None:
    async with (
        FaultUpstream(stall()) as one,
        FaultUpstream(ok(b"two")) as two,
        Http1Transport(max_connections=1) as transport,
    ):
        holder = await transport.handle_async_request(post(one.url))
        waiting = asyncio.create_task(exchange(transport, two.url))
        await asyncio.sleep(0)
        await holder.aclose()
        assert await waiting == b"two"


async def test_reply_that_frees_its_connection_serves_a_waiter_for_another_origin() -> None:
    async with (
        FaultUpstream(chunked()) as one,
        FaultUpstream(ok(b"two")) as two,
        Http1Transport(max_connections=1) as transport,
    ):
        first = asyncio.create_task(exchange(transport, one.url))
        waiting = asyncio.create_task(exchange(transport, two.url))
        await first
        assert await waiting == b"two"
        assert transport.stats() == (1, 1, 0)


async def test_failed_connection_gives_its_slot_to_the_next() -> None:
    async with FaultUpstream(ok()) as gone:
        dead = gone.url
    async with FaultUpstream(ok(b"fine")) as upstream, Http1Transport(max_connections=1) as transport:
        doomed = asyncio.create_task(exchange(transport, dead))
        waiting = asyncio.create_task(exchange(transport, upstream.url))
        assert await waiting == b"fine"
        with pytest.raises(httpx.ConnectError):
            await doomed
        assert transport.stats() == (1, 1, 0)


async def until_stuck(sent: list[int], transport: Http1Transport, other: FaultUpstream) -> None:
    """Wait until the flooding upstream has sent nothing more during many other exchanges."""
    quiet = 0
    while quiet < 50:
        before = sent[0]
        await exchange(transport, other.url)
        quiet = quiet + 1 if sent[0] == before else 0


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_fast_upstream_and_slow_client_keep_little_in_memory(tmp_path: Path, *, is_tls: bool) -> None:
    total, sent = 64 * MIB, [0]
    context: ssl.SSLContext | None = server_context() if is_tls else None
    async with (
        FaultUpstream(flood(total, sent=sent), tls=context) as upstream,
        FaultUpstream(ok()) as other,
        Http1Transport(verify=authority_file(tmp_path)) as transport,
    ):
        response = await transport.handle_async_request(post(upstream.url))
        await until_stuck(sent, transport, other)
        assert sent[0] < total, "the upstream must be held back"
        assert isinstance(response.stream, ResponseStream)
        got = len(response.stream.take())
        assert 0 < got < MIB
        async for part in response.stream:
            assert len(part) < MIB
            got += len(part)
        assert got == total
        assert transport.stats().open == 2


async def test_two_hundred_streams_share_the_loop_without_mixing() -> None:
    bodies = [b"%d;" % n * 500 for n in range(200)]
    scripts = [raw(reply(body)) for body in bodies]
    async with FaultUpstream(*scripts) as upstream, Http1Transport() as transport:
        got = await asyncio.gather(*(exchange(transport, upstream.url) for _ in bodies))
        assert sorted(got) == sorted(bodies)

"""The deadlines: which exception, what they count, and what they must not count."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from chatproxy.handlers.transport import Http1Transport, lean_request
from tests.faults import tcp_proxy
from tests.faults.loops import BOTH_LOOPS
from tests.faults.tls import server_context
from tests.faults.upstream import (
    CHUNKED_HEAD,
    Exchange,
    FaultUpstream,
    Script,
    chunk,
    flood,
    never_answer,
    ok,
    reply,
    slow_reader,
    stall,
    trickle,
)

SHORT_S = 0.05
LONG_S = 30.0


@pytest.fixture(params=BOTH_LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def post(url: str, body: bytes = b"{}", **limits: Any) -> httpx.Request:
    timeout = {"connect": LONG_S, "read": LONG_S, "write": LONG_S, "pool": LONG_S} | limits
    return lean_request("POST", httpx.URL(url), [], body, timeout)


async def read(response: httpx.Response) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return b"".join([part async for part in response.stream])


@pytest.mark.parametrize("limit", ["read", "first_byte"])
async def test_reply_that_never_comes_is_a_read_timeout(limit: str) -> None:
    async with FaultUpstream(never_answer()) as upstream, Http1Transport() as transport:
        with pytest.raises(httpx.ReadTimeout, match=f"{SHORT_S} s"):
            await transport.handle_async_request(post(upstream.url, b"{}", **{limit: SHORT_S}))
        assert transport.stats().open == 0
        await upstream.all_left()


@pytest.mark.parametrize("sent", [CHUNKED_HEAD, CHUNKED_HEAD + chunk(b"a")], ids=["after the head", "in the body"])
async def test_stall_in_the_body_is_a_read_timeout(sent: bytes) -> None:
    async with FaultUpstream(stall(sent)) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url, read=SHORT_S, first_byte=LONG_S))
        with pytest.raises(httpx.ReadTimeout):
            await read(response)
        assert transport.stats().open == 0
        await upstream.all_left()


async def test_second_exchange_has_its_own_deadline() -> None:
    """A timer armed for a long limit gives way to a shorter one on the same connection, and the other way round."""
    async with FaultUpstream(ok(), ok(), ok(), never_answer()) as upstream, Http1Transport() as transport:
        for limit_s in (LONG_S, SHORT_S, LONG_S):
            await read(await transport.handle_async_request(post(upstream.url, read=limit_s)))
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(post(upstream.url, read=SHORT_S))
        assert upstream.accepted == 1


async def test_bytes_keep_the_read_deadline_away() -> None:
    """The whole reply takes several times the limit, but no pause within it does."""
    slow = trickle(reply(b"x" * 20), gap_s=0.01)
    async with FaultUpstream(slow) as upstream, Http1Transport() as transport:
        assert await read(await transport.handle_async_request(post(upstream.url, read=0.25))) == b"x" * 20


async def test_read_deadline_does_not_count_while_we_do_not_read() -> None:
    """A client that takes nothing for longer than the limit is not the upstream's fault."""
    sent = [0]
    async with FaultUpstream(flood(8_000_000, sent=sent)) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url, read=SHORT_S))
        later = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(4 * SHORT_S, later.set_result, None)
        await later
        assert len(await read(response)) == 8_000_000


async def test_upstream_that_takes_no_bytes_is_a_write_timeout() -> None:
    script = slow_reader(asyncio.Event())
    async with FaultUpstream(script, reads_bodies=False) as upstream, Http1Transport() as transport:
        with pytest.raises(httpx.WriteTimeout):
            await transport.handle_async_request(post(upstream.url, b"x" * 20_000_000, write=SHORT_S, read=SHORT_S))
        assert transport.stats().open == 0


async def test_streamed_body_has_the_write_deadline_too() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b"x" * 65536

    script = slow_reader(asyncio.Event())
    async with FaultUpstream(script, reads_bodies=False) as upstream, Http1Transport() as transport:
        request = httpx.Request("POST", upstream.url, content=endless(), extensions={"timeout": {"write": SHORT_S}})
        with pytest.raises(httpx.WriteTimeout):
            await transport.handle_async_request(request)
        assert transport.stats().open == 0


async def test_write_deadline_counts_pauses_not_the_whole_body() -> None:
    body = b"x" * 12_000_000
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        slow = [tcp_proxy.bandwidth(60_000_000, 65536)]
        async with tcp_proxy.TcpProxy(upstream.port, to_server=slow) as proxy:
            await read(await transport.handle_async_request(post(proxy.url, body, write=0.1)))
        assert upstream.requests[0].body == body


async def test_read_deadline_does_not_count_while_the_caller_still_writes_the_body() -> None:
    more = asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"start"
        await more.wait()
        yield b"end"

    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        asyncio.get_running_loop().call_later(4 * SHORT_S, more.set)
        request = httpx.Request("POST", upstream.url, content=slow_body(), extensions={"timeout": {"read": SHORT_S}})
        await read(await transport.handle_async_request(request))
        assert upstream.requests[0].body == b"startend"


async def test_tls_handshake_that_never_ends_is_a_connect_timeout() -> None:
    """A server that accepts and says nothing: the limit covers the handshake."""
    async with FaultUpstream(never_answer()) as upstream, Http1Transport(verify=False) as transport:
        with pytest.raises(httpx.ConnectTimeout, match=f"{SHORT_S} s"):
            await transport.handle_async_request(post(upstream.url.replace("http:", "https:"), connect=SHORT_S))
        assert transport.stats().open == 0
        await upstream.all_left()


async def test_limits_may_be_absent() -> None:
    async with FaultUpstream(ok(b"fine")) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(httpx.Request("GET", upstream.url))
        assert await read(response) == b"fine"


async def test_stall_over_tls_is_a_read_timeout() -> None:
    async with FaultUpstream(stall(), tls=server_context()) as upstream, Http1Transport(verify=False) as transport:
        response = await transport.handle_async_request(post(upstream.url, read=0.2))
        with pytest.raises(httpx.ReadTimeout):
            await read(response)
        await upstream.all_left()


def answering_early() -> Script:
    """Answer with a stream before the body is read, and never read it."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD)
        for _ in range(10):
            await exchange.send(chunk(b"x"))
            await asyncio.sleep(0.02)
        await exchange.send(chunk(b""))

    return script


async def test_early_reply_is_read_although_the_body_is_stuck() -> None:
    async with FaultUpstream(answering_early(), reads_bodies=False) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url, b"y" * 20_000_000, write=0.1, read=0.1))
        assert await read(response) == b"x" * 10
        assert transport.stats().open == 0

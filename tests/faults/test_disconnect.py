"""Clients that leave: the upstream is let go at once, the exchange is told once, nothing stays behind."""

import asyncio

import pytest

from tests.server.rawclient import RawClient

from .conftest import MakeUpstream
from .gateway import Gateway, until
from .replies import Departures, begun

PROMPT_LEAVING_S = 2.0  # 1 s is the promise, doubled for a busy machine


async def leave(client: RawClient, departures: Departures, *, reset: bool = False) -> float:
    """Leave; seconds until the upstream has seen it."""
    started = asyncio.get_running_loop().time()
    if reset:
        client.reset()
    else:
        client.close()
    async with asyncio.timeout(20):
        await departures.left.wait()
    return departures.times[0] - started


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_client_that_leaves_mid_stream_lets_the_upstream_go(
    gateway: Gateway, upstream: MakeUpstream, reset: bool
) -> None:
    """S-01."""
    departures = Departures(begun("Hello ", "world"))
    async with upstream(departures.script):
        client = await gateway.open(stream=True)
        await client.reader.readuntil(b"world")
        assert await leave(client, departures, reset=reset) <= PROMPT_LEAVING_S
        (line,) = await gateway.exchanges(1)
    assert (line["outcome"], line["status"], line["error_code"]) == ("client_disconnected", 200, None)
    assert (line["events"], line["usage_source"]) == (2, "estimated")
    assert line["completion_tokens"] > 0
    assert line["prompt_tokens"] > 0


@pytest.mark.parametrize("sent", [b"", begun()], ids=["no-head", "head-only"])
async def test_client_that_leaves_before_the_first_event_lets_the_upstream_go(
    gateway: Gateway, upstream: MakeUpstream, sent: bytes
) -> None:
    """S-01, before the first byte."""
    departures = Departures(sent)
    async with upstream(departures.script) as up:
        client = await gateway.open(stream=True)
        await up.got_request.wait()
        assert await leave(client, departures) <= PROMPT_LEAVING_S
        (line,) = await gateway.exchanges(1)
    assert (line["outcome"], line["status"], line["stream"]) == ("client_disconnected", 499, True)


async def test_client_that_leaves_a_buffered_exchange_lets_the_upstream_go(
    gateway: Gateway, upstream: MakeUpstream
) -> None:
    """S-03."""
    departures = Departures(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    async with upstream(departures.script) as up:
        client = await gateway.open()
        await up.got_request.wait()
        assert await leave(client, departures) <= PROMPT_LEAVING_S
        (line,) = await gateway.exchanges(1)
    assert (line["outcome"], line["status"], line["stream"]) == ("client_disconnected", 499, False)


async def test_client_that_leaves_in_its_own_body_is_told_in_the_log(gateway: Gateway, upstream: MakeUpstream) -> None:
    """S-03, before the request is complete: the upstream never hears of it."""
    async with upstream(Departures().script) as up:
        client = await gateway.connect()
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n{")
        client.close()
        (line,) = await gateway.exchanges(1)
        assert up.requests == []
    assert (line["outcome"], line["status"]) == ("client_disconnected", 499)


async def abort_mid_stream(gateway: Gateway) -> None:
    client = await gateway.open(stream=True)
    async with asyncio.timeout(30):
        await client.reader.readuntil(b"Hello")
    client.reset()


async def abort_at_once(gateway: Gateway) -> None:
    (await gateway.open()).reset()


async def test_thousand_aborted_exchanges_leave_nothing_behind(gateway: Gateway, upstream: MakeUpstream) -> None:
    """R-04: the upstream sees as many closes as opens."""
    before = gateway.holds()
    async with upstream(Departures(begun("Hello")).script) as up:
        for _ in range(10):
            await asyncio.gather(*(abort_mid_stream(gateway) for _ in range(50)))
            await asyncio.gather(*(abort_at_once(gateway) for _ in range(50)))
        assert await asyncio.to_thread(gateway.holds_more_than, before) == ""
        async with asyncio.timeout(20):
            await up.all_left()
        assert up.accepted >= 500
        await until(lambda: sum(line["events"] for line in gateway.lines) == 500)
    assert {line["outcome"] for line in gateway.lines} == {"client_disconnected"}


async def test_connections_without_a_request_leave_nothing_behind(gateway: Gateway) -> None:
    """R-04, for clients that say nothing, or half a head."""
    for n in range(500):
        client = await gateway.connect()
        await client.send(b"POST /v1/chat" * (n % 2))
        client.reset()
    assert (await gateway.ask(data=b"")).status == 400

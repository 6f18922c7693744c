"""Back-pressure in both directions, and requests that come before the answer to the one before them."""

import asyncio
from typing import Any

import pytest

from .conftest import ServeTiny
from .tiny import TinyGateway, answer, read_body, start

MIB = 1 << 20


async def test_fast_application_waits_for_a_slow_client_with_little_in_memory(serve_tiny: ServeTiny) -> None:
    """What the server holds stays below its high-water mark and one message, however much is to come."""
    sent, most, stuck = 0, 0, asyncio.Event()

    async def flood(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal sent, most
        (connection,) = running.server.state.connections
        await start(send)
        for _ in range(256):
            await send({"type": "http.response.body", "body": b"x" * MIB, "more_body": True})
            sent += MIB
            most = max(most, connection.transport.get_write_buffer_size())
            if connection.write_paused:
                stuck.set()

    gateway = TinyGateway(handlers={"x": flood})
    async with serve_tiny(gateway) as running:
        client = await running.connect(limit=1)
        await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        await stuck.wait()
        connection = await running.connection_of(client)
        assert connection.write_paused
        assert most <= MIB + 65_536
        assert sent < 64 * MIB
        client.reset()
        await gateway.left.wait()


async def test_body_waits_for_a_slow_application_with_little_in_memory(serve_tiny: ServeTiny) -> None:
    waiting: list[int] = []

    async def sip(_scope: Any, receive: Any, send: Any) -> None:
        await running.gateway.release.wait()
        while True:
            message = await receive()
            waiting.append(len(message["body"]))
            if not message["more_body"]:
                break
        await answer(send, b"%d" % sum(waiting))

    gateway = TinyGateway(handlers={"x": sip})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        client.writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n" + b"x" * 16 * MIB)
        await gateway.entered.wait()
        gateway.release.set()
        assert (await client.read_answer()).body == b"16777216"
        assert max(waiting) <= 65_536 + 262_144


async def test_pipelined_requests_are_answered_in_order(serve_tiny: ServeTiny) -> None:
    async def path(scope: Any, receive: Any, send: Any) -> None:
        body = await read_body(receive)
        await answer(send, scope["path"].encode() + (body or b""))

    gateway = TinyGateway(handlers={"x": path})
    requests = [b"POST /x/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d" % (i, i) for i in range(10)]
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(b"".join(requests))
        for i in range(10):
            assert (await client.read_answer()).body == b"/x/%d%04d" % (i, i)


async def test_requests_sent_while_an_answer_is_under_way_wait_for_it(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await running.gateway.entered.wait()
        size = 200_000
        client.writer.write(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        client.writer.write(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        running.gateway.release.set()
        assert [(await client.read_answer()).body for _ in range(3)] == [b"released", b"200000", b"0"]


async def test_little_is_held_of_what_comes_before_its_turn(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await running.gateway.entered.wait()
        connection = await running.connection_of(client)
        connection.data_received(b"GET /echo HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 60_000))
        assert connection.transport.is_reading()
        connection.data_received(b"GET /echo HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 6_000))
        assert not connection.transport.is_reading()
        running.gateway.release.set()
        assert [(await client.read_answer()).body for _ in range(3)] == [b"released", b"0", b"0"]


async def test_flood_of_pipelined_requests_is_cut_after_those_that_were_taken(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000)
        reply = await client.read_to_end()
        answers = reply.count(b"HTTP/1.1 200 OK\r\n")
        assert 1 <= answers < 100
        assert len(running.gateway.seen) == answers
        assert reply.endswith(b"connection: close\r\n\r\n0")


async def test_fault_behind_a_good_request_closes_after_its_answer(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\nGET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.read_answer()).headers["connection"] == "close"
        assert await client.read_to_end() == b""


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_request_behind_the_last_one_is_not_run(serve_tiny: ServeTiny, version: bytes) -> None:
    async with serve_tiny() as running:
        last = b"GET /echo HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n" % version
        reply = await running.exchange(last + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reply.count(b"HTTP/1.1 ") == 1
        assert running.gateway.seen == [("GET", "/echo")]


async def test_client_that_closes_early_gets_no_one_elses_answer(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        first = await running.connect()
        await first.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await running.gateway.entered.wait()
        first.close()
        second = await running.connect()
        await second.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde")
        running.gateway.release.set()
        assert (await second.read_answer()).body == b"5"

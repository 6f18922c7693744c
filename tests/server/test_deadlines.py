"""Slow and silent clients: every one is closed, and an honest one beside them is served."""

import asyncio
import socket
from typing import Any

import pytest

from .conftest import ServeTiny
from .rawclient import RawClient
from .tiny import TinyGateway, answer, start

GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
NEVER_S = 3_600.0
SHORT_S = 0.1
OTHERS = {
    "header_timeout_s": NEVER_S,
    "body_timeout_s": NEVER_S,
    "write_timeout_s": NEVER_S,
    "keep_alive_timeout_s": NEVER_S,
}


async def test_silent_connection_is_closed_at_the_header_deadline(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"header_timeout_s": SHORT_S}) as running:
        client = await running.connect()
        assert await client.read_to_end() == b""


async def test_slow_header_is_answered_408_and_closed(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"header_timeout_s": SHORT_S}) as running:
        client = await running.connect()
        await client.send(b"GET /echo HTTP/1.1\r\nHo")
        answer = await client.read_answer()
        assert answer.status == 408
        assert answer.error["code"] == "request_timeout"
        assert await client.read_to_end() == b""
        assert running.gateway.seen == []


async def test_trickling_does_not_extend_the_header_deadline(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS) as running:
        client = await running.connect()
        connection = await running.connection_of(client)
        for served in range(2):
            connection.deadline = sooner = connection.deadline - 1
            connection.data_received(GET[:5])
            assert (connection.deadline == sooner) is (served == 0), "a new connection's deadline runs from its start"
            connection.deadline = sooner
            for byte in GET[5:-1]:
                connection.data_received(bytes((byte,)))
                assert connection.deadline == sooner
            connection.data_received(GET[-1:])
            assert (await client.read_answer()).status == 200


async def test_later_request_has_the_header_deadline_from_its_first_byte(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"header_timeout_s": SHORT_S}) as running:
        client = await running.connect()
        await client.send(GET)
        assert (await client.read_answer()).status == 200
        await client.send(b"GET /echo HT")
        assert (await client.read_answer()).status == 408


async def test_half_a_head_behind_a_request_has_the_header_deadline(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"header_timeout_s": SHORT_S}) as running:
        client = await running.connect()
        await client.send(GET + b"GET /echo HT")
        assert (await client.read_answer()).status == 200
        assert (await client.read_answer()).status == 408


async def test_idle_connection_is_closed_at_the_keep_alive_deadline(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"keep_alive_timeout_s": SHORT_S}) as running:
        client = await running.connect()
        await client.send(GET)
        assert (await client.read_answer()).headers.get("connection") is None
        assert await client.read_to_end() == b""


async def test_stalled_body_is_answered_408_and_the_application_is_told(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"body_timeout_s": SHORT_S}) as running:
        client = await running.connect()
        await client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert (await client.read_answer()).status == 408
        assert await client.read_to_end() == b""
        await running.gateway.left.wait()


async def test_body_nobody_reads_has_no_deadline_until_it_is_read(serve_tiny: ServeTiny) -> None:
    """The client cannot send while reading is paused, so it is not the client that is late."""
    gateway, paused = TinyGateway(), asyncio.Event()

    async def slow_reader(_scope: object, receive: object, send: object) -> None:
        await paused.wait()
        await gateway._echo(_scope, receive, send)

    gateway.handlers["slow"] = slow_reader
    async with serve_tiny(gateway, **OTHERS | {"body_timeout_s": NEVER_S}) as running:
        client = await running.connect()
        client.writer.write(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8_000_000)
        await gateway.entered.wait()
        connection = await running.connection_of(client)
        connection.pause_reading()
        connection.on_deadline(connection.deadline)
        paused.set()
        assert (await client.read_answer()).body == b"8000000"


@pytest.mark.parametrize("messages", [1, 40], ids=["answer is written, not flushed", "application waits to write"])
async def test_client_that_reads_nothing_is_dropped(serve_tiny: ServeTiny, messages: int) -> None:
    gateway = TinyGateway()

    async def handler(_scope: object, _receive: object, send: Any) -> None:
        await start(send)
        for left in reversed(range(messages)):
            body = b"x" * (40_000_000 // messages)
            await send({"type": "http.response.body", "body": body, "more_body": left > 0})

    gateway.handlers["x"] = handler
    async with serve_tiny(gateway, **OTHERS | {"write_timeout_s": SHORT_S}) as running:
        client = await running.connect(limit=1)
        await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        await gateway.left.wait()
        assert await running.server.state.wait_empty(20)


async def test_connection_idles_its_full_time_after_a_slowly_read_answer(serve_tiny: ServeTiny) -> None:
    gateway = TinyGateway()

    async def handler(_scope: object, _receive: object, send: Any) -> None:
        await answer(send, b"x" * 20_000_000)

    gateway.handlers["x"] = handler
    async with serve_tiny(gateway, **OTHERS) as running:
        client = await running.connect(limit=65_536)
        await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        await gateway.left.wait()
        connection = await running.connection_of(client)
        connection.on_deadline(1.0)
        assert connection.deadline == 1.0 + running.server.state.stall_check_s
        assert len((await client.read_answer()).body) == 20_000_000
        connection.on_deadline(2.0)
        assert connection.deadline == 2.0 + NEVER_S
        connection.on_deadline(2.0 + NEVER_S)
        assert await client.read_to_end() == b""


async def test_slow_reader_that_goes_on_reading_is_served(serve_tiny: ServeTiny) -> None:
    """It takes a little in each half of the deadline, far less than makes the system take more from the server."""
    step, count = 262_144, 40
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    sock.setblocking(False)
    async with serve_tiny(**OTHERS) as running:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", running.port))
        client = RawClient(*await asyncio.open_connection(sock=sock, limit=16_384))
        connection = await running.connection_of(client)
        await client.send(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % (step * count))
        await running.gateway.entered.wait()
        for turn in range(count):
            await client.reader.readexactly(step)
            connection.on_deadline(turn * NEVER_S / 2)
        assert (await client.read_to_end()).endswith(b"x\r\n0\r\n\r\n")
        client.close()


async def test_running_answer_has_no_deadline_of_the_server(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(header_timeout_s=SHORT_S, body_timeout_s=SHORT_S, keep_alive_timeout_s=SHORT_S) as running:
        client = await running.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await running.gateway.entered.wait()
        other = await running.connect()
        assert await other.read_to_end() == b""
        running.gateway.release.set()
        assert (await client.read_answer()).body == b"released"


async def test_500_slow_clients_do_not_keep_an_honest_one_out(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"header_timeout_s": 3.0}) as running:
        slow = [await running.connect() for _ in range(500)]
        for client in slow:
            client.writer.write(b"GET /")
        honest = await running.connect()
        for _ in range(20):
            await honest.send(GET)
            assert (await honest.read_answer()).status == 200
        for client in slow:
            assert (await client.read_answer()).status == 408


async def test_clock_stops_with_the_last_connection(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(**OTHERS | {"header_timeout_s": SHORT_S}) as running:
        client = await running.connect()
        await client.send(GET + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await client.read_to_end()
        state = running.server.state
        assert await state.wait_empty(20)
        state._tick()
        assert state._timer is None
        again = await running.connect()
        await again.send(GET)
        assert (await again.read_answer()).status == 200


async def test_answer_started_before_the_body_stalled_is_cut(serve_tiny: ServeTiny) -> None:
    gateway = TinyGateway()

    async def talks_first(_scope: object, receive: object, send: object) -> None:
        await start(send)
        await send({"type": "http.response.body", "body": b"early", "more_body": True})  # type: ignore[operator]
        await gateway._echo(_scope, receive, send)

    gateway.handlers["talks"] = talks_first
    async with serve_tiny(gateway, **OTHERS | {"body_timeout_s": SHORT_S}) as running:
        reply = await running.exchange(b"POST /talks HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert b"5\r\nearly\r\n" in reply
        assert not reply.endswith(b"0\r\n\r\n")

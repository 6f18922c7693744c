"""The application learns at once that its client has left, in every way a client can leave."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from chatproxy.surfaces.edge import DISCONNECT_EXTENSION

from .conftest import Running, ServeTiny
from .rawclient import RawClient
from .tiny import Handle, TinyGateway, answer, start

POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"


def close(client: RawClient) -> None:
    client.close()


def reset(client: RawClient) -> None:
    sock: socket.socket = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.reset()


def half_close(client: RawClient) -> None:
    client.writer.write_eof()


LEAVE = {"closed": close, "reset": reset, "half-closed": half_close}


async def watch(scope: Any, _receive: Any, send: Any) -> None:
    gone = asyncio.Event()
    scope["extensions"][DISCONNECT_EXTENSION].on_disconnect(gone.set)
    await gone.wait()
    assert scope["extensions"][DISCONNECT_EXTENSION].disconnected
    await answer(send, b"to nobody")


async def watch_in_a_stream(scope: Any, _receive: Any, send: Any) -> None:
    await start(send)
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await watch(scope, _receive, send)


async def receive_until_it_left(_scope: Any, receive: Any, _send: Any) -> None:
    assert (await receive())["body"] == b"ab"
    assert await receive() == {"type": "http.disconnect"}


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE)
@pytest.mark.parametrize("handler", [watch, watch_in_a_stream, receive_until_it_left])
async def test_application_is_told(
    serve_tiny: ServeTiny, leave: Callable[[RawClient], None], handler: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = TinyGateway(handlers={"x": handler})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(POST)
        await gateway.entered.wait()
        leave(client)
        await gateway.left.wait()
        assert await running.server.state.wait_empty(20)
    assert caplog.records == []


async def test_half_closed_client_that_reads_nothing_is_gone_at_once(serve_tiny: ServeTiny) -> None:
    stuck = asyncio.Event()

    async def flood(_scope: Any, _receive: Any, send: Any) -> None:
        await start(send)
        while not connection.write_paused:
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        stuck.set()
        await send({"type": "http.response.body", "body": b"the end"})

    gateway = TinyGateway(handlers={"x": flood})
    async with serve_tiny(gateway, write_timeout_s=3_600) as running:
        client = await running.connect(limit=1)
        connection = await running.connection_of(client)
        await client.send(POST)
        await stuck.wait()
        half_close(client)
        await gateway.left.wait()
        assert await running.server.state.wait_empty(20)


async def test_watch_set_after_the_client_left_is_called(serve_tiny: ServeTiny) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await receive_until_it_left(scope, receive, send)
        await watch(scope, receive, send)

    gateway = TinyGateway(handlers={"x": handler})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(POST)
        await gateway.entered.wait()
        client.close()
        await gateway.left.wait()


async def test_removed_watch_is_not_called(serve_tiny: ServeTiny) -> None:
    called: list[str] = []

    async def handler(scope: Any, _receive: Any, send: Any) -> None:
        watched = scope["extensions"][DISCONNECT_EXTENSION]
        first, second = lambda: called.append("first"), lambda: called.append("second")
        watched.on_disconnect(first)
        watched.on_disconnect(second)
        watched.remove(first)
        watched.remove(first)
        await watch(scope, _receive, send)

    gateway = TinyGateway(handlers={"x": handler})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(POST)
        await gateway.entered.wait()
        client.close()
        await gateway.left.wait()
    assert called == ["second"]


async def test_watch_is_not_called_once_the_answer_is_out(serve_tiny: ServeTiny) -> None:
    called: list[str] = []

    async def handler(scope: Any, _receive: Any, send: Any) -> None:
        scope["extensions"][DISCONNECT_EXTENSION].on_disconnect(lambda: called.append("late"))
        await answer(send, b"ok")

    gateway = TinyGateway(handlers={"x": handler})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(POST)
        assert (await client.read_answer()).body == b"ok"
        client.close()
        assert await running.server.state.wait_empty(20)
    assert called == []


async def test_receive_after_the_answer_says_disconnect(serve_tiny: ServeTiny) -> None:
    async def handler(_scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"ok")
        assert await receive() == {"type": "http.disconnect"}

    gateway = TinyGateway(handlers={"x": handler})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(POST)
        await client.read_answer()
        await gateway.left.wait()


async def test_receive_that_waits_is_ended_by_the_answer(serve_tiny: ServeTiny) -> None:
    async def handler(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await answer(send, b"ok")
        assert await waiting == {"type": "http.disconnect"}

    gateway = TinyGateway(handlers={"x": handler})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(POST)
        await client.read_answer()
        await gateway.left.wait()


async def test_client_that_leaves_with_requests_waiting_starts_none_of_them(serve_tiny: ServeTiny) -> None:
    gateway = TinyGateway(handlers={"x": watch})
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(POST * 3)
        await gateway.entered.wait()
        client.close()
        await gateway.left.wait()
        assert await running.server.state.wait_empty(20)
        assert len(gateway.seen) == 1


async def connect_and_leave(running: Running) -> None:
    client = await running.connect()
    await client.send(POST)
    client.reset()


async def test_1000_aborted_requests_leave_nothing_behind(serve_tiny: ServeTiny) -> None:
    gateway = TinyGateway(handlers={"x": receive_until_it_left})
    async with serve_tiny(gateway) as running:
        for _ in range(20):
            await asyncio.gather(*(connect_and_leave(running) for _ in range(50)))
        check = await running.connect()
        await check.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await check.read_to_end()
        assert await running.server.state.wait_empty(20)
        if gateway.live:
            gateway.idle.clear()
            await gateway.idle.wait()
        assert running.server.state.tasks == set()

"""The orderly stop: nothing new, a time for what runs, a proper end for what is left."""

import asyncio
from collections.abc import Callable

import pytest

from chatproxy.errors import StartupError
from chatproxy.server import Server, ServerOptions

from .conftest import Running, ServeTiny
from .rawclient import RawClient
from .tiny import TinyGateway

STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"


async def open_streams(running: Running, count: int) -> list[RawClient]:
    clients = [await running.connect() for _ in range(count)]
    for client in clients:
        await client.send(STREAM)
        assert (await client.read_head())[0] == 200
    return clients


async def test_50_streams_finish_and_new_connections_are_refused(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        clients = await open_streams(running, 50)
        stopping = asyncio.create_task(running.server.stop())
        await running.gateway.draining.wait()
        with pytest.raises(ConnectionRefusedError):
            await running.connect()
        running.gateway.release.set()
        for client in clients:
            assert (await client.read_to_end()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert await stopping
    assert running.gateway.log[:4] == ["startup", "begin_drain", "wait_idle", "shutdown"]


async def test_streams_longer_than_the_limit_end_with_the_error_event(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(drain_timeout_s=0.05) as running:
        clients = await open_streams(running, 5)
        stopping = asyncio.create_task(running.server.stop())
        for client in clients:
            reply = await client.read_to_end()
            assert reply.endswith(b'data: {"error": {"code": "server_shutdown"}}\n\n\r\n0\r\n\r\n')
        assert await stopping
    assert running.gateway.log[:5] == ["startup", "begin_drain", "wait_idle", "expire_streams", "shutdown"]


async def test_application_that_does_not_end_is_cancelled(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(drain_timeout_s=0.05) as running:
        client = await running.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await running.gateway.entered.wait()
        assert await running.server.stop()
        assert await client.read_to_end() == b""
        assert running.gateway.live == 0


async def test_idle_connections_are_closed(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(drain_timeout_s=3_600) as running:
        client = await running.connect()
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.read_answer()
        silent = await running.connect()
        stopping = asyncio.create_task(running.server.stop())
        assert await client.read_to_end() == b""
        assert await silent.read_to_end() == b""
        assert await stopping


async def test_request_on_its_way_to_an_idle_connection_is_answered(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(drain_timeout_s=3_600, drain_idle_grace_s=3_600) as running:
        client = await running.connect()
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.read_answer()
        stopping = asyncio.create_task(running.server.stop())
        await running.gateway.draining.wait()
        await client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await client.read_answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.read_to_end() == b""
        assert await stopping


async def test_connections_that_wait_to_be_accepted_are_served(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        first = await running.connect()
        await first.send(STREAM)
        await first.read_head()
        running.server._acceptor._unread()  # type: ignore[union-attr]
        waiting = await running.connect()
        await waiting.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
        stopping = asyncio.create_task(running.server.stop())
        assert (await waiting.read_answer()).status == 200
        running.gateway.release.set()
        assert await stopping


async def test_second_request_to_stop_ends_the_drain(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(drain_timeout_s=3_600) as running:
        (client,) = await open_streams(running, 1)
        running.server.request_stop()
        stopping = asyncio.create_task(running.server.stop())
        await running.gateway.draining.wait()
        running.server.request_stop()
        assert not await stopping
        assert not (await client.read_to_end()).endswith(b"0\r\n\r\n")
        assert "shutdown" not in running.gateway.log


async def test_failing_gateway_does_not_keep_the_process(
    serve_tiny: ServeTiny, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(TinyGateway):
        async def wait_idle(self, timeout_s: float) -> bool:
            raise ValueError("no idea")

    async with serve_tiny(Failing()) as running:
        (client,) = await open_streams(running, 1)
        assert await running.server.stop()
        await client.read_to_end()
    assert "draining failed" in caplog.text


async def lifespan_of(app: Callable[..., object], options: ServerOptions) -> tuple[Server, TinyGateway]:
    gateway = TinyGateway()
    return Server(app, gateway, options), gateway  # type: ignore[arg-type]


async def test_application_without_lifespan_is_released_by_aclose() -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        return

    server, gateway = await lifespan_of(app, ServerOptions(port=0))
    await server.start()
    assert await server.stop()
    assert gateway.log == ["begin_drain", "wait_idle", "aclose"]


@pytest.mark.parametrize("how", ["says so", "raises", "raises late"])
async def test_application_that_cannot_start_stops_the_start(how: str) -> None:
    async def app(_scope: object, receive: Callable[[], object], send: Callable[[object], object]) -> None:
        if how == "raises":
            raise ValueError("no key")
        await receive()  # type: ignore[misc]
        if how == "raises late":
            await send({"type": "lifespan.startup.complete"})  # type: ignore[misc]
            raise ValueError("no key")
        await send({"type": "lifespan.startup.failed", "message": "no key"})  # type: ignore[misc]

    server, _ = await lifespan_of(app, ServerOptions(port=0))
    with pytest.raises(StartupError, match="no key"):
        await server.start()


async def test_start_that_fails_without_a_word_says_so() -> None:
    async def app(_scope: object, receive: Callable[[], object], send: Callable[[object], object]) -> None:
        await receive()  # type: ignore[misc]
        await send({"type": "lifespan.startup.failed"})  # type: ignore[misc]

    server, _ = await lifespan_of(app, ServerOptions(port=0))
    with pytest.raises(StartupError, match="startup failed"):
        await server.start()


@pytest.mark.parametrize("how", ["says so", "raises", "raised before"])
async def test_shutdown_that_fails_is_told_once(how: str, caplog: pytest.LogCaptureFixture) -> None:
    started = asyncio.Event()

    async def app(_scope: object, receive: Callable[[], object], send: Callable[[object], object]) -> None:
        await receive()  # type: ignore[misc]
        await send({"type": "lifespan.startup.complete"})  # type: ignore[misc]
        if how == "raised before":
            await started.wait()
            raise ValueError("no disk")
        await receive()  # type: ignore[misc]
        if how == "raises":
            raise ValueError("no disk")
        await send({"type": "lifespan.shutdown.failed", "message": "no disk"})  # type: ignore[misc]

    server, gateway = await lifespan_of(app, ServerOptions(port=0))
    await server.start()
    started.set()
    assert await server.stop()
    (record,) = caplog.records
    assert record.getMessage().startswith("the application failed to shut down")
    assert "no disk" in caplog.text
    assert "aclose" not in gateway.log


async def test_shutdown_that_hangs_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    cancelled = asyncio.Event()

    async def app(_scope: object, receive: Callable[[], object], send: Callable[[object], object]) -> None:
        await receive()  # type: ignore[misc]
        await send({"type": "lifespan.startup.complete"})  # type: ignore[misc]
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    server, _ = await lifespan_of(app, ServerOptions(port=0, shutdown_timeout_s=0.05))
    await server.start()
    assert await server.stop()
    await cancelled.wait()
    assert "did not shut down within" in caplog.text


async def test_address_that_is_taken_is_said_before_the_start(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{running.port}: .*in use"):
            Server(running.gateway, running.gateway, ServerOptions(port=running.port))

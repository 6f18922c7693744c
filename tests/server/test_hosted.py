"""The connections alone, under a plain uvicorn server."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
import uvicorn

from chatproxy.server import GatewayProtocol

from .rawclient import WAIT_S, Answer, RawClient
from .tiny import TinyGateway

GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"


class Hosted:
    """A running uvicorn server and the way to it."""

    def __init__(self, server: uvicorn.Server, gateway: TinyGateway, port: int, task: asyncio.Task[None]) -> None:
        self.server = server
        self.gateway = gateway
        self.port = port
        self.task = task

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[RawClient]:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port, **options))
        try:
            yield client
        finally:
            client.close()

    async def exchange(self, data: bytes, **options: Any) -> Answer:
        async with self.client(**options) as client:
            await client.send(data)
            return await client.read_answer()


@asynccontextmanager
async def hosted(**options: Any) -> AsyncIterator[Hosted]:
    """``uvicorn`` with `options`, on a free port; who connects before it accepts waits in the backlog."""
    gateway = TinyGateway()
    options = {"http": GatewayProtocol, "ws": "none", "lifespan": "on", "log_config": None, **options}
    server = uvicorn.Server(uvicorn.Config(gateway, **options))
    sock = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield Hosted(server, gateway, sock.getsockname()[1], task)
    finally:
        server.should_exit = True
        gateway.release.set()
        async with asyncio.timeout(WAIT_S):
            await task


@pytest.mark.parametrize("http", [GatewayProtocol, "chatproxy.server:GatewayProtocol"], ids=["class", "import string"])
async def test_requests_of_one_connection_are_answered(http: Any) -> None:
    async with hosted(http=http) as running, running.client() as client:
        for _ in range(2):
            await client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
            answer = await client.read_answer()
            assert (answer.status, answer.body) == (200, b"5")
            assert answer.headers["server"] == "uvicorn"
        (connection,) = running.server.server_state.connections
        assert isinstance(connection, GatewayProtocol)
        assert running.server.server_state.total_requests == 2
        scope = running.gateway.scopes[0]
        assert (scope["scheme"], scope["path"], scope["root_path"]) == ("http", "/echo", "")
    assert running.gateway.log == ["startup", "shutdown"]


async def test_limits_of_the_connections_hold() -> None:
    async with hosted() as running:
        answer = await running.exchange(b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert (answer.status, answer.error["code"]) == (400, "invalid_host")


async def test_uvicorns_graceful_stop_lets_a_stream_finish_and_closes_idle_connections() -> None:
    async with hosted() as running, running.client() as streaming, running.client() as idle:
        await idle.send(GET)
        assert (await idle.read_answer()).status == 200
        await streaming.send(STREAM)
        await streaming.read_head()
        running.server.should_exit = True
        assert await idle.read_to_end() == b""
        assert not running.task.done()
        running.gateway.release.set()
        assert (await streaming.read_to_end()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        await running.task
    assert running.gateway.log == ["startup", "shutdown"]


async def test_uvicorns_limit_on_the_stop_cancels_what_still_runs() -> None:
    async with hosted(timeout_graceful_shutdown=0) as running, running.client() as client:
        await client.send(STREAM)
        await client.read_head()
        running.server.should_exit = True
        await running.task
        assert not (await client.read_to_end()).endswith(b"0\r\n\r\n")
        assert running.gateway.live == 0
    assert running.gateway.log == ["startup", "shutdown"]


async def test_root_path_and_headers_are_uvicorns() -> None:
    async with hosted(root_path="/under", headers=[("x-node", "7")], server_header=False) as running:
        answer = await running.exchange(GET)
        assert (answer.headers["x-node"], "server" in answer.headers) == ("7", False)
        scope = running.gateway.scopes[0]
        assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/under", "/under/echo", b"/under/echo")


async def test_connections_over_uvicorns_limit_are_answered_503() -> None:
    async with hosted(limit_concurrency=2) as running, running.client() as first:
        await first.send(GET)
        assert (await first.read_answer()).status == 200
        assert (await running.exchange(GET)).status == 503


async def test_uvicorns_limit_of_requests_ends_the_server() -> None:
    async with hosted(limit_max_requests=1) as running:
        assert (await running.exchange(GET)).status == 200
        await running.task


async def test_tls_is_uvicorns(tmp_path: Any) -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    pem = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    async with hosted(ssl_certfile=pem) as running:
        assert (await running.exchange(GET, ssl=trusting)).status == 200
        assert running.gateway.scopes[0]["scheme"] == "https"
        async with running.client(ssl=trusting) as client:
            await client.send(b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.read_answer()).status == 400
            assert await client.read_to_end() == b""

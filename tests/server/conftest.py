"""The tiny gateway, served on both event loops, and its clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatproxy.server import GatewayProtocol, Server, ServerOptions, running

from .programs import Program
from .rawclient import WAIT_S, RawClient
from .tiny import TinyGateway


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every asynchronous test here runs on both event loops."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


class Running:
    """A served `TinyGateway`, and its clients."""

    def __init__(self, server: Server, gateway: TinyGateway, stack: AsyncExitStack) -> None:
        self.server = server
        self.gateway = gateway
        self._stack = stack

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.urls[0].rsplit(":", 1)[1])

    async def connect(self, **options: Any) -> RawClient:
        """A new client."""
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port, **options))
        self._stack.callback(client.close)
        return client

    async def connection_of(self, client: RawClient) -> GatewayProtocol:
        """The server's side of a client's connection, once it is accepted."""
        name = client.writer.get_extra_info("sockname")
        async with asyncio.timeout(WAIT_S):
            while True:
                for connection in self.server.state.connections:
                    if connection.transport.get_extra_info("peername") == name:
                        assert isinstance(connection, GatewayProtocol)
                        return connection
                await asyncio.sleep(0)

    async def exchange(self, data: bytes) -> bytes:
        """Send `data` on a new connection; everything that comes back until the server closes."""
        client = await self.connect()
        await client.send(data)
        return await client.read_to_end()


Serve = Callable[..., Any]


ServeTiny = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def serve_tiny() -> ServeTiny:
    """``async with serve_tiny(header_timeout_s=…) as running``: a served gateway on a free port."""

    @asynccontextmanager
    async def serve(gateway: TinyGateway | None = None, **options: Any) -> AsyncIterator[Running]:
        gateway = gateway or TinyGateway()
        options = {"drain_timeout_s": 5.0, "drain_idle_grace_s": 0.05, **options}
        async with (
            running(gateway, gateway, ServerOptions(port=0, **options)) as server,
            AsyncExitStack() as stack,
        ):
            yield Running(server, gateway, stack)
            gateway.release.set()

    return serve


StartProgram = Callable[..., Program]


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[StartProgram]:
    """``start_program(workers=2, …)``: the tiny gateway in a process of its own, ready to answer."""
    started: list[Program] = []

    def start(**told: Any) -> Program:
        program = Program(tmp_path, **{"drain_timeout_s": 20.0, "drain_idle_grace_s": 0.05, **told})
        started.append(program)
        return program

    yield start
    for program in started:
        program.stop()

"""Gateways for the fault tests; whatever a test does to one, it must be as before when the test ends."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .gateway import CLIENT_KEY, UPSTREAM_KEY, Gateway, listening, settings
from .tcp_proxy import TcpProxy
from .upstream import FaultUpstream, Script

StartGateway = Callable[..., Gateway]
MakeUpstream = Callable[..., FaultUpstream]


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough here: the gateway runs on its own."""
    return "asyncio"


@pytest.fixture(scope="session")
def upstream_socket() -> Iterator[socket.socket]:
    """Where the upstream of the shared gateways listens, one after another."""
    with listening() as sock:
        yield sock


@pytest.fixture(scope="session")
def upstream_url(upstream_socket: socket.socket) -> str:
    """The base URL of the upstream."""
    return f"http://127.0.0.1:{upstream_socket.getsockname()[1]}/v1"


@pytest.fixture
def upstream(upstream_socket: socket.socket) -> MakeUpstream:
    """``async with upstream(script, …) as up``: what the shared gateways' requests meet."""

    def make(*scripts: Script, **options: Any) -> FaultUpstream:
        return FaultUpstream(*scripts, sock=upstream_socket, **options)

    return make


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Iterator[Gateway]:
    """A gateway with the default settings, for all tests that need no others."""
    yield from _lend(Gateway(tmp_path_factory.mktemp("gateway"), settings(upstream_url)))


@pytest.fixture(scope="session")
def impatient_gateway(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Iterator[Gateway]:
    """A gateway with short deadlines and small limits."""
    keys = {
        "connect_timeout_s": 1.0, "first_byte_timeout_s": 0.5, "idle_timeout_s": 0.5, "header_timeout_s": 2.0,
        "body_timeout_s": 2.0, "drain_timeout_s": 1.0, "max_body_bytes": 100_000, "max_concurrency": 4,
    }  # fmt: skip
    yield from _lend(Gateway(tmp_path_factory.mktemp("impatient"), settings(upstream_url, **keys)))


@pytest.fixture
def spoil(upstream_socket: socket.socket) -> Callable[..., TcpProxy]:
    """``async with FaultUpstream(…) as real, spoil(real.port, to_client=[…])``: bytes spoilt on their way."""

    def make(server_port: int, **toxics: Any) -> TcpProxy:
        return TcpProxy(server_port, sock=upstream_socket, **toxics)

    return make


def check_unharmed(gateway: Gateway, before: tuple[list[str], int]) -> None:
    """P0, P2 and P3 of a gateway that goes on: alive, nothing left over, nothing secret told, every line JSON."""
    assert gateway.get("/livez") == b'{"status":"ok"}'
    assert gateway.holds_more_than(before) == ""
    check_log(gateway.log[gateway.since :])


def check_log(log: str) -> None:
    """P3 and T-05: one JSON object a line, warnings of the start apart, and no secret."""
    assert UPSTREAM_KEY not in log
    assert CLIENT_KEY not in log
    lines = [line for line in log.split("\n")[:-1] if not line.startswith("chatproxy: warning: ")]
    assert all(isinstance(json.loads(line), dict) for line in lines)


def _lend(gateway: Gateway) -> Iterator[Gateway]:
    yield gateway
    gateway.stop()


def borrow(lent: Gateway) -> Iterator[Gateway]:
    """Lend a running gateway to one test; it must be unharmed afterwards."""
    asyncio.run(lent.mark())
    before = lent.holds()
    yield lent
    check_unharmed(lent, before)


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The shared gateway, unharmed afterwards."""
    yield from borrow(shared_gateway)


@pytest.fixture
def impatient(impatient_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway with short deadlines, unharmed afterwards."""
    yield from borrow(impatient_gateway)


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """``start_gateway(config, "--workers", "2")``: a gateway of the test's own; its log is checked afterwards."""
    started: list[Gateway] = []

    def start(config: str, *arguments: str, **options: Any) -> Gateway:
        gateway = Gateway(tmp_path / f"gateway-{len(started)}", config, *arguments, **options)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()
        if gateway.first_line:
            check_log(gateway.log)

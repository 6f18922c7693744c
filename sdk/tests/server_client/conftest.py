"""The clients, one after the other, and a server for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ..gateway import Gateway
from ..servers import FaultServer
from .adapters import KINDS, Connect


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients, blocking ones and then asynchronous ones; takes what they take."""
    with ExitStack() as made:

        def make(*arguments: Any, **options: Any) -> Any:
            client = KINDS[request.param](*arguments, **options)
            made.callback(client.end)
            return client

        yield make


@pytest.fixture
def client(connect: Connect, server: FaultServer) -> Any:
    """A client of the fault server."""
    return connect("sk-test", server.url, 5)


@pytest.fixture
def admin(connect: Connect, gateway: Gateway) -> Any:
    """A client of the gateway with its administrator's key."""
    return connect(gateway.key, gateway.url)

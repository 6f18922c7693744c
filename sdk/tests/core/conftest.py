"""Connections to a fault server, by either driver; that nothing is left of them is checked when they are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chatproxy_sdk._core.retries import Retries
from chatproxy_sdk._core.terms import Call, Terms

from ..servers import FaultServer
from .driving import CHAT, DRIVERS, STREAM, AwaitingDriver, BlockingDriver

Connect = Callable[..., BlockingDriver | AwaitingDriver]
QUICK = Retries(limit=2, delay_s=0.001)


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, server: FaultServer) -> Iterator[Connect]:
    opened: list[BlockingDriver | AwaitingDriver] = []

    def make(options: dict[str, Any] | None = None, **terms: Any) -> BlockingDriver | AwaitingDriver:
        found = Terms(**{"base_url": server.url, "timeout_s": 5.0, **terms})
        opened.append(DRIVERS[request.param](found, **(options or {})))
        return opened[-1]

    yield make
    for driver in opened:
        driver.close()
    server.wait_closed()


@pytest.fixture(params=[CHAT, STREAM], ids=["buffered", "streamed"])
def call(request: pytest.FixtureRequest) -> Call:
    found: Call = request.param
    return found

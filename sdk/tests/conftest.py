"""What every test of the SDK may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .gateway import gateway
from .servers import FaultServer

__all__ = ["gateway"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running

"""What the plugin's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .vendor import Vendor


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as found:
        yield found

"""What the plugin's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .agentapi import AgentApi


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def agent() -> AsyncIterator[AgentApi]:
    """An agentapi server whose agent is idle."""
    async with AgentApi() as served:
        yield served

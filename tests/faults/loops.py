"""The event loops that socket code is tested on: use as ``@pytest.fixture(params=BOTH_LOOPS) def anyio_backend``."""

import asyncio

import pytest

BOTH_LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
]


async def turns(count: int = 5) -> None:
    """Let the event loop run what is ready, and what that makes ready."""
    for _ in range(count):
        await asyncio.sleep(0)

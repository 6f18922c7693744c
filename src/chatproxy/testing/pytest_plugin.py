"""Fixtures for plugins' tests, found by pytest through the entry-point group ``pytest11``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest


@pytest.fixture
async def chatproxy_gateway() -> AsyncIterator[Callable[..., Any]]:
    """A function that opens a `Gateway` with the arguments of `make_app`; each is closed when the test ends."""
    from chatproxy.testing.app import make_app  # noqa: PLC0415 - only tests that use it pay for the import

    async with AsyncExitStack() as stack:

        async def open_gateway(**options: Any) -> Any:
            return await stack.enter_async_context(make_app(**options))

        yield open_gateway


@pytest.fixture
def chatproxy_recorder() -> Any:
    """A `Recorder` to hand in as a plugin."""
    from chatproxy.testing.recorder import Recorder  # noqa: PLC0415 - as above

    return Recorder()

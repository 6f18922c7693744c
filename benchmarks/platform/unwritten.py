"""A plugin that holds the writing of usage up, so that what a request costs is seen without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chatproxy_platform.platform import Platform

from chatproxy import App, hookimpl


@hookimpl(trylast=True)
@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Rows wait while the gateway runs; they are written when it ends."""
    recorder = vars(app.plugin(Platform).usage)
    recorder["flush"] = asyncio.Event().wait
    yield
    del recorder["flush"]

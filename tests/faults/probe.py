"""A plugin of these tests: tells what the process that answers holds. Loaded with ``--plugin``."""

import asyncio
import os
from collections.abc import Iterable
from typing import Any

from litestar import get

from chatproxy import hookimpl


@hookimpl
def routes(config: object) -> Iterable[Any]:
    """``GET /plugins/probe/state``: the process and the tasks of its event loop."""

    @get("/state", opt={"public": True})
    async def state() -> dict[str, Any]:
        names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
        return {"pid": os.getpid(), "tasks": sorted(names)}

    return [state]

"""Three plugins that do nothing in three hooks each, and one that counts tasks.

The first three are the price of having plugins at all; the last is loaded for the abort series only.
"""

import asyncio
from collections.abc import Iterable

from litestar import get
from litestar.handlers import BaseRouteHandler

from chatproxy import ChatRequest, Exchange, Handler, RequestContext, hookimpl


class Noop:
    """Implements three hooks and changes nothing."""

    @hookimpl
    async def before_request(self, ctx: RequestContext, request: ChatRequest) -> ChatRequest | None:
        return None

    @hookimpl
    async def select_handler(self, ctx: RequestContext, request: ChatRequest) -> Handler | None:
        return None

    @hookimpl
    async def after_response(self, ctx: RequestContext, exchange: Exchange) -> None:
        return None


class TaskCounter:
    """Serves the number of live tasks of the event loop."""

    @hookimpl
    def routes(self) -> Iterable[BaseRouteHandler]:
        return [_count_tasks]


@get("/live")
async def _count_tasks() -> dict[str, int]:
    return {"tasks": len(asyncio.all_tasks())}


first, second, third = Noop(), Noop(), Noop()
tasks = TaskCounter()

"""A plugin that asks the upstream twice: what a tool round costs where there is no tool.

Rule: for buffered answers only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from chatproxy import ChatRequest, Reply, RequestContext, hookimpl


@hookimpl
async def around_execute(
    ctx: RequestContext, request: ChatRequest, call_next: Callable[[ChatRequest], Awaitable[Reply]]
) -> Reply:
    """Ask, and ask again as a loop does: with a copy of the request."""
    await call_next(request)
    return await call_next(request.copy())

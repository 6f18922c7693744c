"""A plugin that has the platform's hooks, as they are without sessions, and does nothing in them."""

from __future__ import annotations

from chatproxy import ChatRequest, Exchange, Principal, RequestContext, hookimpl

_ANYBODY = Principal(id="anybody")


@hookimpl
async def authenticate(ctx: RequestContext) -> Principal:
    return _ANYBODY


@hookimpl(tryfirst=True)
async def before_request(ctx: RequestContext, request: ChatRequest) -> None:
    ctx.at_end(_ended)


def _ended(exchange: Exchange) -> None: ...

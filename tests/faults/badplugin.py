"""A plugin of these tests that fails as the request's ``user`` (or header ``x-fault``) says: ``how:hook``."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from chatproxy import ChatRequest, Principal, RequestContext, hookimpl


async def fail(ctx: RequestContext, hook: str) -> None:
    """Do what was asked for, where it was asked for."""
    how, _, where = ctx.headers.get("x-fault", "").partition(":")
    if where != hook:
        return
    if how == "raise":
        raise RuntimeError("told to fail")
    if how == "exit":
        raise SystemExit(3)
    if how == "hang":
        await asyncio.get_running_loop().create_future()
    if how == "block":
        time.sleep(1.6)  # noqa: ASYNC251 - a plugin that blocks the loop is what is tested
    while how == "swallow":
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            continue


@hookimpl
async def authenticate(ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
    await fail(ctx, "authenticate")
    return Principal(id="tester")


@hookimpl
async def before_request(ctx: RequestContext, request: ChatRequest) -> None:
    request["touched"] = True
    await fail(ctx, "before_request")


@hookimpl
async def select_handler(ctx: RequestContext, request: ChatRequest) -> None:
    await fail(ctx, "select_handler")


@hookimpl
async def around_execute(
    ctx: RequestContext, request: ChatRequest, call_next: Callable[[ChatRequest], Awaitable[Any]]
) -> Any:
    await fail(ctx, "around_execute")
    return await call_next(request)


@hookimpl
async def transform_stream(ctx: RequestContext, request: ChatRequest) -> Any:
    await fail(ctx, "transform_stream")

    async def transform(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for event in events:
            await fail(ctx, "event")
            yield event

    return transform


@hookimpl
async def before_response(ctx: RequestContext, request: ChatRequest, response: Any) -> None:
    await fail(ctx, "before_response")


@hookimpl
async def after_response(ctx: RequestContext, exchange: Any) -> None:
    await fail(ctx, "after_response")


@hookimpl
async def on_error(ctx: RequestContext, exchange: Any, error: Any) -> None:
    await fail(ctx, "on_error")

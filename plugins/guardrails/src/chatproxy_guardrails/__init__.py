"""Guardrails: what enters and leaves a model is checked, on every surface, buffered and streamed."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from chatproxy import App, ChatRequest, ChatResponse, Command, RequestContext, StreamEvent, hookimpl
from chatproxy.types import ToolCall, ToolResult
from chatproxy_guardrails.commands import test_command
from chatproxy_guardrails.config import Config
from chatproxy_guardrails.guard import Guard, opened
from chatproxy_guardrails.status import status_routes

Events = AsyncIterator[StreamEvent]


@hookimpl
def config_type() -> type[Config]:
    """What ``[plugins.guardrails]`` may hold."""
    return Config


@hookimpl
def commands() -> Iterable[Command]:
    """``chatproxy guardrails``."""
    return [test_command()]


@hookimpl
def routes(config: Any) -> Iterable[Any]:
    """``GET /plugins/guardrails/status``."""
    return status_routes()


@hookimpl
@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Open the checks, and make the guard available."""
    async with opened(app.config(Config)) as guard:
        app.provide(guard)
        yield


@hookimpl(tryfirst=True, provides=["guardrails"])
async def before_request(ctx: RequestContext, request: ChatRequest) -> None:
    """First, so that no other plugin sees what is taken out."""
    await ctx.plugin(Guard).request(ctx, request)


@hookimpl(tryfirst=True, provides=["guardrails"])
async def transform_stream(ctx: RequestContext, request: ChatRequest) -> Callable[[Events], Events] | None:
    """Nearest to the client, so that what other plugins add is checked too."""
    return ctx.plugin(Guard).stream(ctx, request)


@hookimpl(tryfirst=True, provides=["guardrails"])
async def before_response(ctx: RequestContext, response: ChatResponse) -> None:
    """Last of all, since this hook runs in reverse."""
    await ctx.plugin(Guard).response(ctx, response)


@hookimpl(trylast=True)
async def before_tool_call(ctx: RequestContext, call: ToolCall) -> ToolCall | None:
    """Last, with the arguments as they will be."""
    return await ctx.plugin(Guard).tool_call(ctx, call)


@hookimpl(trylast=True)
async def after_tool_call(ctx: RequestContext, result: ToolResult) -> ToolResult | None:
    """First, since this hook runs in reverse: no other plugin sees what is taken out."""
    return await ctx.plugin(Guard).tool_result(ctx, result)

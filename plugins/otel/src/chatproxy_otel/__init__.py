"""OpenTelemetry: one exchange is one trace; metrics and logs with it, on every surface, buffered and streamed."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chatproxy import ApiError, App, ChatRequest, ChatResponse, RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.types import StreamTransform
from chatproxy_otel.config import Config
from chatproxy_otel.content.mode import captures
from chatproxy_otel.telemetry import Telemetry, opened


def captures_content(config: Config) -> bool:
    """Whether contents are captured at all; what they need is left out otherwise."""
    return captures(config, os.environ)


@hookimpl
def config_type() -> type[Config]:
    """What ``[plugins.otel]`` may hold."""
    return Config


@hookimpl
@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Open the way to the collector and take over the traces."""
    async with opened(app, app.config(Config), os.environ) as telemetry:
        app.provide(telemetry)
        yield


@hookimpl(trylast=True, after=["guardrails"], when=captures_content)
async def before_request(ctx: RequestContext, request: ChatRequest) -> None:
    """Note what is asked, as the other plugins left it, where content is captured."""
    if ctx.trace.is_recording:
        ctx.plugin(Telemetry).keep(ctx, request)


@hookimpl(tryfirst=True, before=["guardrails"], when=captures_content)
async def transform_stream(ctx: RequestContext) -> StreamTransform | None:
    """Note what the client gets, where content is captured."""
    return ctx.plugin(Telemetry).transform(ctx)


@hookimpl(tryfirst=True, before=["guardrails"], when=captures_content)
async def before_response(ctx: RequestContext, response: ChatResponse) -> None:
    """Note what the client gets, where content is captured: the last in the reversed order."""
    ctx.plugin(Telemetry).hear(ctx, response)


@hookimpl(tryfirst=True, before=["guardrails"], when=captures_content)
async def after_tool_call(ctx: RequestContext, call: ToolCall, result: ToolResult) -> None:
    """Note a tool's arguments and result, where content is captured: the last in the reversed order."""
    ctx.plugin(Telemetry).hear_tool(ctx, call, result)


@hookimpl
async def after_response(ctx: RequestContext) -> None:
    """Write down an exchange that was answered."""
    await ctx.plugin(Telemetry).end(ctx, None)


@hookimpl
async def on_error(ctx: RequestContext, error: ApiError) -> None:
    """Write down an exchange that failed."""
    await ctx.plugin(Telemetry).end(ctx, error)

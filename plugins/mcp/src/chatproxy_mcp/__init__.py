"""MCP: tools of MCP servers in every chat, executed by the gateway, on every surface, buffered and streamed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from chatproxy import App, ChatRequest, Command, Reply, RequestContext, hookimpl
from chatproxy_mcp.config import Config
from chatproxy_mcp.gateway import Gateway
from chatproxy_mcp.operators.commands import mcp_command
from chatproxy_mcp.operators.health import health_report
from chatproxy_mcp.operators.parts import Parts, opened
from chatproxy_mcp.operators.routes import mcp_routes

CallNext = Callable[[ChatRequest], Awaitable[Reply]]


@hookimpl
def config_type() -> type[Config]:
    """What ``[plugins.mcp]`` may hold."""
    return Config


@hookimpl
def commands() -> Iterable[Command]:
    """``chatproxy mcp``."""
    return [mcp_command()]


@hookimpl
def routes(config: Any) -> Iterable[Any]:
    """``GET /chatproxy/mcp``."""
    return mcp_routes()


@hookimpl
@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Open what holds the servers; none is reached before a request has use for it."""
    async with opened(app.config(Config), app.config_file) as parts:
        app.provide(parts, Parts)
        app.provide(Gateway(parts))
        app.report_health("mcp", health_report(parts))
        yield


@hookimpl(trylast=True)
async def before_request(ctx: RequestContext, request: ChatRequest) -> None:
    """Take out what the request says about tools, when other plugins have made of it what they want."""
    ctx.plugin(Gateway).prepare(ctx, request)


@hookimpl
async def around_execute(ctx: RequestContext, request: ChatRequest, call_next: CallNext) -> Reply:
    """Ask the model, run its calls, and ask again."""
    return await ctx.plugin(Gateway).execute(ctx, request, call_next)

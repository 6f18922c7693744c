"""``GET /chatproxy/mcp``: servers, tools, health and pins."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from chatproxy import RequestContext
from chatproxy_mcp.config import Server
from chatproxy_mcp.loop.globs import matches_one
from chatproxy_mcp.operators.overview import overview
from chatproxy_mcp.operators.parts import Parts


@get(
    "/chatproxy/mcp",
    summary="MCP servers with their tools, health and pins",
    sync_to_thread=False,
    opt={"own_path": True},
)
def mcp_overview(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Of the servers that the caller may use, as this process knows them; counts are since its start."""
    ctx: RequestContext = request.state.context
    parts = ctx.plugin(Parts)
    return overview(parts, [name for name, server in parts.config.servers.items() if _may_use(ctx, server)])


def _may_use(ctx: RequestContext, server: Server) -> bool:
    return not server.keys or (ctx.principal is not None and matches_one(server.keys, ctx.principal.id))


def mcp_routes() -> list[Any]:
    """For the hook ``routes``."""
    return [mcp_overview]

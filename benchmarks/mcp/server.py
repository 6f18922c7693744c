"""MCP servers of the official SDK, in a process of their own: ``python -m benchmarks.mcp.server``.

With ``--ports`` one server for each port over streamable HTTP, the 50 tools dealt out to them; without, one server over
standard input and output. Every server also has the tool that says a text again.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import mcp_types
import uvicorn
from mcp.server import Server
from mcp.server.stdio import stdio_server

from benchmarks.mcp.tools import Json, echo, shares, tools


def serving(offered: list[Json]) -> Server[Any]:
    """A server of these tools; each of them says its ``text`` again."""
    listed = mcp_types.ListToolsResult(tools=[mcp_types.Tool.model_validate(tool) for tool in offered])

    async def list_tools(_ctx: Any, _params: Any) -> mcp_types.ListToolsResult:
        return listed

    async def call_tool(_ctx: Any, params: mcp_types.CallToolRequestParams) -> mcp_types.CallToolResult:
        text = str((params.arguments or {}).get("text", ""))
        return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text=text)])

    return Server("bench", version="1.0", on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_http(ports: list[int], count: int) -> None:
    """Serve until the process ends."""
    async with asyncio.TaskGroup() as group:
        for port, share in zip(ports, shares(tools(count), len(ports)), strict=True):
            app = serving(share or [echo()]).streamable_http_app()
            config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
            group.create_task(_Plain(config).serve())


class _Plain(uvicorn.Server):
    """Leaves signals alone: several of them live in one loop, and the process ends as a whole."""

    def install_signal_handlers(self) -> None:
        """Nothing."""


async def serve_stdio() -> None:
    """Serve until standard input ends."""
    server = serving([echo()])
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def main() -> None:
    parser = argparse.ArgumentParser(description="MCP servers to measure with.")
    parser.add_argument("--ports", type=int, nargs="+")
    parser.add_argument("--tools", type=int, default=0, help="dealt out to the ports; 0: each has one that echoes")
    options = parser.parse_args()
    asyncio.run(serve_http(options.ports, options.tools) if options.ports else serve_stdio())


if __name__ == "__main__":
    main()

"""Tools of an MCP server for every client: the gateway offers them to the model and runs its calls."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from mcp import Client, MCPError, StdioServerParameters

from chatproxy import ChatCompletionServer, ProxyHandler, UpstreamError, hookimpl

SERVER = StdioServerParameters(command=sys.executable, args=["-m", "mcp_server_time"])
MAX_ROUNDS = 5


class McpHandler(ProxyHandler):
    """Asks a model until it calls no more tools. `plugins/mcp` does it for several servers, with limits and streams."""

    backend = "demo"  # what super().execute asks; without this line the default upstream
    mcp: Client

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """One session, as long as the gateway runs."""
        async with Client(SERVER, read_timeout_seconds=20) as self.mcp:
            tools = (await self.mcp.list_tools()).tools
            described = [(tool, tool.description or "") for tool in tools]
            functions = [{"name": t.name, "description": text, "parameters": t.input_schema} for t, text in described]
            self.tools = [{"type": "function", "function": function} for function in functions]
            yield

    async def execute(self, params: Any) -> Any:
        """A mapping is enough: it is streamed where a stream was asked for."""
        messages = list(params["messages"])
        for _ in range(MAX_ROUNDS):
            answer = await super().execute({**params, "messages": messages, "tools": self.tools, "stream": False})
            message = answer["choices"][0]["message"]
            if not message.get("tool_calls"):
                return answer
            messages += [message, *[await self.run(call) for call in message["tool_calls"]]]
        raise UpstreamError("The model goes on calling tools.", code="too_many_rounds")

    async def run(self, call: dict[str, Any]) -> dict[str, Any]:
        """Run one call; the message that tells the model its result, or what went wrong."""
        try:
            result = await self.mcp.call_tool(call["function"]["name"], json.loads(call["function"]["arguments"]))
            text = "\n".join(part.text for part in result.content if part.type == "text")
        except (MCPError, ValueError) as exc:
            text = f"The tool failed: {exc}"
        return {"role": "tool", "tool_call_id": call["id"], "content": text}


handler = McpHandler()
server = ChatCompletionServer(handler=handler, plugins=[handler])
app = server.app
if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)

"""Handlers as classes: tools that the gateway runs, Claude behind OpenAI's API, and a choice between the two.

Run as it stands, ``claude-*`` needs ANTHROPIC_API_KEY; every other model is the built-in one with tools.
"""

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn

from chatproxy import ChatCompletionServer, ProxyHandler, UpstreamError

MAX_ROUNDS = 5
ROLES = {"user", "assistant"}  # a system message is a field of its own in Anthropic's requests


class LocalTools:
    """Stands for an MCP client: the two calls a handler needs of one."""

    async def list_tools(self) -> list[dict[str, Any]]:
        """The tools, as MCP's ``tools/list`` describes them."""
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        return [{"name": "get_weather", "description": "Current weather of a city.", "inputSchema": schema}]

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> str:
        """Run a tool, as MCP's ``tools/call`` does."""
        return f"18 degrees in {arguments['city']}" if name == "get_weather" else f"there is no tool {name}"


def as_function(tool: dict[str, Any]) -> dict[str, Any]:
    """MCP's description of a tool as OpenAI's."""
    function = {"name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"]}
    return {"type": "function", "function": function}


class ToolHandler(ProxyHandler):
    """Offers tools to a model, runs those it calls, and answers when it calls no more."""

    name = "tools"
    backend = "demo"  # what super().execute forwards to; without this line the default upstream

    def __init__(self, tools: LocalTools) -> None:
        self.tools = tools

    async def execute(self, params: Any) -> Any:
        """A mapping is enough: it is streamed where a stream was asked for."""
        offered = [as_function(tool) for tool in await self.tools.list_tools()]
        messages = list(params["messages"])
        for _ in range(MAX_ROUNDS):
            answer = await super().execute({**params, "messages": messages, "tools": offered, "stream": False})
            message = answer["choices"][0]["message"]
            if not message.get("tool_calls"):
                return answer
            messages += [message, *[await self.run(call) for call in message["tool_calls"]]]
        raise UpstreamError("The model goes on calling tools.", code="too_many_rounds")

    async def run(self, call: dict[str, Any]) -> dict[str, Any]:
        """Run one call; the message that tells the model its result."""
        function = call["function"]
        result = await self.tools.call_tool(function["name"], json.loads(function["arguments"]))
        return {"role": "tool", "tool_call_id": call["id"], "content": result}


class ClaudeHandler(ProxyHandler):
    """Answers by Anthropic's Messages API; texts only."""

    name = "claude"

    def __init__(self, base_url: str, api_key: str) -> None:
        headers = {"x-api-key": api_key, "anthropic-version": "2023-06-01"}
        self.client = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60)

    async def execute(self, params: Any) -> AsyncIterator[str]:
        """An async iterator of texts is enough: a buffered reply is put together from it."""
        return self.words(self.translated(params))

    def translated(self, params: Any) -> dict[str, Any]:
        """OpenAI's request as Anthropic's."""
        system = [m["content"] for m in params["messages"] if m["role"] in {"system", "developer"}]
        messages = [{"role": m["role"], "content": m["content"]} for m in params["messages"] if m["role"] in ROLES]
        limit = params.get("max_completion_tokens") or params.get("max_tokens") or 1024
        body = {"model": params["model"], "messages": messages, "max_tokens": limit, "stream": True}
        return {**body, "system": "\n\n".join(system)} if system else body

    async def words(self, body: dict[str, Any]) -> AsyncIterator[str]:
        """The reply's text, piece by piece."""
        async with self.client.stream("POST", "/v1/messages", json=body) as response:
            if response.is_error:
                raise UpstreamError(f"Anthropic answered {response.status_code}.", code="anthropic_error")
            async for line in response.aiter_lines():
                event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if event.get("type") == "content_block_delta":
                    yield event["delta"].get("text", "")

    async def aclose(self) -> None:
        """Called when the gateway stops."""
        await self.client.aclose()


class RoutingHandler(ProxyHandler):
    """Chooses a handler by the model's name."""

    def __init__(self, claude: ClaudeHandler, tools: ToolHandler) -> None:
        self.claude = claude
        self.tools = tools

    async def execute(self, params: Any) -> Any:
        """Hand on to one of the two."""
        chosen = self.claude if params["model"].startswith("claude-") else self.tools
        return await chosen.execute(params)

    async def aclose(self) -> None:
        """Close what holds connections."""
        await self.claude.aclose()


claude = ClaudeHandler(
    os.environ.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com"), os.environ.get("ANTHROPIC_API_KEY", "")
)
server = ChatCompletionServer(handler=RoutingHandler(claude, ToolHandler(LocalTools())))
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)

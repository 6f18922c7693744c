"""The gateway as the client under test of the conformance suite: one chat, whose model calls every tool there is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import chatproxy_mcp

from chatproxy.testing import Scripted, ScriptedUpstream, SeenRequest, make_app, reply, tool_calls_reply

SERVER = "suite"
ECHO = "json_schema_echo"
FOCAL = "json_schema_2020_12_tool"
VALUES: dict[str, Any] = {"number": 5, "integer": 5, "boolean": True, "array": [], "object": {}, "null": None}


class Model:
    """Calls each tool once, as the scenario says or as the tool's schema demands, and is content with any result.

    Attributes:
        told: by tool, what it was told of the result.
    """

    def __init__(self, context: dict[str, Any]) -> None:
        self._given = {call["name"]: call["arguments"] for call in context.get("toolCalls", ())}
        self.told: dict[str, Any] = {}

    def __call__(self, request: SeenRequest) -> Scripted:
        """The answer to one round."""
        messages = request.json["messages"]
        if results := [message for message in messages if message["role"] == "tool"]:
            self.told = {result["tool_call_id"]: result["content"] for result in results}
            return reply("Done.")
        tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in request.json.get("tools", ())}
        if not tools:
            return reply("There is nothing to call.")
        return tool_calls_reply(*((name, json.dumps(self._arguments(name, tools))) for name in tools))

    def _arguments(self, offered: str, tools: dict[str, Any]) -> dict[str, Any]:
        name, schema = offered.removeprefix(f"{SERVER}__"), tools[offered]
        if name == ECHO:
            return {"schema": tools[f"{SERVER}__{FOCAL}"]}
        if name in self._given:  # a null where the schema has none would be refused by the gateway
            return {key: value for key, value in self._given[name].items() if value is not None}
        wanted = ((key, schema["properties"].get(key, {})) for key in schema.get("required", ()))
        return {key: VALUES.get(said.get("type", "string"), "text") for key, said in wanted}


async def chat(url: str, context: dict[str, Any], pins: Path) -> dict[str, Any]:
    """Send one chat request through a gateway whose only server is the suite's; what its model was told."""
    server: dict[str, Any] = {"url": url}
    if "client_secret" in context:
        server["auth"] = {"type": "oauth", **{key: context[key] for key in ("client_id", "client_secret")}}
    settings = {"servers": {SERVER: server}, "pins": str(pins)}
    model = Model(context)
    upstream = ScriptedUpstream(model)
    async with make_app(plugins=[chatproxy_mcp], plugin_settings={"mcp": settings}, upstream=upstream) as gateway:
        answer = await gateway.chat("Do what you can.")
    answer.raise_for_status()
    return model.told


@contextmanager
def waiting(folder: Path) -> Iterator[int]:
    """Run a gateway for each ``conformance_client.py`` that comes to the port."""

    class Scenario(StreamRequestHandler):
        def handle(self) -> None:
            url, context = json.loads(self.rfile.read())
            pins = folder / f"{self.client_address[1]}.json"
            self.wfile.write(json.dumps(asyncio.run(chat(url, context, pins))).encode())

    with ThreadingTCPServer(("127.0.0.1", 0), Scenario) as server:
        thread = threading.Thread(target=server.serve_forever, name="gateways")
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()

"""Asking: a gateway with the plugin, one server of the SDK and an upstream that says what a test wrote, in any cell."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatproxy_mcp
import httpx
import mcp_types
import msgspec

from chatproxy.testing import Gateway, ScriptedUpstream, make_app
from chatproxy.testing.matrix import Cell, Heard, Said
from chatproxy.testing.matrix.said import scripted

from .servers import SdkServer

CLOCK: dict[str, dict[str, Any]] = {
    "now": {"description": "Say what time it is.", "inputSchema": {"type": "object", "properties": {}}},
    "echo": {
        "description": "Say a text again.",
        "inputSchema": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        },
    },
}


def clock_config(server: SdkServer, *, pins: Path | None = None, **settings: Any) -> dict[str, Any]:
    """The table ``[plugins.mcp]`` with one server ``clock``; ``server_`` in front of a key: the server's own."""
    own = {key.removeprefix("server_"): value for key, value in settings.items() if key.startswith("server_")}
    others = {key: value for key, value in settings.items() if not key.startswith("server_")}
    pinned = {"pins": str(pins)} if pins is not None else {"pinning": "off"}
    return {"servers": {"clock": {"url": server.url, **own}}, **pinned, **others}


def saying(cell: Cell, *rounds: Said) -> ScriptedUpstream:
    """An upstream that says one round after the other, in its own form, streamed where the cell is."""
    said = [scripted(cell.upstream_dialect, one, is_streamed=cell.is_streamed) for one in rounds]
    return ScriptedUpstream(*said)


@asynccontextmanager
async def gateway_of(
    upstream: ScriptedUpstream, config: dict[str, Any], *, cell: Cell | None = None, plugins: tuple[object, ...] = ()
) -> AsyncIterator[Gateway]:
    """A running gateway."""
    settings: dict[str, Any] = {} if cell is None else {"upstreams": cell.upstreams}
    async with make_app(
        plugins=[chatproxy_mcp, *plugins], upstream=upstream, plugin_settings={"mcp": config}, **settings
    ) as gateway:
        yield gateway


async def asked(cell: Cell, gateway: Gateway, text: str, **fields: Any) -> tuple[Heard, str]:
    """An answer, and the id of the last call in it that has one of the gateway's own; empty where none has."""
    bodies: list[bytes] = []

    async def read(answer: httpx.Response) -> None:
        bodies.append(await answer.aread())

    gateway.client.event_hooks = {"response": [read]}
    heard = await cell.ask(gateway, text, **fields)
    ids = re.findall(rb'"(?:call_)?id": ?"([0-9a-f]{9})"', bodies[0])
    return heard, ids[-1].decode() if ids else ""


def word_about(cell: Cell, call_id: str, said: Said, word: str) -> dict[str, Any]:
    """Fields of a request whose client answers a call."""
    question = msgspec.json.encode(cell.dialect.question("Well?", earlier=said, result=word))
    fields: dict[str, Any] = msgspec.json.decode(question.replace(b'"call_0"', msgspec.json.encode(call_id)))
    return fields


def answering(texts: dict[str, str]) -> Callable[[str, dict[str, Any]], Any]:
    """Results of tools by name."""

    async def answer(name: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        text = mcp_types.TextContent(type="text", text=texts.get(name) or str(arguments.get("text", "")))
        return mcp_types.CallToolResult(content=[text])

    return answer

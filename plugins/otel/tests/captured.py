"""What tests of content share: a gateway that captures it, and what was captured as plain data."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from chatproxy_otel.content.cleaning import Cleaner
from chatproxy_otel.content.messages import answered
from chatproxy_otel.content.showing import shown_answer, shown_request

from chatproxy.testing import SpanTree
from chatproxy.types import LAYOUTS, Layout

from .tracing import Traced, traced

Json = dict[str, Any]
_NAMES = {
    "gen_ai.input.messages": "input",
    "gen_ai.output.messages": "output",
    "gen_ai.system_instructions": "instructions",
    "gen_ai.tool.definitions": "tools",
    "gen_ai.tool.call.arguments": "arguments",
    "gen_ai.tool.call.result": "result",
}


@asynccontextmanager
async def capturing(*plugins: object, max_content_bytes: int = 16_384, **settings: Any) -> AsyncIterator[Traced]:
    """A gateway whose spans carry contents."""
    otel = {"capture_content": "span_only", "max_content_bytes": max_content_bytes}
    async with traced(*plugins, otel=otel, **settings) as gateway:
        yield gateway


def captured(tree: SpanTree) -> Json:
    """The contents in a tree of spans, by a short name, decoded where they are JSON objects or arrays."""
    found: Json = {}
    for span in tree.walk():
        for name, value in span.attributes.items():
            if name in _NAMES:
                assert _NAMES[name] not in found, f"{name} stands twice"
                found[_NAMES[name]] = json.loads(value) if value[:1] in ("[", "{") else value
    return found


async def post(gateway: Traced, path: str, body: Json | bytes) -> httpx.Response:
    """Send a body and read the whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await gateway.gateway.client.post(path, content=data, headers={"content-type": "application/json"})


def asked(
    body: Json,
    surface: str = "chat",
    *,
    limit: int = 16_384,
    hidden: dict[str, str] | None = None,
    redact: Callable[[str], str] = str,
) -> Json:
    """What is shown of a request."""
    cleaner = Cleaner(redact, hidden or {}, limit)
    return shown_request(json.dumps(body).encode(), layout(surface), cleaner, limit)


def said(body: Json, surface: str = "chat", *, limit: int = 16_384, hidden: dict[str, str] | None = None) -> list[Json]:
    """What is shown of a reply."""
    return shown_answer(answered(body, layout(surface)), Cleaner(str, hidden or {}, limit), limit, missing=0)


def layout(surface: str) -> Layout:
    return LAYOUTS[surface]


def leaves(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)

"""OpenTelemetry and MCP beside each other: tools that the gateway runs are spans, and their servers know them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import chatproxy_mcp
import chatproxy_otel
import mcp_types
import pytest
import uvicorn
from mcp.server import Server

from chatproxy.testing import ScriptedUpstream, SpanCapture, SpanTree, assert_semconv, make_app
from chatproxy.testing.matrix import Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

CELLS = [cell for cell in cells_with(calls=True) if cell.surface == "chat" and cell.is_native]
PATH = "/v1/chat/completions"
QUIET = {"traces": "none", "metrics": "none", "logs": "none", "log_level": None}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
ERIKA, MAX = ("book__find", '{"name":"Erika"}'), ("book__find", '{"name":"Max"}')
DONE = Said(content="Done.")
CHANGING = ("chatproxy.request_id", "gen_ai.response.time_to_first_chunk")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Book:
    """A server with one tool, ``find``.

    Attributes:
        parents: the span that it was told of by each call, by the name that was looked for.
        together: calls that are answered only when so many are there.
        port: where it is.
    """

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}
        self.together = 1
        self.port = 0
        self._arrived = 0
        self._all_arrived = asyncio.Event()
        self.server: Server[Any] = Server("book", version="1.0", on_list_tools=self._list, on_call_tool=self._call)

    def expect(self, together: int) -> None:
        self.parents.clear()
        self.together, self._arrived, self._all_arrived = together, 0, asyncio.Event()

    async def _list(self, ctx: Any, params: Any) -> mcp_types.ListToolsResult:
        tool = {"name": "find", "description": "Find somebody.", "inputSchema": SCHEMA}
        return mcp_types.ListToolsResult(tools=[mcp_types.Tool.model_validate(tool)])

    async def _call(self, ctx: Any, params: mcp_types.CallToolRequestParams) -> mcp_types.CallToolResult:
        name = (params.arguments or {})["name"]
        self.parents[name] = dict(params.meta or {})["traceparent"]
        self._arrived += 1
        if self._arrived == self.together:
            self._all_arrived.set()
        await self._all_arrived.wait()
        text = mcp_types.TextContent(type="text", text=f"{name} is here")
        return mcp_types.CallToolResult(content=[text], is_error=name == "Nobody")


@pytest.fixture(scope="module")
def running() -> Iterator[Book]:
    book = Book()
    config = uvicorn.Config(book.server.streamable_http_app(), port=0, log_config=None, access_log=False)
    host = uvicorn.Server(config)
    thread = threading.Thread(target=host.run, daemon=True)
    thread.start()
    while not host.started:
        thread.join(0.01)
    book.port = host.servers[0].sockets[0].getsockname()[1]
    yield book
    host.should_exit = True
    thread.join(10)


@asynccontextmanager
async def asked(book: Book, cell: Cell, first: Said, *, together: int = 1) -> AsyncIterator[tuple[SpanTree, Any]]:
    """The tree of a chat whose model wants tools first, and all its spans."""
    book.expect(together)
    spans = SpanCapture()
    said = [scripted(cell.upstream_dialect, one, is_streamed=cell.is_streamed) for one in (first, DONE)]
    server = {"url": f"http://127.0.0.1:{book.port}/mcp"}
    tables = {"otel": QUIET, "mcp": {"servers": {"book": server}, "pinning": "off"}}
    async with make_app(
        plugins=[spans, chatproxy_otel, chatproxy_mcp],
        upstream=ScriptedUpstream(*said),
        upstreams=cell.upstreams,
        plugin_settings=tables,
    ) as gateway:
        heard = await cell.ask(gateway, "Who?")
        assert (heard.content, heard.error) == ("Done.", None)
        yield stable(await spans.tree()), spans.finished


def stable(span: SpanTree) -> SpanTree:
    """A tree without events, and with … for what changes from run to run."""
    attributes = {name: "…" if name in CHANGING else value for name, value in sorted(span.attributes.items())}
    return span._replace(attributes=attributes, events=[], children=[stable(child) for child in span.children])


def span(name: str, kind: str, attributes: dict[str, Any], *children: SpanTree, status: str = "UNSET") -> SpanTree:
    return SpanTree(name, kind, dict(sorted(attributes.items())), [], status, None, 0, list(children))


def exchange(*children: SpanTree) -> SpanTree:
    attributes = {
        "chatproxy.handler": "upstream:default",
        "chatproxy.outcome": "completed",
        "chatproxy.request_id": "…",
        "chatproxy.surface": "chat",
        "chatproxy.upstream": "default",
        "client.address": "127.0.0.1",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": PATH,
        "server.address": "gateway",
        "server.port": 80,
        "url.path": PATH,
        "url.scheme": "http",
        "user_agent.original": "python-httpx/0.28.1",
    }
    return span(f"POST {PATH}", "SERVER", attributes, *children)


def chat(cell: Cell, finish: str, events: int) -> SpanTree:
    upstream = {"server.address": "upstream", "server.port": 80}
    sent = {
        "chatproxy.upstream": "default",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": f"http://upstream{PATH}",
    }
    attributes = {
        "chatproxy.handler": "upstream:default",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "scripted",
        "gen_ai.response.finish_reasons": [finish],
        "gen_ai.response.id": "chatcmpl-matrix",
        "gen_ai.response.model": "scripted",
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 12,
        "openai.api.type": "chat_completions",
    }
    if cell.is_streamed:
        streamed = {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": "…"}
        attributes |= {**streamed, "chatproxy.stream.events": events}
    attempt = span("POST", "CLIENT", {**sent, **upstream})
    return span("chat scripted", "CLIENT", {**attributes, **upstream}, attempt)


def tool(book: Book, number: int, *, fails: bool = False) -> SpanTree:
    attributes = {
        "chatproxy.mcp.tool": "find",
        "chatproxy.tool.server": "book",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.call.id": f"call_{number}",
        "gen_ai.tool.name": "book__find",
        "gen_ai.tool.type": "extension",
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "network.protocol.name": "http",
        "network.transport": "tcp",
        "server.address": "127.0.0.1",
        "server.port": book.port,
        **({"error.type": "tool_error"} if fails else {}),
    }
    return span("execute_tool book__find", "INTERNAL", attributes, status="ERROR" if fails else "UNSET")


def tools_of(spans: Any) -> list[Any]:
    return sorted((one for one in spans if one.name.startswith("execute_tool")), key=lambda one: one.start_time)


def parent_of(one: Any) -> str:
    """The header that makes a span the parent."""
    return f"00-{one.context.trace_id:032x}-{one.context.span_id:016x}-01"


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_tool_loop_is_one_tree_and_the_server_knows_the_span_of_its_call(cell: Cell, running: Book) -> None:
    async with asked(running, cell, Said(calls=(ERIKA,))) as (tree, spans):
        assert tree == exchange(chat(cell, "tool_calls", 5), tool(running, 0), chat(cell, "stop", 4))
        assert running.parents == {"Erika": parent_of(tools_of(spans)[0])}
        assert_semconv(spans)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_tools_that_run_at_the_same_time_have_spans_of_their_own(cell: Cell, running: Book) -> None:
    async with asked(running, cell, Said(calls=(ERIKA, MAX)), together=2) as (tree, spans):
        calls = [chat(cell, "tool_calls", 7), tool(running, 0), tool(running, 1), chat(cell, "stop", 4)]
        assert tree == exchange(*calls)
        first, second = tools_of(spans)
        assert running.parents == {"Erika": parent_of(first), "Max": parent_of(second)}
        assert second.start_time < first.end_time
        assert_semconv(spans)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_tool_that_says_that_it_failed_is_an_error_and_the_exchange_is_none(cell: Cell, running: Book) -> None:
    async with asked(running, cell, Said(calls=(("book__find", '{"name":"Nobody"}'),))) as (tree, spans):
        calls = [chat(cell, "tool_calls", 5), tool(running, 0, fails=True), chat(cell, "stop", 4)]
        assert tree == exchange(*calls)
        assert_semconv(spans)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_call_that_does_not_fit_is_a_span_and_reaches_no_server(cell: Cell, running: Book) -> None:
    async with asked(running, cell, Said(calls=(("book__find", '{"name":5}'),))) as (tree, spans):
        span = tree.find("execute_tool book__find")
        assert (span.status, span.attributes["error.type"]) == ("ERROR", "tool_error")
        assert "mcp.method.name" not in span.attributes
        assert running.parents == {}
        assert_semconv(spans)

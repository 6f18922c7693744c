"""The loop's limits, and what the model and the client are told where something goes wrong; on chat, both forms."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import mcp_types
import pytest

from chatproxy.testing import Recorder, ScriptedUpstream
from chatproxy.testing.matrix import DIALECTS, Cell, Said
from chatproxy.testing.matrix.said import scripted

from .asking import CLOCK, answering, clock_config, gateway_of, saying
from .servers import SdkServer

CELLS = [Cell("chat", is_streamed, "chat") for is_streamed in (False, True)]
NOON = Said(content="It is noon.", usage=(30, 7))


@pytest.fixture
def server() -> Any:
    with SdkServer(**CLOCK) as running:
        running.answer = answering({"now": "12:00 sharp"})
        yield running


def calling(*calls: tuple[str, str]) -> Said:
    return Said(content="", calls=calls, usage=(10, 5))


def told(upstream: ScriptedUpstream, request: int = 1) -> list[str]:
    """What the model was told of its calls."""
    messages = upstream.requests[request].json["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("clock__echo", '{"text": 5}'), "text"),
        (("clock__echo", '{"text"'), "JSON"),
        (("clock__echo", "[1]"), "object"),
        (("clock__gone", "{}"), "There is no tool 'clock__gone'"),
    ],
    ids=["wrong type", "cut off", "no object", "no such tool"],
)
async def test_a_call_that_cannot_be_run_is_told_to_the_model(
    cell: Cell, server: SdkServer, call: tuple[str, str], words: str
) -> None:
    upstream = saying(cell, calling(call), NOON)
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        heard = await cell.ask(gateway, "Go.")
    assert (heard.content, heard.calls, heard.error) == ("It is noon.", [], None)
    [said] = told(upstream)
    assert words in said
    assert server.calls == []


async def test_a_tool_that_vanished_is_told_to_the_model(server: SdkServer) -> None:
    async def vanished(name: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        raise ValueError(f"Unknown tool: {name}")

    server.answer = vanished
    upstream, recorder = saying(CELLS[0], calling(("clock__now", "{}")), NOON), Recorder()
    async with gateway_of(upstream, clock_config(server), plugins=(recorder,)) as gateway:
        heard = await CELLS[0].ask(gateway, "Go.")
        await recorder.wait()
    assert heard.content == "It is noon."
    assert len(told(upstream)[0]) > 5
    assert [call.ok for call in recorder.exchanges[0].tool_calls] == [False]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_calls_of_one_turn_run_at_the_same_time(cell: Cell, server: SdkServer) -> None:
    present, everybody = 0, asyncio.Event()
    main = asyncio.get_running_loop()

    async def meet(name: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        nonlocal present
        present += 1
        if present == 3:
            main.call_soon_threadsafe(everybody.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(everybody.wait(), main))
        return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text=arguments["text"])])

    server.answer = meet
    calls = calling(*[("clock__echo", json.dumps({"text": f"n{i}"})) for i in range(3)])
    upstream = saying(cell, calls, NOON)
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        heard = await cell.ask(gateway, "Go.")
    assert heard.content == "It is noon."
    assert told(upstream) == ["n0", "n1", "n2"]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_calls_over_the_limit_are_told_to_the_model(cell: Cell, server: SdkServer) -> None:
    calls = calling(*[("clock__echo", json.dumps({"text": f"n{i}"})) for i in range(4)])
    upstream = saying(cell, calls, NOON)
    async with gateway_of(upstream, clock_config(server, max_calls=2), cell=cell) as gateway:
        await cell.ask(gateway, "Go.")
    assert told(upstream)[:2] == ["n0", "n1"]
    assert all("at most 2 tools" in said for said in told(upstream)[2:])
    assert len(server.calls) == 2


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("limit", ["total_timeout_s", "server_call_timeout_s"])
async def test_a_tool_that_hangs_is_told_to_the_model_in_time(cell: Cell, server: SdkServer, limit: str) -> None:
    server.answer = _hang
    upstream, recorder = saying(cell, calling(("clock__now", "{}")), NOON), Recorder()
    config = clock_config(server, keepalive_s=0.05, **{limit: 0.4})
    async with gateway_of(upstream, config, cell=cell, plugins=(recorder,)) as gateway:
        body = {"model": "m", "messages": [{"role": "user", "content": "Go."}], "stream": cell.is_streamed}
        answer = await gateway.client.post("/v1/chat/completions", json=body)
        await recorder.wait()
    assert "noon." in answer.text
    assert "no answer" in told(upstream)[0]
    assert (": tools are running" in answer.text) == cell.is_streamed
    assert [call.ok for call in recorder.exchanges[0].tool_calls] == [False]


async def _hang(name: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_client_that_leaves_stops_the_tool(cell: Cell, server: SdkServer) -> None:
    began, ended = asyncio.Event(), asyncio.Event()
    main = asyncio.get_running_loop()

    async def hang(name: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        main.call_soon_threadsafe(began.set)
        try:
            return await _hang(name, arguments)
        finally:
            main.call_soon_threadsafe(ended.set)

    server.answer = hang
    upstream, recorder = saying(cell, calling(("clock__now", "{}")), NOON), Recorder()
    async with gateway_of(upstream, clock_config(server), cell=cell, plugins=(recorder,)) as gateway:
        asking = asyncio.ensure_future(cell.ask(gateway, "Go."))
        await began.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await ended.wait()
        await recorder.wait()
    assert recorder.exchanges[0].outcome == "client_disconnected"
    assert [call.ok for call in recorder.exchanges[0].tool_calls] == [False]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("surface", "forced", "then"),
    [
        ("chat", "required", "auto"),
        ("chat", {"type": "function", "function": {"name": "clock__now"}}, "auto"),
        ("chat", "auto", "auto"),
        ("responses", "required", "auto"),
        ("messages", {"type": "any", "extra": 1}, {"type": "auto", "extra": 1}),
        ("messages", {"type": "tool", "name": "clock__now"}, {"type": "auto"}),
    ],
)  # fmt: skip
async def test_a_forced_call_is_forced_once(server: SdkServer, surface: str, forced: Any, then: Any) -> None:
    cell = Cell(surface, False, surface)
    upstream = saying(cell, calling(("clock__now", "{}")), NOON)
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        await cell.ask(gateway, "Go.", tool_choice=forced)
    assert [request.json["tool_choice"] for request in upstream.requests] == [forced, then]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_turn_that_was_cut_short_runs_nothing(cell: Cell, server: SdkServer) -> None:
    dialect = DIALECTS["chat"]
    said = scripted(dialect, calling(("clock__now", "{}")), is_streamed=cell.is_streamed)
    cut = tuple(part.replace(b'"finish_reason":"tool_calls"', b'"finish_reason":"length"') for part in said.parts)
    upstream = ScriptedUpstream(type(said)(parts=cut, headers=said.headers))
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        heard = await cell.ask(gateway, "Go.")
    assert (heard.finish, heard.calls, server.calls) == ("length", [], [])


async def test_several_rounds_before_a_clients_call_are_all_resumed(server: SdkServer) -> None:
    for cell in CELLS:
        brush = {"type": "function", "function": {"name": "brush", "parameters": {"type": "object"}}}
        first = Said(content="One.", calls=(("clock__echo", '{"text":"first"}'),))
        mixed = Said(content="Two.", calls=(("brush", "{}"),))
        said = [scripted(cell.upstream_dialect, one, is_streamed=cell.is_streamed) for one in (first, mixed, NOON)]
        renamed = type(said[1])(
            parts=tuple(part.replace(b"call_0", b"call_9") for part in said[1].parts), headers=said[1].headers
        )
        upstream = ScriptedUpstream(said[0], renamed, said[2])
        async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
            heard = await cell.ask(gateway, "Go.", tools=[brush])
            assert heard.content == "One.\n\nTwo."
            kept = {
                "role": "assistant",
                "content": heard.content,
                "tool_calls": [{"id": "call_9", "type": "function", "function": {"name": "brush", "arguments": "{}"}}],
            }
            result = {"role": "tool", "tool_call_id": "call_9", "content": "clean"}
            messages = [{"role": "user", "content": "Go."}, kept, result]
            await gateway.chat(messages=messages, tools=[brush], stream=cell.is_streamed)
        sent = upstream.requests[2].json["messages"]
        assert [message["role"] for message in sent] == ["user", "assistant", "tool", "assistant", "tool"]
        assert [message.get("content") for message in sent] == ["Go.", "One.", "first", "Two.", "clean"]


async def test_a_request_of_another_tenant_resumes_nothing(server: SdkServer) -> None:
    from chatproxy import Principal, hookimpl

    class Keys:
        @hookimpl
        async def authenticate(self, headers: Any) -> Principal | None:
            return Principal(id=headers["authorization"])

    cell = CELLS[0]
    mixed = Said(content="Two.", calls=(("brush", "{}"), ("clock__now", "{}")))
    brush = {"type": "function", "function": {"name": "brush", "parameters": {"type": "object"}}}
    upstream = saying(cell, mixed, NOON)
    async with gateway_of(upstream, clock_config(server), cell=cell, plugins=(Keys(),)) as gateway:
        gateway.client.headers["authorization"] = "Bearer one"
        await cell.ask(gateway, "Go.", tools=[brush])
        gateway.client.headers["authorization"] = "Bearer two"
        kept = Said(content="Two.", calls=(("brush", "{}"),))
        await cell.ask(gateway, "Go.", earlier=kept, result="clean", tools=[brush])
    assert b"12:00" not in upstream.requests[1].body
    assert all(b"Bearer" not in json.dumps(arguments).encode() for _, arguments in server.calls)


async def test_several_choices_get_no_tools(server: SdkServer) -> None:
    upstream = saying(CELLS[0], NOON)
    async with gateway_of(upstream, clock_config(server)) as gateway:
        assert (await gateway.chat("Go.", n=2)).status_code == 200
        refused = await gateway.chat("Go.", n=2, mcp_servers=["clock"])
    assert "tools" not in upstream.requests[0].json
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "n"

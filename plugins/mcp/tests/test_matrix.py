"""The loop on every surface, buffered and streamed, native and translated: the same in each cell."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.testing import Recorder, ScriptedUpstream, error_reply
from chatproxy.testing.matrix import Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

from .asking import CLOCK, answering, clock_config, gateway_of, saying
from .servers import SdkServer

CELLS = cells_with(calls=True)
LOOK = Said(content="Let me look.", calls=(("clock__now", "{}"),), usage=(10, 5))
NOON = Said(content="It is noon.", usage=(30, 7))
BRUSH = {"type": "function", "function": {"name": "brush", "description": "d", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def server() -> Any:
    with SdkServer(**CLOCK) as running:
        running.answer = answering({"now": "12:00 sharp"})
        yield running


def joined(cell: Cell, *texts: str) -> str:
    """Texts of several rounds as a client of the surface reads them in one string."""
    return ("\n\n" if cell.surface == "chat" else "").join(texts)


def finished(cell: Cell) -> str:
    return {"chat": "stop", "messages": "end_turn", "responses": "completed"}[cell.surface]


def own_tool(cell: Cell) -> dict[str, Any]:
    """A tool that the client brings, in its own form."""
    function = BRUSH["function"]
    if cell.surface == "messages":
        return {"name": "brush", "description": "d", "input_schema": {"type": "object"}}
    return BRUSH if cell.surface == "chat" else {"type": "function", **function}  # type: ignore[dict-item]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_tool_is_run_and_the_client_gets_one_answer(cell: Cell, server: SdkServer) -> None:
    upstream, recorder = saying(cell, LOOK, NOON), Recorder()
    async with gateway_of(upstream, clock_config(server), cell=cell, plugins=(recorder,)) as gateway:
        heard = await cell.ask(gateway, "What time is it?")
        await recorder.wait()
    assert (heard.status, heard.error, heard.is_complete) == (200, None, True)
    assert heard.content == joined(cell, "Let me look.", "It is noon.")
    assert heard.calls == []
    assert heard.finish == finished(cell)
    assert heard.usage == (40, 12)
    if heard.whole is not None:
        assert heard.whole.content == heard.content
        assert heard.whole.calls == []
    first, second = upstream.requests
    assert cell.upstream_dialect.tool_names(first.json) == ["clock__echo", "clock__now"]
    assert first.body.count(b"12:00 sharp") == 0
    assert second.body.count(b"12:00 sharp") == 1
    [exchange] = recorder.exchanges
    [call] = exchange.tool_calls
    assert (call.name, call.server, call.ok, call.error_type) == ("clock__now", "clock", True, None)
    assert 0 < call.started_s < call.started_s + call.duration_s <= exchange.duration_s
    assert (exchange.usage.prompt_tokens, exchange.usage.completion_tokens) == (40, 12)
    assert exchange.notes["mcp"]["rounds"] == 2


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_call_of_the_clients_tool_is_handed_back_untouched(cell: Cell, server: SdkServer) -> None:
    said = Said(content="Hold still.", calls=(("brush", '{"teeth": 32}'),))
    upstream = saying(cell, said)
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        heard = await cell.ask(gateway, "Brush.", tools=[own_tool(cell)])
    assert (heard.status, heard.error, heard.is_complete) == (200, None, True)
    assert heard.content == "Hold still."
    [(name, arguments)] = heard.calls
    assert name == "brush"
    assert arguments.replace(" ", "") == '{"teeth":32}'
    [request] = upstream.requests
    assert cell.upstream_dialect.tool_names(request.json) == ["brush", "clock__echo", "clock__now"]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_mixed_turn_is_resolved_and_goes_on_with_the_clients_next_request(
    cell: Cell, server: SdkServer
) -> None:
    mixed = Said(content="Two things.", calls=(("brush", "{}"), ("clock__now", "{}")), usage=(10, 5))
    upstream = saying(cell, mixed, NOON)
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        heard = await cell.ask(gateway, "Both.", tools=[own_tool(cell)])
        assert heard.calls == [("brush", "{}")]
        assert heard.usage == (10, 5)
        assert heard.content == "Two things."
        assert len(upstream.requests) == 1
        kept = Said(content="Two things.", calls=(("brush", "{}"),))
        heard = await cell.ask(gateway, "And?", earlier=kept, result="clean", tools=[own_tool(cell)])
    assert heard.content == "It is noon."
    body = upstream.requests[1].body
    assert body.count(b"12:00 sharp") == 1
    assert body.count(b"Two things.") == 1
    assert body.count(b'"clean"') + body.count(b'"text":"clean"') >= 1
    told = body.decode()
    assert told.index("clock__now", told.index("Two things.")) > 0


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_failure_after_a_round_is_told_and_never_a_proper_end(cell: Cell, server: SdkServer) -> None:
    upstream = ScriptedUpstream(
        scripted(cell.upstream_dialect, LOOK, is_streamed=cell.is_streamed), error_reply(500, "overheated")
    )
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        heard = await cell.ask(gateway, "What time is it?")
    assert heard.error is not None
    assert not heard.is_complete
    assert heard.status == (200 if cell.is_streamed else 500)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_endless_calls_end_at_the_limit(cell: Cell, server: SdkServer) -> None:
    upstream = saying(cell, Said(content="", calls=(("clock__now", "{}"),), usage=(10, 5)))
    async with gateway_of(upstream, clock_config(server, max_rounds=2), cell=cell) as gateway:
        heard = await cell.ask(gateway, "What time is it?")
    assert (heard.error, heard.is_complete) == (None, True)
    assert heard.calls == []
    assert heard.finish == {"chat": "length", "messages": "max_tokens", "responses": "max_output_tokens"}[cell.surface]
    assert heard.usage == (30, 15)
    assert len(upstream.requests) == 3
    assert b'"none"' in upstream.requests[2].body

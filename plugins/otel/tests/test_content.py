"""Contents of messages through the gateway: on every surface, streamed and buffered, native and translated."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chatproxy_otel.content import Content

from chatproxy import ChatRequest, ChatResponse, RequestContext, hookimpl
from chatproxy.testing import ScriptedUpstream, reply, stream_reply
from chatproxy.testing.matrix import CELLS, Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

from .beside import Clock
from .captured import captured, capturing, post
from .tracing import traced

TOOL = {"name": "brush", "description": "Brush a cat.", "parameters": {"type": "object", "properties": {"cat": {}}}}
TOOLS = {
    "chat": {"type": "function", "function": TOOL},
    "responses": {"type": "function", **TOOL},
    "messages": {"name": "brush", "description": TOOL["description"], "input_schema": TOOL["parameters"]},
}
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
CALL = {"type": "tool_call", "id": "call_0", "name": "brush", "arguments": {"cat": "Murr"}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"type": "text", "content": text}]}


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_question_and_answer_are_captured(cell: Cell) -> None:
    upstream = cell.upstream(Said(content="It is noon."))
    async with capturing(upstream=upstream, upstreams=cell.upstreams) as gateway:
        await cell.ask(gateway.gateway, "What time is it?")
        found = captured(await gateway.tree())
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "It is noon."}], "finish_reason": "stop"}
    assert found == {"input": [user("What time is it?")], "output": [answer]}


@pytest.mark.parametrize("cell", cells_with(calls=True), ids=str)
async def test_tools_calls_and_results_are_captured(cell: Cell) -> None:
    earlier = Said(content="Wait.", calls=(("brush", '{"cat":"Murr"}'),))
    upstream = cell.upstream(Said(calls=(("brush", '{"cat":"Kater"}'),)))
    async with capturing(upstream=upstream, upstreams=cell.upstreams) as gateway:
        await cell.ask(gateway.gateway, "Again.", earlier=earlier, result="clean", tools=[TOOLS[cell.surface]])
        found = captured(await gateway.tree())
    result = {"type": "tool_call_response", "id": "call_0", "response": "clean"}
    told: list[dict[str, Any]] = [
        user("Before."),
        {"role": "assistant", "parts": [{"type": "text", "content": "Wait."}, CALL]},
        {"role": "tool", "parts": [result]},
        user("Again."),
    ]
    if cell.surface == "responses":
        told[1:2] = [{"role": "assistant", "parts": [part]} for part in told[1]["parts"]]
    elif cell.surface == "messages":
        told[2:] = [{"role": "user", "parts": [result, {"type": "text", "content": "Again."}]}]
    (output,) = found.pop("output")
    (call,) = output.pop("parts")
    assert found == {"input": told, "tools": [{"type": "function", **TOOL}]}
    assert output == {"role": "assistant", "finish_reason": "tool_call"}
    assert call == {**CALL, "id": call["id"], "arguments": {"cat": "Kater"}}


@pytest.mark.parametrize("cell", cells_with(reasoning=True), ids=str)
async def test_reasoning_is_captured(cell: Cell) -> None:
    upstream = cell.upstream(Said(content="Noon.", reasoning="The sun is high."))
    async with capturing(upstream=upstream, upstreams=cell.upstreams) as gateway:
        await cell.ask(gateway.gateway, "What time is it?")
        (answer,) = captured(await gateway.tree())["output"]
    assert answer["parts"] == [
        {"type": "reasoning", "content": "The sun is high."},
        {"type": "text", "content": "Noon."},
    ]


INSTRUCTED = {
    "chat": {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}]},
    "responses": {"instructions": "Be short.", "input": "Hello"},
    "messages": {
        "system": [{"type": "text", "text": "Be short."}],
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello"}],
    },
}


@pytest.mark.parametrize("surface", PATHS)
async def test_instructions_stand_where_the_api_has_them(surface: str) -> None:
    cell = Cell(surface, is_streamed=False, spoken=surface)
    async with capturing(upstream=cell.upstream(Said(content="Hi.")), upstreams=cell.upstreams) as gateway:
        await post(gateway, PATHS[surface], {"model": "scripted", **INSTRUCTED[surface]})
        found = captured(await gateway.tree())
    told = {"type": "text", "content": "Be short."}
    if surface == "chat":
        assert found["input"] == [{"role": "system", "parts": [told]}, user("Hello")]
    else:
        assert (found["instructions"], found["input"]) == ([told], [user("Hello")])


async def test_every_choice_is_a_message() -> None:
    choices = [
        {"index": 0, "message": {"role": "assistant", "content": "One"}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": None, "refusal": "No."}, "finish_reason": "length"},
    ]
    body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}).encode()
    scripted_reply = reply()
    upstream = ScriptedUpstream(type(scripted_reply)(parts=(body,), headers=scripted_reply.headers))
    async with capturing(upstream=upstream) as gateway:
        await gateway.gateway.chat("Hello", n=2)
        found = captured(await gateway.tree())
    assert found["output"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "One"}], "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "text", "content": "No."}], "finish_reason": "length"},
    ]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["buffered", "streamed"])
async def test_a_tool_of_the_gateway_is_captured_by_its_call(is_streamed: bool) -> None:
    cell = Cell("chat", is_streamed, "chat")
    rounds = (Said(calls=(("now", '{"zone":"UTC"}'),)), Said(content="It is noon."))
    upstream = ScriptedUpstream(*(scripted(cell.dialect, one, is_streamed=is_streamed) for one in rounds))
    async with capturing(Clock(), upstream=upstream) as gateway:
        await cell.ask(gateway.gateway, "What time is it?")
        tree = await gateway.tree()
    found = captured(tree)
    assert (found["arguments"], found["result"]) == ({"zone": "UTC"}, "12:00")
    assert "gen_ai.tool.call.result" in tree.find("execute_tool now").attributes
    first, second = [span.attributes for span in tree.walk() if span.name == "chat scripted"]
    assert ("gen_ai.input.messages" in first, "gen_ai.output.messages" in first) == (True, False)
    assert ("gen_ai.input.messages" in second, "gen_ai.output.messages" in second) == (False, True)


async def test_every_choice_of_a_stream_is_a_message() -> None:
    said = [(0, "One "), (1, "Two "), (0, "more"), (1, "less")]
    events: list[dict[str, Any]] = [
        {"id": "1", "choices": [{"index": index, "delta": {"content": text}, "finish_reason": None}]}
        for index, text in said
    ]
    events.append({"id": "1", "choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]})
    async with capturing(upstream=ScriptedUpstream(stream_reply(events))) as gateway:
        await gateway.gateway.chat("Hello", n=2, stream=True)
        found = captured(await gateway.tree())
    assert found["output"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "One more"}], "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "text", "content": "Two less"}], "finish_reason": "length"},
    ]


class Reader:
    """A plugin that reads what is captured for log events."""

    chatproxy_name = "reader"

    def __init__(self) -> None:
        self.read: list[dict[str, Any]] = []

    @hookimpl
    async def after_response(self, ctx: RequestContext) -> None:
        content: Content = ctx.state["otel"].content
        for is_first in (True, False):
            self.read.append(content.event_attributes(is_first=is_first, is_last=not is_first))


@pytest.mark.parametrize("mode", ["span_only", "event_only", "span_and_event"])
async def test_events_carry_structures_where_they_are_to(mode: str) -> None:
    reader = Reader()
    async with traced(reader, otel={"capture_content": mode}, upstream=ScriptedUpstream(reply("Hi."))) as gateway:
        await gateway.gateway.chat("Hello")
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "Hi."}], "finish_reason": "stop"}
    asked = [{"gen_ai.input.messages": [user("Hello")]}, {"gen_ai.output.messages": [answer]}]
    assert reader.read == ([{}, {}] if mode == "span_only" else asked)


class Editor:
    """A plugin that changes what is asked, answered and streamed."""

    chatproxy_name = "editor"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        for text in request.texts():
            text.replace(text.value.replace("SECRET", "[gone]"))

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        for text in response.texts():
            text.replace(text.value.replace("SECRET", "[gone]"))

    @hookimpl
    async def transform_stream(self) -> Any:
        async def events(source: Any) -> Any:
            async for event in source:
                for text in event.texts():
                    text.replace(text.value.replace("SECRET", "[gone]"))
                yield event

        return events


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.is_native], ids=str)
async def test_what_a_plugin_takes_out_is_not_captured(cell: Cell) -> None:
    said = scripted(cell.upstream_dialect, Said(content="A SECRET"), is_streamed=cell.is_streamed)
    async with capturing(Editor(), upstream=ScriptedUpstream(said), upstreams=cell.upstreams) as gateway:
        await cell.ask(gateway.gateway, "My SECRET")
        found = captured(await gateway.tree())
    assert found["input"] == [user("My [gone]")]
    assert found["output"][0]["parts"] == [{"type": "text", "content": "A [gone]"}]


async def test_nothing_is_captured_unless_it_is_asked_for() -> None:
    async with traced() as gateway:
        await gateway.gateway.chat("Hello")
        assert captured(await gateway.tree()) == {}


@pytest.mark.parametrize("mode", ["event_only", "no_content"])
async def test_spans_carry_no_content_where_they_are_not_to(mode: str) -> None:
    async with traced(Clock(), otel={"capture_content": mode}) as gateway:
        await gateway.gateway.chat("Hello")
        assert captured(await gateway.tree()) == {}


@pytest.mark.parametrize("surface", PATHS)
async def test_capturing_changes_no_byte_of_a_request(surface: str) -> None:
    odd = b'{"model":"scripted","max_tokens":9,"x":1e-400,"big":123456789012345678901234567890,%s}'
    texts = {
        "chat": b'"messages":[{"role":"user","content":"\\u0041\\/","content":"B"}]',
        "responses": b'"input":[{"role":"user","content":"\\u0041","content":"B"}]',
        "messages": b'"messages":[{"role":"user","content":"\\u0041","content":"B"}]',
    }
    cell = Cell(surface, is_streamed=False, spoken=surface)
    async with capturing(upstream=cell.upstream(Said(content="Hi.")), upstreams=cell.upstreams) as gateway:
        body = odd % texts[surface]
        await post(gateway, PATHS[surface], body)
        found = captured(await gateway.tree())
        upstream = gateway.gateway.upstream
        assert isinstance(upstream, ScriptedUpstream)
        assert upstream.requests[0].body == body
    assert found["input"] == [user("B")]


async def test_a_request_that_is_refused_captures_no_answer() -> None:
    class Broken:
        chatproxy_name = "broken"

        @hookimpl
        async def around_execute(self) -> None:
            raise RuntimeError("broken")

    async with capturing(Broken()) as gateway:
        assert (await gateway.gateway.chat("Hello")).status_code == 500
        found = captured(await gateway.tree())
    assert "output" not in found

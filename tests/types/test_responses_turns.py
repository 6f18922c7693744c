"""Changing conversations on Responses: instructions, tools, and the turns of a tool loop."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy.types import ChatRequest, ChatResponse, ToolCall, ToolResult
from chatproxy.types.responses import RESPONSES

SYSTEM = {"role": "system", "content": "own"}
DEVELOPER = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "own"}]}
USER = {"role": "user", "content": "hi"}


def request_of(**body: Any) -> ChatRequest:
    return ChatRequest.of(msgspec.json.encode(body), RESPONSES)


def response_of(**body: Any) -> ChatResponse:
    return ChatResponse.of(msgspec.json.encode(body), RESPONSES)


def sent(request: ChatRequest) -> Any:
    return msgspec.json.decode(request.encode())


@pytest.mark.parametrize(
    ("behavior", "body", "after"),
    [
        ("append", {}, {"instructions": "new"}),
        ("prepend", {"instructions": None}, {"instructions": "new"}),
        ("default", {"instructions": ""}, {"instructions": "new"}),
        ("override", {"instructions": "own"}, {"instructions": "new"}),
        ("append", {"instructions": "own"}, {"instructions": "own\n\nnew"}),
        ("prepend", {"instructions": "own"}, {"instructions": "new\n\nown"}),
        ("default", {"instructions": "own"}, {"instructions": "own"}),
        ("append", {"instructions": "own", "input": [SYSTEM]}, {"instructions": "own\n\nnew", "input": [SYSTEM]}),
        ("append", {"input": "hi"}, {"input": "hi", "instructions": "new"}),
        ("append", {"input": [USER]}, {"input": [USER], "instructions": "new"}),
        ("append", {"input": [USER, SYSTEM]}, {"input": [USER, {**SYSTEM, "content": "own\n\nnew"}]}),
        ("prepend", {"input": [SYSTEM]}, {"input": [{**SYSTEM, "content": "new\n\nown"}]}),
        ("append", {"input": [DEVELOPER]}, {"input": [{**DEVELOPER, "content": [
            {"type": "input_text", "text": "own"}, {"type": "input_text", "text": "new"}]}]}),
        ("prepend", {"input": [DEVELOPER, SYSTEM]}, {"input": [{**DEVELOPER, "content": [
            {"type": "input_text", "text": "new"}, {"type": "input_text", "text": "own"}]}, SYSTEM]}),
        ("default", {"input": [SYSTEM]}, {"input": [SYSTEM]}),
        ("override", {"input": [SYSTEM, USER, DEVELOPER]}, {"input": [USER], "instructions": "new"}),
        ("override", {"input": "hi", "instructions": "own"}, {"input": "hi", "instructions": "new"}),
    ],
)  # fmt: skip
def test_a_system_prompt_joins_the_request_s_own(behavior: str, body: dict[str, Any], after: dict[str, Any]) -> None:
    request = request_of(model="m", **body)
    request.instruct("new", behavior)
    assert sent(request) == {"model": "m", **after}


NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("tool", "own"),
    [
        (
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False},
        ),
        (
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}, "x": 1},
            {"type": "function", "name": "f", "parameters": {}, "strict": True, "x": 1},
        ),
        (
            {"type": "function", "function": {"name": "f", "parameters": None, "strict": None}},
            {"type": "function", "name": "f", "parameters": NO_PARAMETERS, "strict": False},
        ),
        ({"type": "function", "name": "f", "parameters": None}, {"type": "function", "name": "f", "parameters": None}),
        ({"type": "web_search"}, {"type": "web_search"}),
        ({"type": "custom", "custom": {"name": "f"}}, {"type": "custom", "custom": {"name": "f"}}),
        ({"type": "function", "function": "x"}, {"type": "function", "function": "x"}),
    ],
    ids=["function", "strict", "nulls", "own", "hosted", "custom", "odd"],
)
def test_a_chat_function_put_into_the_tools_takes_the_flat_form(tool: dict[str, Any], own: dict[str, Any]) -> None:
    first = {"type": "web_search"}
    request = request_of(tools=[first])
    request.tools.append(tool)
    assert sent(request) == {"tools": [first, own]}


def test_tools_made_from_chat_share_nothing() -> None:
    bare = {"type": "function", "function": {"name": "f"}}
    one, other = RESPONSES.own_tool(bare), RESPONSES.own_tool(bare)
    one["parameters"]["properties"]["x"] = {}
    assert other["parameters"] == NO_PARAMETERS
    assert bare == {"type": "function", "function": {"name": "f"}}


def call(call_id: Any, arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "f", "arguments": arguments, **fields}


@pytest.mark.parametrize(
    ("output", "calls"),
    [
        ([call("c1", '{"a":1}')], [ToolCall(id="c1", name="f", arguments={"a": 1})]),
        (
            [{"type": "reasoning"}, call("c1", ""), {"type": "message"}, call("c2", None)],
            [ToolCall(id="c1", name="f", arguments={}), ToolCall(id="c2", name="f", arguments={})],
        ),
        ([call("c1", "[1]"), call("c2", '{"a":')], [
            ToolCall(id="c1", name="f", arguments={}, malformed="[1]"),
            ToolCall(id="c2", name="f", arguments={}, malformed='{"a":')]),
        ([call(7, "{}"), call(None, "{}"), {"type": "custom_tool_call", "call_id": "c", "input": "x"}, "x", None], []),
        ([], []),
        ("x", []),
        (None, []),
    ],
    ids=["one", "several", "broken arguments", "not for us", "empty", "string", "null"],
)  # fmt: skip
def test_calls_are_read_from_the_output(output: Any, calls: list[ToolCall]) -> None:
    assert response_of(output=output).tool_calls == calls


def test_a_tool_loop_goes_on_with_the_output_as_it_is_and_the_results() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}
    calls = [call("c1", '{"a": 1}', status="completed"), call("c2", "{}")]
    request = request_of(model="m", input="hi", previous_response_id="resp_0")
    reply = response_of(status="completed", output=[reasoning, *calls])
    request.answer_calls(reply, {"c1": ToolResult(content="one"), "c2": ToolResult(content="two", is_error=True)})
    assert sent(request) == {
        "model": "m",
        "input": [
            USER,
            reasoning,
            *calls,
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": "two"},
        ],
        "previous_response_id": "resp_0",
    }


def test_a_tool_loop_goes_on_where_there_was_no_input() -> None:
    request = request_of(model="m")
    request.answer_calls(response_of(output=[call("c1", "{}")]), {"c1": ToolResult(content="x")})
    output = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    assert sent(request) == {"model": "m", "input": [call("c1", "{}"), output]}


@pytest.mark.parametrize(
    ("part", "own"),
    [
        ({"type": "text", "text": "a"}, {"type": "input_text", "text": "a"}),
        (
            {"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}},
            {"type": "input_image", "image_url": "https://x/y", "detail": "low"},
        ),
        (
            {"type": "image_url", "image_url": "https://x/y"},
            {"type": "input_image", "image_url": "https://x/y", "detail": "auto"},
        ),
        (
            {"type": "file", "file": {"filename": "f", "file_data": "data:text/plain;base64,QQ=="}},
            {"type": "input_file", "filename": "f", "file_data": "data:text/plain;base64,QQ=="},
        ),
        ({"type": "input_text", "text": "a"}, {"type": "input_text", "text": "a"}),
        ({"type": "file", "file": "x"}, {"type": "file", "file": "x"}),
        ({"type": ["text"]}, {"type": ["text"]}),
    ],
    ids=["text", "image", "plain image", "file", "own", "odd file", "odd type"],
)
def test_parts_of_a_result_take_the_surface_s_form(part: dict[str, Any], own: dict[str, Any]) -> None:
    request = request_of(input=[])
    request.answer_calls(response_of(output=[]), {"c1": ToolResult(content=[part])})
    assert sent(request)["input"] == [{"type": "function_call_output", "call_id": "c1", "output": [own]}]


def test_a_changed_conversation_does_not_change_the_reply() -> None:
    reply = response_of(output=[call("c1", "{}")])
    request = request_of(input=[])
    request.answer_calls(reply, {})
    request.messages[0]["arguments"] = "changed"
    assert [made.arguments for made in reply.tool_calls] == [{}]
    assert next(reply.texts()).value == "{}"

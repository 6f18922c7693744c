"""What plugins do to a conversation of messages: system prompt, tools, a tool loop's round."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.types import ChatRequest, ChatResponse, ToolCall, ToolResult
from chatproxy.types.messages import MESSAGES

SYSTEM = {"role": "system", "content": "m"}
USER = {"role": "user", "content": "u"}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("behavior", "before", "after"),
    [
        ("override", None, "p"),
        ("override", "s", "p"),
        ("override", [text("s")], "p"),
        ("prepend", None, "p"),
        ("prepend", "s", "p\n\ns"),
        ("prepend", [text("s")], [text("p"), text("s")]),
        ("append", None, "p"),
        ("append", "", "p"),
        ("append", "s", "s\n\np"),
        ("append", [text("s")], [text("s"), text("p")]),
        ("default", None, "p"),
        ("default", "", "p"),
        ("default", [], "p"),
        ("default", "s", "s"),
        ("default", [text("s")], [text("s")]),
    ],
)
def test_a_system_prompt_is_joined_with_the_field_system(behavior: str, before: Any, after: Any) -> None:
    fields = {} if before is None else {"system": before}
    request = ChatRequest({**fields, "messages": [USER]}, layout=MESSAGES)
    request.instruct("p", behavior)
    assert request.to_dict() == {"system": after, "messages": [USER]}


@pytest.mark.parametrize(
    ("behavior", "after"),
    [
        ("override", {"system": "p", "messages": [USER]}),
        ("prepend", {"system": "p", "messages": [SYSTEM, USER]}),
        ("append", {"system": "p", "messages": [SYSTEM, USER]}),
        ("default", {"messages": [SYSTEM, USER]}),
    ],
)
def test_messages_of_role_system_count_as_a_system_prompt(behavior: str, after: dict[str, Any]) -> None:
    request = ChatRequest({"messages": [SYSTEM, USER]}, layout=MESSAGES)
    request.instruct("p", behavior)
    assert request.to_dict() == after


@pytest.mark.parametrize("messages", [None, "x", 5, [None, "x"]])
@pytest.mark.parametrize("behavior", ["override", "prepend", "append", "default"])
def test_broken_messages_do_not_hinder_a_system_prompt(messages: Any, behavior: str) -> None:
    request = ChatRequest({"messages": messages}, layout=MESSAGES)
    request.instruct("p", behavior)
    assert request.to_dict() == {"system": "p", "messages": messages}


SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}


@pytest.mark.parametrize(
    ("tool", "own"),
    [
        (
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}},
            {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True},
        ),
        (
            {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}},
            {"name": "f", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}},
        ),
        ({"name": "f", "input_schema": SCHEMA}, {"name": "f", "input_schema": SCHEMA}),
        ({"type": "bash_20250124", "name": "bash"}, {"type": "bash_20250124", "name": "bash"}),
        ({"type": "function", "function": "x"}, {"type": "function", "function": "x"}),
    ],
    ids=["whole", "least", "own", "hosted", "broken"],
)
def test_a_tool_takes_the_surfaces_form(tool: dict[str, Any], own: dict[str, Any]) -> None:
    request = ChatRequest({}, layout=MESSAGES)
    request.tools.append(tool)
    assert request.to_dict() == {"tools": [own]}
    request.tools = [tool, tool]
    assert request.to_dict() == {"tools": [own, own]}


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("max_completion_tokens", "max_tokens"),
        ("max_tokens", "max_tokens"),
        ("stop", "stop_sequences"),
        ("temperature", "temperature"),
        ("top_k", "top_k"),
        ("any_extension", "any_extension"),
    ],
)
def test_parameters_take_the_surfaces_names(name: str, own: str) -> None:
    assert MESSAGES.own_param(name) == own


def test_what_is_no_parameter_is_left_out_of_them() -> None:
    body = {"model": "m", "messages": [], "system": "s", "tools": [], "stream": True, "metadata": {}, "max_tokens": 4}
    assert ChatRequest(body, layout=MESSAGES).params == {"max_tokens": 4}


REPLY = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        text("x"),
        {"type": "tool_use", "id": "a", "name": "f", "input": {"q": 1}},
        {"type": "server_tool_use", "id": "b", "name": "web_search", "input": {}},
        {"type": "tool_use", "id": "c", "name": "g", "input": '{"q":2}'},
        {"type": "tool_use", "id": "d", "input": [1]},
        {"type": "tool_use", "id": 7, "name": "h", "input": {}},
        {"type": "tool_use", "name": "h"},
        "broken",
    ],
}


def test_the_calls_of_a_reply_are_those_that_a_client_runs() -> None:
    assert ChatResponse(REPLY, layout=MESSAGES).tool_calls == [
        ToolCall(id="a", name="f", arguments={"q": 1}),
        ToolCall(id="c", name="g", arguments={"q": 2}),
        ToolCall(id="d", name="", arguments={}, malformed="[1]"),
    ]


@pytest.mark.parametrize("content", [None, "x", {}, 5])
def test_a_reply_of_unusual_shape_has_no_calls(content: Any) -> None:
    assert ChatResponse({"content": content}, layout=MESSAGES).tool_calls == []


PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}


def test_a_round_of_a_tool_loop_adds_two_turns() -> None:
    request = ChatRequest({"messages": [USER]}, layout=MESSAGES)
    parts = [
        text("two"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "image_url", "image_url": None},
        {"type": "other", "image_url": "x"},
    ]
    results = {"a": ToolResult(content="one", is_error=True), "b": ToolResult(content=parts)}
    request.answer_calls(ChatResponse(REPLY, layout=MESSAGES), results)
    blocks = [
        text("two"),
        PNG,
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "image_url", "image_url": None},
        {"type": "other", "image_url": "x"},
    ]
    sayable = list(REPLY["content"])
    sayable[4] = {**REPLY["content"][4], "input": {"q": 2}}  # type: ignore[dict-item]
    sayable[5] = {**REPLY["content"][5], "input": {"INVALID_JSON": "[1]"}}  # type: ignore[dict-item]
    sayable[7] = {**REPLY["content"][7], "input": {}}  # type: ignore[dict-item]
    assert request.messages == [
        USER,
        {"role": "assistant", "content": sayable},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "one", "is_error": True},
                {"type": "tool_result", "tool_use_id": "b", "content": blocks},
            ],
        },
    ]


def test_a_reply_without_results_adds_one_turn_that_is_not_shared() -> None:
    request = ChatRequest({}, layout=MESSAGES)
    reply = ChatResponse({"content": [text("x")]}, layout=MESSAGES)
    request.answer_calls(reply, {})
    request.messages[0]["content"].append(text("y"))
    assert request.to_dict() == {"messages": [{"role": "assistant", "content": [text("x"), text("y")]}]}
    assert reply["content"] == [text("x")]

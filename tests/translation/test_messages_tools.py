"""Tools and the choice among them in a Messages request."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation import Losses
from chatproxy.translation.messages.over_chat import MessagesOverChat

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "get_weather", "description": "Tell the weather.", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
CHAT_WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Tell the weather.", "parameters": SCHEMA},
}


def asked(tools: Any, choice: Any = None) -> tuple[dict[str, Any], list[str]]:
    """What a chat handler gets beside the conversation, and the fields on record."""
    losses = Losses()
    body = {"max_tokens": 1, "messages": [{"role": "user", "content": "a"}], "tools": tools, "tool_choice": choice}
    made = MessagesOverChat(losses).request(body)
    return {key: made[key] for key in made.keys() - {"max_tokens", "messages"}}, [loss.field for loss in losses.kept]


@pytest.mark.parametrize(
    ("tool", "function"),
    [
        pytest.param(WEATHER, CHAT_WEATHER["function"], id="no type"),
        pytest.param({**WEATHER, "type": "custom"}, CHAT_WEATHER["function"], id="custom"),
        pytest.param({"name": "f", "input_schema": {}}, {"name": "f", "parameters": {}}, id="least"),
        pytest.param(
            {"name": "f", "input_schema": SCHEMA, "strict": True},
            {"name": "f", "parameters": SCHEMA, "strict": True},
            id="strict",
        ),
    ],
)
def test_a_function_tool_is_carried(tool: dict[str, Any], function: dict[str, Any]) -> None:
    assert asked([tool]) == ({"tools": [{"type": "function", "function": function}]}, [])


@pytest.mark.parametrize(
    "kind", ["web_search_20260318", "bash_20250124", "text_editor_20250728", "computer_toolset_20260801", "mcp_toolset"]
)
def test_a_tool_only_anthropics_models_know_is_dropped_on_record(kind: str) -> None:
    assert asked([{"type": kind, "name": "x"}, WEATHER]) == ({"tools": [CHAT_WEATHER]}, ["tools[0]"])


def test_no_tools_and_no_choice_are_sent_when_none_are_left() -> None:
    assert asked([SEARCH], {"type": "auto"}) == ({}, ["tools[0]"])
    assert asked([], {"type": "none"}) == ({}, [])


def test_hints_of_a_tool_are_on_record() -> None:
    _, lost = asked([{**WEATHER, "cache_control": {"type": "ephemeral"}}, {**WEATHER, "defer_loading": True}])
    assert lost == ["tools[0].cache_control", "tools[1].defer_loading"]


@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        pytest.param({"type": "auto"}, {"tool_choice": "auto"}, id="auto"),
        pytest.param({"type": "any"}, {"tool_choice": "required"}, id="any"),
        pytest.param({"type": "none"}, {"tool_choice": "none"}, id="none"),
        pytest.param(
            {"type": "tool", "name": "get_weather"},
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            id="one tool",
        ),
        pytest.param(
            {"type": "any", "disable_parallel_tool_use": True},
            {"tool_choice": "required", "parallel_tool_calls": False},
            id="one call at a time",
        ),
        pytest.param(
            {"type": "auto", "disable_parallel_tool_use": False}, {"tool_choice": "auto"}, id="calls side by side"
        ),
    ],
)
def test_the_choice_is_carried(choice: dict[str, Any], fields: dict[str, Any]) -> None:
    assert asked([WEATHER, SEARCH], choice) == ({"tools": [CHAT_WEATHER], **fields}, ["tools[1]"])


@pytest.mark.parametrize(
    ("tools", "choice", "param", "code"),
    [
        pytest.param({}, None, "tools", "invalid_type", id="tools as object"),
        pytest.param(["f"], None, "tools[0]", "invalid_type", id="tool as text"),
        pytest.param([{"input_schema": {}}], None, "tools[0].name", "missing_required_parameter", id="no name"),
        pytest.param([{"name": "f"}], None, "tools[0].input_schema", "missing_required_parameter", id="no schema"),
        pytest.param([{**WEATHER, "input_schema": "x"}], None, "tools[0].input_schema", "invalid_type", id="no object"),
        pytest.param([{**WEATHER, "type": "function"}], None, "tools[0].type", "invalid_value", id="chat's type"),
        pytest.param([{**WEATHER, "description": 1}], None, "tools[0].description", "invalid_type", id="description"),
        pytest.param([WEATHER], "auto", "tool_choice", "invalid_type", id="choice as text"),
        pytest.param([WEATHER], {}, "tool_choice.type", "missing_required_parameter", id="choice without type"),
        pytest.param([WEATHER], {"type": "required"}, "tool_choice.type", "invalid_value", id="chat's choice"),
        pytest.param([WEATHER], {"type": "tool"}, "tool_choice.name", "missing_required_parameter", id="no tool named"),
        pytest.param(
            [WEATHER], {"type": "tool", "name": "x"}, "tool_choice.name", "invalid_value", id="unknown tool named"
        ),
        pytest.param(
            [WEATHER, SEARCH],
            {"type": "tool", "name": "web_search"},
            "tool_choice.name",
            "unsupported_parameter",
            id="hosted tool forced",
        ),
        pytest.param([SEARCH], {"type": "any"}, "tool_choice", "unsupported_parameter", id="only hosted, one forced"),
        pytest.param(None, {"type": "any"}, "tool_choice", "invalid_value", id="no tools, one forced"),
        pytest.param(
            [WEATHER],
            {"type": "auto", "disable_parallel_tool_use": 1},
            "tool_choice.disable_parallel_tool_use",
            "invalid_type",
            id="flag as number",
        ),
    ],
)
def test_wrong_tools_and_choices_are_refused_by_name(tools: Any, choice: Any, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(tools, choice)

    assert (caught.value.param, caught.value.code) == (param, code)


LONG = "look_" + "up" * 60
OTHER = LONG[:-1] + "x"


def test_long_names_are_shortened_for_chat_and_come_back_in_replies_and_streams() -> None:
    losses = Losses()
    translation = MessagesOverChat(losses)
    call = {"type": "tool_use", "id": "t", "name": LONG, "input": {}}
    made = translation.request(
        {
            "max_tokens": 1,
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]},
            ],
            "tools": [{"name": name, "input_schema": {}} for name in (LONG, OTHER, "f" * 64)],
            "tool_choice": {"type": "tool", "name": OTHER},
        }
    )
    first, second, third = [tool["function"]["name"] for tool in made["tools"]]
    assert (len(first), len(second), third) == (64, 64, "f" * 64)
    assert first != second
    assert made["messages"][1]["tool_calls"][0]["function"]["name"] == first
    assert made["tool_choice"]["function"]["name"] == second
    assert [(loss.field, loss.action) for loss in losses.kept] == [("tools[0].name", "changed")]

    function = {"name": second, "arguments": "{}"}
    choice = {"index": 0, "message": {"tool_calls": [{"id": "c", "function": function}]}, "finish_reason": "tool_calls"}
    assert translation.reply({"choices": [choice]})["content"][0]["name"] == OTHER
    events = translation.event(
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": function}]}}]}
    )
    assert events[1]["content_block"]["name"] == OTHER

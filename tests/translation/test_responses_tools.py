"""Tools and tool choices of the Responses API become those of chat."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

Json = dict[str, Any]
LOOK = {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "strict": True}
CHAT_LOOK = {
    "type": "function",
    "function": {"name": "look", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
SEARCH = {"type": "web_search"}


def translated(**fields: Any) -> tuple[Json, list[tuple[str, str]]]:
    losses = Losses()
    made = ResponsesOverChat(losses).request({"model": "m", "input": "hello", **fields})
    return made, [(loss.field, loss.action) for loss in losses.kept]


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        pytest.param(LOOK, CHAT_LOOK, id="function"),
        pytest.param(
            {"type": "function", "name": "f", "parameters": None, "strict": False},
            {"type": "function", "function": {"name": "f", "strict": False}},
            id="without-parameters",
        ),
        pytest.param(
            {**LOOK, "cache_control": {"type": "ephemeral"}},
            {**CHAT_LOOK, "cache_control": {"type": "ephemeral"}},
            id="unknown-key",
        ),
        pytest.param(
            {"type": "custom", "name": "c", "description": "d"},
            {"type": "custom", "custom": {"name": "c", "description": "d"}},
            id="custom",
        ),
        pytest.param(
            {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {
                "type": "custom",
                "custom": {
                    "name": "c",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
                },
            },
            id="custom-grammar",
        ),
        pytest.param(
            {"type": "custom", "name": "c", "format": {"type": "text"}},
            {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
            id="custom-text",
        ),
    ],
)
def test_tool_is_carried(tool: Json, wanted: Json) -> None:
    made, lost = translated(tools=[tool], parallel_tool_calls=False)
    assert (made["tools"], made["parallel_tool_calls"], lost) == ([wanted], False, [])


def test_tools_that_openai_runs_are_left_out_and_on_record() -> None:
    made, lost = translated(tools=[SEARCH, LOOK, {"type": "mcp", "server_label": "s"}], tool_choice="required")
    assert (made["tools"], made["tool_choice"]) == ([CHAT_LOOK], "required")
    assert lost == [("tools[0]", "dropped"), ("tools[2]", "dropped")]


def test_only_such_tools_leave_no_field_of_tools() -> None:
    made, _ = translated(tools=[SEARCH], tool_choice="auto", parallel_tool_calls=True)
    assert made.keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("keys", "lost"),
    [
        pytest.param({"strict": None}, [("tools[0].strict", "changed")], id="strict-not-said"),
        pytest.param({"defer_loading": True}, [("tools[0].defer_loading", "dropped")], id="deferred"),
        pytest.param({"output_schema": {"a": 1}}, [("tools[0].output_schema", "dropped")], id="output-schema"),
        pytest.param({"defer_loading": False}, [], id="not-deferred"),
    ],
)
def test_what_a_chat_tool_lacks_is_on_record(keys: Json, lost: list[tuple[str, str]]) -> None:
    made, found = translated(tools=[{**LOOK, **keys}])
    assert found == lost
    assert made["tools"][0].keys() == {"type", "function"}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
        ({"type": "custom", "name": "c"}, {"type": "custom", "custom": {"name": "c"}}),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "look"}}]},
            },
        ),
    ],
    ids=["none", "auto", "required", "function", "custom", "allowed"],
)
def test_choice_is_carried(choice: Any, wanted: Any) -> None:
    made, lost = translated(tools=[LOOK, {"type": "custom", "name": "c"}], tool_choice=choice)
    assert (made["tool_choice"], lost) == (wanted, [])


@pytest.mark.parametrize(
    ("tools", "wanted"),
    [pytest.param([LOOK], "none", id="others-offered"), pytest.param([SEARCH], None, id="nothing-offered")],
)
def test_allowing_only_tools_that_openai_runs_allows_none(tools: list[Json], wanted: str | None) -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH]}
    made, lost = translated(tools=tools, tool_choice=choice)
    assert made.get("tool_choice") == wanted
    assert ("tool_choice.tools[0]", "dropped") in lost


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        pytest.param([SEARCH], "required", id="required"),
        pytest.param([SEARCH, LOOK], {"type": "web_search"}, id="by-type"),
        pytest.param([LOOK], {"type": "mcp", "server_label": "s"}, id="mcp"),
        pytest.param([LOOK], {"type": "allowed_tools", "mode": "required", "tools": [SEARCH]}, id="allowed"),
    ],
)
def test_forcing_a_tool_that_openai_runs_is_refused(tools: list[Json], choice: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translated(tools=tools, tool_choice=choice)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tool_choice")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"tools": {}}, "tools", "invalid_type", id="tools-object"),
        pytest.param({"tools": ["look"]}, "tools[0]", "invalid_type", id="tool-text"),
        pytest.param({"tools": [{"name": "f"}]}, "tools[0].type", "missing_required_parameter", id="no-type"),
        pytest.param({"tools": [{"type": 1}]}, "tools[0].type", "invalid_type", id="type-number"),
        pytest.param({"tools": [CHAT_LOOK]}, "tools[0].name", "missing_required_parameter", id="chat-form"),
        pytest.param({"tools": [{**LOOK, "name": 1}]}, "tools[0].name", "invalid_type", id="name-number"),
        pytest.param({"tools": [{**LOOK, "parameters": "{}"}]}, "tools[0].parameters", "invalid_type", id="schema"),
        pytest.param({"tools": [{"type": "custom"}]}, "tools[0].name", "missing_required_parameter", id="custom"),
        pytest.param({"tool_choice": "any"}, "tool_choice", "invalid_value", id="choice-any"),
        pytest.param({"tool_choice": 1}, "tool_choice", "invalid_type", id="choice-number"),
        pytest.param({"tool_choice": {}}, "tool_choice.type", "missing_required_parameter", id="choice-no-type"),
        pytest.param({"tool_choice": {"type": []}}, "tool_choice.type", "invalid_type", id="choice-type-list"),
        pytest.param(
            {"tool_choice": {"type": "function"}}, "tool_choice.name", "missing_required_parameter", id="choice-no-name"
        ),
        pytest.param(
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]}},
            "tool_choice.tools[0].name",
            "missing_required_parameter",
            id="allowed-no-name",
        ),
    ],
)
def test_wrong_shape_is_refused_by_name(fields: Json, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translated(**fields)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)

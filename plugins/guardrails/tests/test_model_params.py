"""The check ``model_params``."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import Breach, RequestCheck
from chatproxy_guardrails.checks.model_params import CHECK
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.types import ChatRequest
from chatproxy.types.chat import CHAT
from chatproxy.types.completions import COMPLETIONS
from chatproxy.types.layout import Layout
from chatproxy.types.messages import MESSAGES
from chatproxy.types.responses import RESPONSES

LAYOUTS: list[Layout] = [CHAT, COMPLETIONS, MESSAGES, RESPONSES]
SURFACES = pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.surface for layout in LAYOUTS])
UNSET = msgspec.UNSET


def breaches(body: dict[str, Any], layout: Layout = CHAT, **options: Any) -> list[Breach]:
    check = CHECK.make(msgspec.convert(options, CHECK.options))
    assert isinstance(check, RequestCheck)
    request = ChatRequest.of(json.dumps(body).encode(), layout)
    found = list(check.review(request))
    assert request.to_dict() == body
    return found


def mended(body: dict[str, Any], layout: Layout = CHAT, **options: Any) -> dict[str, Any]:
    """The request after every breach's value was put in, in order."""
    made = dict(body)
    for breach in breaches(body, layout, **options):
        if breach.value is UNSET:
            made.pop(breach.param, None)
        else:
            made[breach.param] = breach.value
    return made


RANGE = {"temperature": {"min": 0.5, "max": 1}}
RANGES: dict[str, tuple[Any, Any, str]] = {
    "within": (0.7, 0.7, ""),
    "at the lowest": (0.5, 0.5, ""),
    "at the highest": (1, 1, ""),
    "below": (0.1, 0.5, "'temperature' must be at least 0.5."),
    "above": (1.5, 1, "'temperature' must be at most 1."),
    "null": (None, None, ""),
    "text": ("0.7", UNSET, "'temperature' must be a number."),
    "true": (True, UNSET, "'temperature' must be a number."),
    "array": ([0.7], UNSET, "'temperature' must be a number."),
    "object": ({"a": 0.7}, UNSET, "'temperature' must be a number."),
}


@pytest.mark.parametrize(("value", "expected", "message"), RANGES.values(), ids=RANGES.keys())
def test_numbers_stay_in_their_range(value: Any, expected: Any, message: str) -> None:
    body = {"temperature": value}
    assert [breach.message for breach in breaches(body, params=RANGE)] == ([message] if message else [])
    assert mended(body, params=RANGE) == ({} if expected is UNSET else {"temperature": expected})


VALUES: dict[str, tuple[list[Any], Any, Any]] = {
    "one of them": (["a", "b"], "a", "a"),
    "none of them": (["a", "b"], "c", UNSET),
    "true is not 1": ([1], True, UNSET),
    "1 is not true": ([True], 1, UNSET),
    "1.0 is 1": ([1], 1.0, 1.0),
    "list of them": (["a", "b"], ["b", "a"], ["b", "a"]),
    "list with others": (["a", "b"], ["c", "a", 5, {}], ["a"]),
    "list of others": (["a", "b"], ["c"], UNSET),
    "object": (["a"], {"a": 1}, UNSET),
}


@pytest.mark.parametrize(("values", "value", "expected"), VALUES.values(), ids=VALUES.keys())
def test_values_are_among_those_listed(values: list[Any], value: Any, expected: Any) -> None:
    made = mended({"tier": value}, params={"tier": {"values": values}})
    assert made == ({} if expected is UNSET else {"tier": expected})


def test_dots_lead_into_objects() -> None:
    rules = {"reasoning.effort": {"values": ["low"]}, "reasoning.budget": {"max": 10}}
    body = {"reasoning": {"effort": "high", "budget": 99, "summary": "auto"}, "n": 1}
    found = breaches(body, RESPONSES, params=rules)
    assert [breach.param for breach in found] == ["reasoning", "reasoning"]
    assert [breach.message for breach in found] == [
        "'reasoning.effort' must be one of: low.",
        "'reasoning.budget' must be at most 10.",
    ]
    assert mended(body, RESPONSES, params=rules) == {"reasoning": {"budget": 10, "summary": "auto"}, "n": 1}


def test_object_of_another_type_is_a_breach() -> None:
    (found,) = breaches({"stream_options": "yes"}, deny=["stream_options.include_usage"])
    assert (found.kind, found.param, found.value) == ("param_type", "stream_options", UNSET)


def test_denied_parameters_are_named_and_removed() -> None:
    body = {"logprobs": True, "seed": 5, "stream_options": {"include_usage": True, "x": 1}}
    options: dict[str, Any] = {"deny": ["logprobs", "stream_options.include_usage", "top_k"]}
    assert [breach.message for breach in breaches(body, **options)] == [
        "'logprobs' is not allowed.",
        "'stream_options.include_usage' is not allowed.",
    ]
    assert mended(body, **options) == {"seed": 5, "stream_options": {"x": 1}}


@SURFACES
@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("max_tokens", "max_output_tokens"),
        ("max_completion_tokens", "max_tokens"),
        ("stop", "stop_sequences"),
        ("reasoning_effort", "reasoning.effort"),
        ("verbosity", "text.verbosity"),
        ("temperature", "temperature"),
    ],
)
def test_chats_names_act_on_every_surface_by_every_name(layout: Layout, name: str, own: str) -> None:
    top, _, inner = own.partition(".")
    body = {top: {inner: "x", "other": 1} if inner else "x"}
    assert [breach.param for breach in breaches(body, layout, deny=[name])] == [top]
    assert mended(body, layout, deny=[name]) == ({top: {"other": 1}} if inner else {})


def test_names_that_some_servers_read_in_any_case_are_ruled_as_sent() -> None:
    body = {"TEMPERATURE": 9, "temperature": 1, "Reasoning": {"EFFORT": "high"}}
    rules = {"temperature": {"max": 1}, "reasoning.effort": {"values": ["low"]}}
    assert mended(body, params=rules) == {"TEMPERATURE": 1, "temperature": 1, "Reasoning": {}}


@SURFACES
def test_parameters_that_are_not_allowed_are_found(layout: Layout) -> None:
    body = {
        "model": "m",
        layout.messages_key or "prompt": [],
        "stream": True,
        "temperature": 1,
        "seed": 5,
        "top_p": None,
    }
    (found,) = breaches(body, layout, allow=["temperature"])
    assert (found.kind, found.param, found.value) == ("param_not_allowed", "seed", UNSET)
    assert found.message == "'seed' is not an allowed parameter."


def test_allowed_names_are_chats_on_other_surfaces_too() -> None:
    assert (
        breaches({"max_output_tokens": 5, "reasoning": {}}, RESPONSES, allow=["max_tokens", "reasoning_effort"]) == []
    )
    assert breaches({"stop_sequences": ["a"]}, MESSAGES, allow=["stop"]) == []


@pytest.mark.parametrize("key", ["x" * 65, "a b", "<script>", ""], ids=["long", "spaces", "markup", "empty"])
def test_odd_names_are_removed_but_not_shown(key: str) -> None:
    (found,) = breaches({key: 1}, allow=["temperature"])
    assert found.param == key
    assert found.message == "A field is not an allowed parameter."


FUNCTION = {"type": "function", "function": {"name": "f"}}
SEARCH = {"type": "web_search_preview"}
TOOLS: dict[str, tuple[Any, Any]] = {
    "none denied": ([FUNCTION], [FUNCTION]),
    "one denied": ([FUNCTION, SEARCH], [FUNCTION]),
    "all denied": ([SEARCH], UNSET),
    "other case": ([{"type": "WEB_SEARCH"}, FUNCTION], [FUNCTION]),
    "in a group": ([{"type": "namespace", "tools": [SEARCH]}, FUNCTION], [FUNCTION]),
    "type of another type": ([{"type": 5}], UNSET),
    "no object": (["web_search", FUNCTION], [FUNCTION]),
    "no type": ([{"name": "f", "input_schema": {}}], [{"name": "f", "input_schema": {}}]),
    "no array": ({"type": "web_search"}, UNSET),
    "null": (None, None),
}


def test_field_that_is_removed_is_not_put_back() -> None:
    assert mended({"Temperature": -1}, allow=["temperature"], params={"temperature": {"min": 0}}) == {}


@SURFACES
@pytest.mark.parametrize(("tools", "expected"), TOOLS.values(), ids=TOOLS.keys())
def test_tools_of_denied_types_are_removed(layout: Layout, tools: Any, expected: Any) -> None:
    made = mended({"tools": tools}, layout, deny_tools=["web_search*", "mcp"])
    assert made == ({} if expected is UNSET else {"tools": expected})


def test_only_tools_of_allowed_types_stay() -> None:
    custom = {"name": "f", "input_schema": {}}
    body = {"tools": [FUNCTION, custom, SEARCH, {"type": "mcp"}]}
    assert mended(body, allow_tools=["function", "custom"]) == {"tools": [FUNCTION, custom]}
    assert mended(body, allow_tools=["function"]) == {"tools": [FUNCTION]}


def test_choice_of_a_denied_tool_is_removed() -> None:
    body = {"tools": [SEARCH], "tool_choice": {"type": "web_search_preview"}}
    assert mended(body, RESPONSES, deny_tools=["web_search*"]) == {}
    assert breaches({"tool_choice": "auto"}, RESPONSES, deny_tools=["web_search*"]) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["effort", "EFFORT", "type", "tools", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(["temperature", "Temperature", "n", "reasoning", "reasoning_effort", "stop", "tools", "x.y"])
OPTIONS: dict[str, Any] = {
    "params": {"temperature": {"min": 0, "max": 1}, "n": {"max": 1}, "reasoning.effort": {"values": ["low", True]}},
    "deny": ["stop", "x.y"],
    "deny_tools": ["web*"],
    "allow": ["temperature", "n", "reasoning", "tools", "stop"],
}


@given(st.dictionaries(KEYS, JSON, max_size=6), st.sampled_from(LAYOUTS))
@settings(max_examples=60, deadline=None)
def test_mended_request_has_no_breach_left(body: dict[str, Any], layout: Layout) -> None:
    assert breaches(mended(body, layout, **OPTIONS), layout, **OPTIONS) == []


WRONG: dict[str, dict[str, Any]] = {
    "nothing": {},
    "empty rule": {"params": {"n": {}}},
    "contradiction": {"params": {"n": {"min": 2, "max": 1}}},
    "unknown key": {"params": {"n": {"maximum": 1}}},
    "nested allowance": {"allow": ["reasoning.effort"]},
    "no name": {"deny": ["reasoning."]},
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        breaches({}, **options)

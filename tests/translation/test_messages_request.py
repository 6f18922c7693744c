"""The fields of a Messages request beside conversation and tools."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation import Losses
from chatproxy.translation.messages.over_chat import MessagesOverChat

LEAST: dict[str, Any] = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "a"}]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
LOOSE = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"type": "object", "properties": {"b": {}}}]}},
    "required": ["a"],
}


def asked(**fields: Any) -> tuple[dict[str, Any], list[str]]:
    """What a chat handler gets beyond the least request, and the fields on record."""
    losses = Losses()
    body = {**LEAST, **fields}
    before = copy.deepcopy(body)
    made = MessagesOverChat(losses).request(body)
    assert body == before
    return {k: v for k, v in made.items() if k not in LEAST or v != LEAST[k]}, [
        f"{loss.field} {loss.action}" for loss in losses.kept
    ]


def test_the_least_request_is_the_least_chat_request() -> None:
    assert MessagesOverChat(Losses()).request(LEAST) == LEAST


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param(
            {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stream": True},
            {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stream": True},
            id="sampling",
        ),
        pytest.param({"min_p": 0.1, "vendor": {"a": None}}, {"min_p": 0.1, "vendor": {"a": None}}, id="unknown fields"),
        pytest.param({"stop_sequences": ["END"]}, {"stop": ["END"]}, id="stop sequences"),
        pytest.param({"stop_sequences": []}, {}, id="no stop sequences"),
        pytest.param({"metadata": {"user_id": "u1"}}, {"user": "u1"}, id="user"),
        pytest.param({"metadata": {"user_id": None}}, {}, id="no user"),
        pytest.param({"service_tier": "auto"}, {"service_tier": "auto"}, id="tier"),
        pytest.param({"service_tier": "standard_only"}, {"service_tier": "default"}, id="standard tier"),
        pytest.param({"speed": "standard", "inference_geo": "global", "mcp_servers": []}, {}, id="defaults"),
        pytest.param({"thinking": {"type": "adaptive"}}, {}, id="adaptive thinking"),
        pytest.param({"output_config": {"effort": "xhigh"}}, {"reasoning_effort": "xhigh"}, id="effort"),
        pytest.param(
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            {"reasoning_effort": "low"},
            id="adaptive thinking with effort",
        ),
        pytest.param(
            dict.fromkeys(
                ("system", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "tools",
                 "tool_choice", "thinking", "output_config", "output_format", "service_tier", "container", "speed",
                 "inference_geo", "mcp_servers", "context_management", "cache_control", "thread")
            ),
            {},
            id="null is absent",
        ),
    ],
)  # fmt: skip
def test_fields_are_carried_without_loss(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert asked(**fields) == (wanted, [])


@pytest.mark.parametrize(
    ("system", "content"),
    [
        pytest.param("Be nice.", "Be nice.", id="string"),
        pytest.param([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}], "A\n\nB", id="blocks"),
    ],
)
def test_the_system_prompt_is_the_first_message(system: Any, content: str) -> None:
    assert asked(system=system) == (
        {"messages": [{"role": "system", "content": content}, {"role": "user", "content": "a"}]},
        [],
    )


def test_an_empty_system_prompt_is_no_message() -> None:
    assert asked(system="") == ({}, [])


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_a_schema_for_the_answer_is_carried(field: str) -> None:
    wanted = {"type": "json_schema", "schema": SCHEMA}
    made, lost = asked(**{field: {"format": wanted} if field == "output_config" else wanted})

    assert made == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": SCHEMA, "strict": True}}
    }
    assert lost == []


def test_a_field_of_chat_gives_way_to_the_one_of_messages() -> None:
    made, lost = asked(stop_sequences=["END"], stop=["x"], user="u")
    assert (made, lost) == ({"stop": ["END"], "user": "u"}, ["stop dropped"])


def test_a_schema_with_optional_properties_is_asked_for_without_strict() -> None:
    made, lost = asked(output_config={"format": {"type": "json_schema", "schema": LOOSE}})

    assert made["response_format"]["json_schema"] == {"name": "output", "schema": LOOSE, "strict": False}
    assert lost == ["output_config.format changed"]


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1024, "low"), (4096, "low"), (4097, "medium"), (16384, "medium"), (16385, "high"), (63999, "high")],
)
def test_a_thinking_budget_becomes_a_level_of_effort(budget: int, effort: str) -> None:
    assert asked(thinking={"type": "enabled", "budget_tokens": budget}) == (
        {"reasoning_effort": effort},
        ["thinking.budget_tokens changed"],
    )


@pytest.mark.parametrize(
    ("fields", "wanted", "lost"),
    [
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "max"}},
            {"reasoning_effort": "max"},
            ["thinking.budget_tokens dropped"],
            id="effort goes before budget",
        ),
        pytest.param(
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            {},
            ["thinking dropped", "output_config.effort dropped"],
            id="no thinking",
        ),
        pytest.param({"thinking": {"type": "between_tools"}}, {}, ["thinking dropped"], id="between tools"),
        pytest.param(
            {"thinking": {"type": "adaptive", "display": "omitted"}}, {}, ["thinking.display dropped"], id="display"
        ),
        pytest.param(
            {"cache_control": {"type": "ephemeral"}, "context_management": {"edits": []}, "diagnostics": {}},
            {},
            ["cache_control dropped", "context_management dropped", "diagnostics dropped"],
            id="hints",
        ),
        pytest.param(
            {"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]},
            {},
            ["mcp_servers dropped"],
            id="MCP servers",
        ),
        pytest.param({"speed": "fast"}, {}, ["speed dropped"], id="speed"),
        pytest.param({"metadata": {"team": "a"}}, {}, ["metadata.team dropped"], id="other metadata"),
        pytest.param(
            {"output_config": {"task_budget": {"total": 1}}},
            {},
            ["output_config.task_budget dropped"],
            id="task budget",
        ),
    ],
)
def test_hints_are_on_record(fields: dict[str, Any], wanted: dict[str, Any], lost: list[str]) -> None:
    assert asked(**fields) == (wanted, lost)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"max_tokens": None}, "max_tokens", "missing_required_parameter", id="no limit"),
        pytest.param({"max_tokens": "9"}, "max_tokens", "invalid_type", id="limit as text"),
        pytest.param({"max_tokens": True}, "max_tokens", "invalid_type", id="limit as boolean"),
        pytest.param({"max_tokens": 1.5}, "max_tokens", "invalid_type", id="limit as float"),
        pytest.param({"stop_sequences": "END"}, "stop_sequences", "invalid_type", id="stop as text"),
        pytest.param({"stop_sequences": ["a", 1]}, "stop_sequences[1]", "invalid_type", id="stop as number"),
        pytest.param({"metadata": "u"}, "metadata", "invalid_type", id="metadata as text"),
        pytest.param({"metadata": {"user_id": 7}}, "metadata.user_id", "invalid_type", id="user as number"),
        pytest.param({"system": 1}, "system", "invalid_type", id="system as number"),
        pytest.param({"system": [{"type": "image"}]}, "system[0].type", "invalid_value", id="image in system"),
        pytest.param({"system": ["a"]}, "system[0]", "invalid_type", id="string in system"),
        pytest.param({"container": "c1"}, "container", "unsupported_parameter", id="container"),
        pytest.param({"thread": {"type": "create"}}, "thread", "unsupported_parameter", id="thread"),
        pytest.param({"inference_geo": "us"}, "inference_geo", "unsupported_parameter", id="region"),
        pytest.param({"thinking": "on"}, "thinking", "invalid_type", id="thinking as text"),
        pytest.param({"thinking": {"type": "on"}}, "thinking.type", "invalid_value", id="unknown thinking"),
        pytest.param(
            {"thinking": {"type": "enabled"}}, "thinking.budget_tokens", "missing_required_parameter", id="no budget"
        ),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": "1"}},
            "thinking.budget_tokens",
            "invalid_type",
            id="budget as text",
        ),
        pytest.param({"output_config": []}, "output_config", "invalid_type", id="output as list"),
        pytest.param({"output_config": {"effort": 1}}, "output_config.effort", "invalid_type", id="effort as number"),
        pytest.param(
            {"output_config": {"format": {"type": "json"}}}, "output_config.format.type", "invalid_value", id="format"
        ),
        pytest.param(
            {"output_format": {"type": "json_schema"}},
            "output_format.schema",
            "missing_required_parameter",
            id="no schema",
        ),
    ],
)
def test_wrong_fields_are_refused_by_name(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)

    assert (caught.value.param, caught.value.code) == (param, code)
    assert f"'{param}'" in caught.value.message

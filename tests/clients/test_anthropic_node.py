"""The npm package ``@anthropic-ai/sdk`` on /v1/messages: the same behaviour in the other official library."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import CLIENT_KEY, Target, Upstream
from .nodejs import NodeParts

pytestmark = pytest.mark.clients

SCRIPT = "anthropic_client.mjs"
TOGETHER = [
    *("buffered", "streamed", "letters", "stream_helper", "thinking", "tools", "tool_runner", "tools_streamed"),
    *("bad_request", "rate_limited", "cut_off"),
]


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """Results of all scenarios, by target."""
    return {}


@pytest.fixture
def result(answers: dict[str, dict[str, Any]], node_parts: NodeParts, served: Target) -> dict[str, Any]:
    if served.name not in answers:
        answers[served.name] = node_parts.run_json(SCRIPT, served.root, served.api_key, *TOGETHER)
    return answers[served.name]


def test_message_arrives_whole(result: dict[str, Any]) -> None:
    reply = result["buffered"]

    assert [(block["type"], block["text"]) for block in reply["content"]] == [("text", "Hello there, friend.")]
    assert reply["stop"] == "end_turn"
    assert (reply["usage"]["input_tokens"], reply["usage"]["output_tokens"]) == (11, 5)
    assert reply["requestId"]


def test_stream_tells_the_whole_life_of_a_text(result: dict[str, Any]) -> None:
    answer = result["streamed"]

    assert answer["types"] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert answer["text"] == "Hello there, friend."


def test_letters_of_every_script_survive(result: dict[str, Any]) -> None:
    assert result["letters"] == "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."


def test_stream_helper_accumulates_the_message(result: dict[str, Any]) -> None:
    answer = result["stream_helper"]

    assert answer["seen"] == answer["final"]
    assert answer["final"].endswith("once upon a time a byte left home.")
    assert (answer["stop"], answer["output"]) == ("end_turn", 60)


def test_thinking_comes_in_a_block_of_its_own(result: dict[str, Any]) -> None:
    assert result["thinking"] == [["thinking", "15 times 37 is 555."], ["text", "The answer is 555."]]


def test_tool_makes_the_round_trip(result: dict[str, Any]) -> None:
    assert result["tools"] == {
        "calls": [["get_weather", {"city": "Paris", "unit": "celsius"}]],
        "text": "It is 18 degrees in Paris.",
    }


def test_tool_runner_runs_to_its_end(result: dict[str, Any]) -> None:
    assert result["tool_runner"] == {"text": "It is 18 degrees in Paris.", "cities": ["Paris"]}


def test_parallel_tool_calls_are_assembled_from_a_stream(result: dict[str, Any]) -> None:
    assert result["tools_streamed"] == [["call_oslo", {"city": "Oslo"}], ["call_rome", {"city": "Rome"}]]


@pytest.mark.parametrize(
    ("scenario", "name", "kind"),
    [
        ("bad_request", "BadRequestError", "invalid_request_error"),
        ("rate_limited", "RateLimitError", "rate_limit_error"),
    ],
)
def test_refusal_of_the_upstream_keeps_its_class_and_type(
    result: dict[str, Any], scenario: str, name: str, kind: str
) -> None:
    error = result[scenario]["error"]

    assert (error["class"], error["type"]) == (name, kind)
    assert error["requestID"]


def test_stream_that_breaks_off_raises_api_error(result: dict[str, Any]) -> None:
    error = result["cut_off"]["error"]

    assert error["class"] == "APIError"
    assert error["body"]["error"]["type"] == "api_error"


def test_unknown_model_is_not_found(node_parts: NodeParts, table_gateway: str, upstream: Upstream) -> None:
    root = table_gateway.removesuffix("/v1")
    error = node_parts.run_json(SCRIPT, root, CLIENT_KEY, "unknown_model")["unknown_model"]["error"]

    assert (error["class"], error["type"]) == ("NotFoundError", "not_found_error")
    assert "nobody" in error["message"]
    assert upstream.paths() == []


def test_demo_answers_and_counts(node_parts: NodeParts, demo: str) -> None:
    found = node_parts.run_json(SCRIPT, demo.removesuffix("/v1"), CLIENT_KEY, "demo", "count")

    assert found["demo"]["buffered"]
    assert found["demo"]["streamed"] == found["demo"]["buffered"]
    assert found["count"]["counted"] == found["count"]["billed"] > 0

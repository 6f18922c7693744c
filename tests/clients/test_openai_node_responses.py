"""The npm package ``openai`` on /v1/responses: the same behaviour in the other official library."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Target
from .nodejs import NodeParts

pytestmark = pytest.mark.clients

TOGETHER = [
    *("buffered", "streamed", "letters", "stream_helper", "tools", "tools_streamed", "continued"),
    *("bad_request", "rate_limited", "cut_off"),
]


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """Results of all scenarios, by target."""
    return {}


@pytest.fixture
def result(answers: dict[str, dict[str, Any]], node_parts: NodeParts, served: Target) -> dict[str, Any]:
    if served.name not in answers:
        scenarios = [*TOGETHER, "parsed" if served.is_translated else "parsed_natively"]
        found = node_parts.run_json("openai_responses.mjs", served.base_url, served.api_key, *scenarios)
        answers[served.name] = {name.removesuffix("_natively"): value for name, value in found.items()}
    return answers[served.name]


def test_response_arrives_whole(result: dict[str, Any]) -> None:
    reply = result["buffered"]

    assert (reply["text"], reply["status"]) == ("Hello there, friend.", "completed")
    assert (reply["usage"]["input_tokens"], reply["usage"]["output_tokens"]) == (11, 5)
    assert reply["requestId"]


def test_stream_tells_the_whole_life_of_a_text(result: dict[str, Any]) -> None:
    answer = result["streamed"]

    assert answer["types"] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert answer["text"] == answer["final"] == "Hello there, friend."


def test_letters_of_every_script_survive(result: dict[str, Any]) -> None:
    assert result["letters"] == "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."


def test_stream_helper_accumulates_the_response(result: dict[str, Any]) -> None:
    answer = result["stream_helper"]

    assert answer["seen"] == answer["final"]
    assert answer["final"].endswith("once upon a time a byte left home.")


def test_structured_output_is_parsed(result: dict[str, Any]) -> None:
    assert result["parsed"] == {"name": "Ada Lovelace", "year": 1843}


def test_tool_makes_the_round_trip(result: dict[str, Any]) -> None:
    assert result["tools"] == {
        "calls": [["get_weather", {"city": "Paris", "unit": "celsius"}]],
        "text": "It is 18 degrees in Paris.",
    }


def test_parallel_tool_calls_are_assembled_from_a_stream(result: dict[str, Any]) -> None:
    assert result["tools_streamed"] == [["call_oslo", '{"city":"Oslo"}'], ["call_rome", '{"city":"Rome"}']]


def test_conversation_is_continued_by_id(result: dict[str, Any]) -> None:
    assert result["continued"] == {
        "text": "Your name is Ada.",
        "found": "Your name is Ada.",
        "previous": True,
        "gone": "NotFoundError",
    }


@pytest.mark.parametrize(
    ("scenario", "name", "code"),
    [
        ("bad_request", "BadRequestError", "invalid_value"),
        ("rate_limited", "RateLimitError", "rate_limit_exceeded"),
    ],
)
def test_refusal_of_the_upstream_keeps_its_class_and_code(
    result: dict[str, Any], scenario: str, name: str, code: str
) -> None:
    error = result[scenario]["error"]

    assert (error["class"], error["code"]) == (name, code)
    assert error["requestID"]


def test_stream_that_breaks_off_raises_api_error(result: dict[str, Any]) -> None:
    error = result["cut_off"]["error"]

    assert error["class"] == "APIError"
    assert error["body"].keys() >= {"message", "code"}

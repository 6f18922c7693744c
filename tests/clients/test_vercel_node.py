"""Vercel's ``ai`` with ``@ai-sdk/openai``, whose models speak /v1/responses by default."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import CLIENT_KEY, Target
from .nodejs import NodeParts

pytestmark = pytest.mark.clients

SCRIPT = "vercel_client.mjs"
TOGETHER = [
    *("buffered", "streamed", "letters", "reasoning", "tools", "tools_streamed", "conversation"),
    *("bad_request", "rate_limited", "cut_off"),
]


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """Results of all scenarios, by target."""
    return {}


@pytest.fixture
def result(answers: dict[str, dict[str, Any]], node_parts: NodeParts, served: Target) -> dict[str, Any]:
    if served.name not in answers:
        scenarios = [*TOGETHER, "output" if served.is_translated else "output_natively"]
        found = node_parts.run_json(SCRIPT, served.base_url, served.api_key, *scenarios)
        answers[served.name] = {name.removesuffix("_natively"): value for name, value in found.items()}
    return answers[served.name]


def test_text_is_generated_and_tokens_counted(result: dict[str, Any]) -> None:
    answer = result["buffered"]

    assert (answer["text"], answer["finishReason"]) == ("Hello there, friend.", "stop")
    assert (answer["input"], answer["output"]) == (11, 5)
    assert answer["id"]


def test_text_is_streamed_as_it_comes(result: dict[str, Any]) -> None:
    assert result["streamed"] == {
        "pieces": ["Hell", "o th", "ere,", " fri", "end."],
        "finishReason": "stop",
        "output": 5,
    }


def test_letters_of_every_script_survive(result: dict[str, Any]) -> None:
    assert result["letters"] == "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."


def test_reasoning_is_told_apart_from_the_answer(result: dict[str, Any]) -> None:
    assert result["reasoning"] == {"text": "The answer is 555.", "reasoning": "15 times 37 is 555."}


def test_tool_loop_of_the_library_runs_to_its_end(result: dict[str, Any]) -> None:
    assert result["tools"] == {"text": "It is 18 degrees in Paris.", "cities": ["Paris"], "steps": 2}


def test_streamed_tool_loop_runs_to_its_end(result: dict[str, Any]) -> None:
    answer = result["tools_streamed"]

    assert (answer["text"], answer["cities"]) == ("It is 18 degrees in Paris.", ["Paris"])
    assert answer["kinds"] == [
        "tool-input-start",
        "tool-input-delta",
        "tool-input-end",
        "tool-call",
        "tool-result",
    ]


def test_output_of_a_schema_is_an_object(result: dict[str, Any]) -> None:
    assert result["output"] == {"name": "Ada Lovelace", "year": 1843}


def test_conversation_goes_on_with_its_history(result: dict[str, Any]) -> None:
    assert result["conversation"] == "Your name is Ada."


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [("bad_request", 400, "invalid_value"), ("rate_limited", 429, "rate_limit_exceeded")],
)
def test_refusal_of_the_upstream_tells_status_and_code(
    result: dict[str, Any], scenario: str, status: int, code: str
) -> None:
    error = result[scenario]["error"]

    assert (error["name"], error["status"]) == ("AI_APICallError", status)
    assert error["body"]["error"]["code"] == code


def test_stream_that_breaks_off_has_an_error_and_no_proper_finish(result: dict[str, Any]) -> None:
    answer = result["cut_off"]

    assert answer["errors"] == 1
    assert answer["finish"] in ([], ["error"])


def test_demo_answers(node_parts: NodeParts, demo: str) -> None:
    answer = node_parts.run_json(SCRIPT, demo, CLIENT_KEY, "demo")["demo"]

    assert answer["buffered"]
    assert answer["streamed"] == answer["buffered"]

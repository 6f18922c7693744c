"""The npm package ``openai`` under Node: the same behaviour in the other official library.

One run of the script per target answers all scenarios that need no special upstream; each test then reads its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import CLIENT_KEY, UPSTREAM_KEY, Target, Upstream
from .nodejs import NodeParts

pytestmark = pytest.mark.clients

SCRIPT = "openai_client.mjs"
TOGETHER = [
    *("version", "buffered", "streamed", "streamed_usage", "letters", "stream_helper"),
    *("run_tools", "tools_streamed", "models", "bad_request", "rate_limited", "broken_upstream"),
]


@pytest.fixture(scope="module")
def answers(node_parts: NodeParts) -> dict[str, dict[str, Any]]:
    """Results of the shared scenarios, by target."""
    return {}


@pytest.fixture
def result(answers: dict[str, dict[str, Any]], node_parts: NodeParts, target: Target) -> dict[str, Any]:
    if target.name not in answers:
        answers[target.name] = node_parts.run_json(SCRIPT, target.base_url, target.api_key, *TOGETHER)
    return answers[target.name]


def run_one(node_parts: NodeParts, base_url: str, scenario: str, key: str = CLIENT_KEY) -> Any:
    return node_parts.run_json(SCRIPT, base_url, key, scenario)[scenario]


def test_node_is_the_packaged_one(result: dict[str, Any]) -> None:
    assert result["version"]["node"].startswith("24.")


def test_buffered_reply_arrives_whole(result: dict[str, Any]) -> None:
    reply = result["buffered"]["reply"]

    assert reply["id"] == "chatcmpl-hello"
    assert reply["choices"][0]["message"]["content"] == "Hello there, friend."
    assert reply["usage"] == {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    assert result["buffered"]["requestId"] == result["buffered"]["header"]
    assert result["buffered"]["requestId"]


def test_stream_without_usage_shows_no_usage_frame(result: dict[str, Any]) -> None:
    assert result["streamed"] == {
        "text": "Hello there, friend.",
        "finish": ["stop"],
        "usage": [],
        "withoutChoices": 0,
    }


def test_stream_with_usage_shows_it_once(result: dict[str, Any]) -> None:
    answer = result["streamed_usage"]

    assert answer["text"] == "Hello there, friend."
    assert answer["withoutChoices"] == 1
    assert [usage["total_tokens"] for usage in answer["usage"]] == [16]


def test_letters_of_every_script_survive(result: dict[str, Any]) -> None:
    assert result["letters"]["text"] == "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."


def test_stream_helper_accumulates_the_reply(result: dict[str, Any]) -> None:
    answer = result["stream_helper"]

    assert answer["seen"] == answer["final"]
    assert answer["final"].startswith("Once upon a time a byte left home.")
    assert answer["finish"] == "stop"


def test_tool_loop_of_the_library_runs_to_its_end(result: dict[str, Any]) -> None:
    assert result["run_tools"] == {
        "answer": "It is 18 degrees in Paris.",
        "cities": ["Paris"],
        "roles": ["user", "assistant", "tool", "assistant"],
    }


def test_parallel_tool_calls_are_assembled_from_a_stream(result: dict[str, Any]) -> None:
    assert result["tools_streamed"] == [["call_oslo", '{"city":"Oslo"}'], ["call_rome", '{"city":"Rome"}']]


def test_models_are_listed(result: dict[str, Any]) -> None:
    assert "gpt-4o" in result["models"]


@pytest.mark.parametrize(
    ("scenario", "name", "status", "code"),
    [
        ("bad_request", "BadRequestError", 400, "invalid_value"),
        ("rate_limited", "RateLimitError", 429, "rate_limit_exceeded"),
    ],
)
def test_upstream_refusal_keeps_its_class_and_code(
    result: dict[str, Any], scenario: str, name: str, status: int, code: str
) -> None:
    error = result[scenario]["error"]

    assert (error["class"], error["status"], error["code"]) == (name, status, code)
    assert error["requestID"]


def test_upstream_fault_is_a_server_error(result: dict[str, Any]) -> None:
    assert result["broken_upstream"]["error"]["class"] == "InternalServerError"


@pytest.mark.parametrize("scenario", ["unknown_model", "unknown_model_streamed"])
def test_unknown_model_is_not_found(
    node_parts: NodeParts, table_gateway: str, upstream: Upstream, scenario: str
) -> None:
    error = run_one(node_parts, table_gateway, scenario)["error"]

    assert (error["class"], error["code"]) == ("NotFoundError", "model_not_found")
    assert "nobody" in error["message"]
    assert upstream.journal() == []


def test_missing_model_is_a_bad_request(node_parts: NodeParts, gateway: str, upstream: Upstream) -> None:
    error = run_one(node_parts, gateway, "missing_model")["error"]

    assert (error["class"], error["param"]) == ("BadRequestError", "model")
    assert upstream.journal() == []


def test_upstream_that_breaks_off_a_stream_raises_api_error(
    node_parts: NodeParts, gateway: str, upstream: Upstream
) -> None:
    error = run_one(node_parts, gateway, "cut_off")["error"]

    assert error["class"] == "APIError"
    assert error["body"].keys() >= {"message", "type", "param", "code"}


def test_wrong_key_of_the_caller_is_an_authentication_error(
    node_parts: NodeParts, forwarding_gateway: str, upstream: Upstream
) -> None:
    error = run_one(node_parts, forwarding_gateway, "buffered", key="wrong")["error"]
    answer = run_one(node_parts, forwarding_gateway, "buffered", key=UPSTREAM_KEY)

    assert (error["class"], error["code"]) == ("AuthenticationError", "invalid_api_key")
    assert answer["reply"]["choices"][0]["finish_reason"] == "stop"


def test_leaving_a_stream_closes_the_upstream(node_parts: NodeParts, target: Target, upstream: Upstream) -> None:
    upstream.relay.hold(after=b"Onc")

    answer = run_one(node_parts, target.base_url, "abort_stream", key=target.api_key)

    assert answer == {"seen": ["", "Onc"], "aborted": True}
    assert upstream.only().caller_left.wait(10)


def test_client_that_times_out_frees_the_upstream(node_parts: NodeParts, target: Target, upstream: Upstream) -> None:
    upstream.relay.hold()

    error = run_one(node_parts, target.base_url, "timeout_buffered", key=target.api_key)["error"]

    assert error["class"] == "APIConnectionTimeoutError"
    assert upstream.only().caller_left.wait(10)

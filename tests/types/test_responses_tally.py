"""Reading a stream of response events: what was said, what it cost, how it ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy.errors import UpstreamError
from chatproxy.types import Usage
from chatproxy.types.responses import RESPONSES
from chatproxy.types.responses_tally import ResponsesTally

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 15,
}
COUNTED = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15, cached_tokens=4, reasoning_tokens=2)
UNSAID = ("The upstream failed in mid-stream.", "upstream_error")
TEXT = "response.output_text.delta"


def tally_of(*events: Any) -> ResponsesTally:
    """A tally that has seen events, given as JSON values or as bytes."""
    tally = RESPONSES.tally()
    assert isinstance(tally, ResponsesTally)
    for event in events:
        assert tally.add(event if isinstance(event, bytes) else msgspec.json.encode(event)) is True
    return tally


def error_of(*events: Any, usage: Usage | None = None) -> tuple[str, str | None]:
    """Message and code of the error that the last event is."""
    tally = tally_of(*events[:-1])
    with pytest.raises(UpstreamError) as caught:
        tally.add(msgspec.json.encode(events[-1]))
    assert (caught.value.status, tally.usage, tally.is_over, tally.may_end) == (502, usage, False, False)
    return caught.value.message, caught.value.code


def ended(status: str, **response: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "sequence_number": 9, "response": {"status": status, **response}}


def test_only_deltas_of_the_answer_s_text_are_counted_as_characters() -> None:
    tally = tally_of(
        {"type": "response.created", "response": {"status": "in_progress", "usage": None}},
        {"type": TEXT, "delta": "he"},
        {"type": TEXT, "delta": "llo", "sequence_number": "odd"},
        {"type": TEXT, "delta": ""},
        {"type": TEXT, "delta": {"text": "x"}},
        {"type": TEXT},
        {"type": "response.output_text.done", "text": "hello"},
        {"type": "response.refusal.delta", "delta": "no"},
        {"type": "response.reasoning_text.delta", "delta": "hm"},
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        {"type": "response.shell_call_output_content.delta", "delta": {"stdout": "x"}},
        {"type": "response.content_part.done", "part": {"text": "hello"}},
        ended("completed", output=[{"type": "message", "content": [{"text": "hello"}]}]),
    )
    assert tally.characters == 5


@pytest.mark.parametrize(
    ("event", "reasons"),
    [
        (ended("completed", output=[{"type": "message"}]), ["stop"]),
        (ended("completed", output=[]), ["stop"]),
        (ended("completed", output=[{"type": "message"}, {"type": "function_call"}]), ["tool_calls"]),
        (ended("completed", output=[{"type": "custom_tool_call"}]), ["tool_calls"]),
        (ended("completed", output=[{"type": "mcp_call"}, {"type": "web_search_call"}]), ["stop"]),
        (ended("completed", output=["x", None, {"type": ["function_call"]}]), ["stop"]),
        (ended("incomplete", incomplete_details={"reason": "max_output_tokens"}), ["length"]),
        (ended("incomplete", incomplete_details={"reason": "content_filter"}), ["content_filter"]),
        (ended("incomplete", incomplete_details={"reason": "steered"}), ["steered"]),
        (ended("incomplete", incomplete_details=None), ["length"]),
        (ended("incomplete", incomplete_details="x"), ["length"]),
        (ended("cancelled"), []),
        ({"type": "response.completed", "response": {"output": [{"type": "function_call"}]}}, ["tool_calls"]),
        ({"type": "response.completed", "response": {"status": 7}}, []),
        ({"type": "response.completed"}, ["stop"]),
        ({"type": "response.incomplete", "response": None}, ["length"]),
    ],
    ids=str,
)
def test_the_last_event_says_why_the_answer_ended(event: dict[str, Any], reasons: list[str]) -> None:
    tally = tally_of(event)
    assert tally.finish_reasons == reasons
    assert (tally.is_over, tally.may_end, tally.done_is_end) == (True, True, False)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"type": "response.queued", "response": {"status": "queued"}},
        {"type": "response.in_progress", "response": {"status": "completed"}},
        {"type": "response.output_item.done", "item": {"status": "completed"}},
        {"type": "response.mcp_call.failed", "error": {"message": "the tool's own"}},
        {"type": "response.mcp_call.failed", "delta": {}, "error": {"message": "the tool's own"}},
        {"type": "keepalive"},
        {"type": None},
        {"type": 5, "delta": "x", "error": None},
        {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]},
        {},
    ],
    ids=str,
)
def test_no_other_event_ends_the_answer(event: dict[str, Any]) -> None:
    tally = tally_of(event)
    assert (tally.is_over, tally.may_end, tally.finish_reasons, tally.usage) == (False, False, [], None)


@pytest.mark.parametrize("status", ["completed", "incomplete", "cancelled"])
def test_the_last_event_carries_the_token_counts(status: str) -> None:
    assert tally_of(ended(status, usage=USAGE)).usage == COUNTED
    assert tally_of(ended(status, usage=None)).usage is None


def test_a_failed_response_is_an_error_and_its_tokens_count() -> None:
    failed = ended("failed", usage=USAGE, error={"code": "server_error", "message": "Too bad."})
    assert error_of({"type": TEXT, "delta": "x"}, failed, usage=COUNTED) == ("Too bad.", "server_error")


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "error", "message": "No.", "code": "rate_limit", "param": None}, ("No.", "rate_limit")),
        ({"type": "error", "message": "No.", "code": None}, ("No.", "upstream_error")),
        ({"type": "error", "error": {"message": "No.", "type": "server_error", "code": None}}, ("No.", "server_error")),
        ({"type": "error", "message": "Other.", "error": {"message": "No.", "code": "c"}}, ("No.", "c")),
        ({"type": "error", "error": "No."}, ("No.", "upstream_error")),
        ({"type": "error"}, UNSAID),
        ({"error": {"message": "No.", "type": "server_error"}}, ("No.", "server_error")),
        ({"type": "vendor.error", "error": {"message": "No.", "code": "c"}}, ("No.", "c")),
        ({"type": 5, "error": {"message": "No.", "code": "c"}}, ("No.", "c")),
        ({"type": "response.failed", "response": {"error": None}}, UNSAID),
        ({"type": "response.failed"}, UNSAID),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_event_of_any_shape_is_the_upstream_s_error(event: dict[str, Any], error: tuple[str, str]) -> None:
    assert error_of(event) == error


@pytest.mark.parametrize(
    "data", [b"", b"[1]", b"null", b'"x"', b'{"type":', b"hello", b'{"type":"\xff"}', b"[" * 100_000], ids=repr
)
def test_what_is_no_json_object_is_an_upstream_error(data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        RESPONSES.tally().add(data[:100_000])
    assert (caught.value.status, caught.value.code) == (502, "upstream_invalid_json")


@pytest.mark.parametrize(
    ("events", "number"),
    [
        ([], -1),
        ([{"type": TEXT, "delta": "x", "sequence_number": 4}], 4),
        ([{"type": TEXT, "sequence_number": 4}, {"type": TEXT}], 5),
        ([{"type": TEXT}, {"type": TEXT, "sequence_number": None}], 1),
        ([{"type": TEXT, "sequence_number": 4}, {"type": TEXT, "sequence_number": "9"}], 5),
        ([{"type": TEXT, "sequence_number": 4}, {"type": None, "sequence_number": 7}], 7),
        ([{"type": "keepalive", "sequence_number": 7}], 7),
        ([ended("completed")], 9),
    ],
    ids=str,
)
def test_the_number_of_the_last_event_is_kept_or_counted(events: list[Any], number: int) -> None:
    assert tally_of(*events).sequence_number == number


@pytest.mark.parametrize("kind", ["error", "response.failed"])
@pytest.mark.parametrize("number", [2, None])
def test_an_event_that_failed_leaves_its_number_to_the_one_in_its_place(kind: str, number: int | None) -> None:
    tally = tally_of({"type": TEXT, "sequence_number": 1})
    with pytest.raises(UpstreamError):
        tally.add(msgspec.json.encode({"type": kind, "sequence_number": number}))
    assert tally.sequence_number == 1

"""Counts of Anthropic messages, streamed and buffered, in chat's terms."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy.errors import InvalidRequest, UpstreamError
from chatproxy.types import ChatResponse, StreamEvent, Usage
from chatproxy.types.messages import MESSAGES

START = {"type": "message_start", "message": {"content": [], "stop_reason": None, "usage": {"input_tokens": 5}}}


def counted(prompt: int, completion: int = 0, **more: int) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion, **more)


def delta(**fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": fields}


def end(reason: Any = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def tally_of(*events: Any) -> Any:
    tally = MESSAGES.tally()
    for event in events:
        assert not tally.is_over
        assert tally.add(event if isinstance(event, bytes) else msgspec.json.encode(event)) is True
    return tally


def test_a_whole_stream_is_counted_and_ends_at_message_stop() -> None:
    events = [
        START,
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        delta(type="thinking_delta", thinking="not counted"),
        delta(type="signature_delta", signature="not counted"),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        delta(type="text_delta", text="héllo"),
        delta(type="text_delta", text=" you"),
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "input": {}}},
        delta(type="input_json_delta", partial_json='{"not": "counted"}'),
        {"type": "content_block_stop", "index": 2},
        end("tool_use", output_tokens=7),
    ]
    tally = tally_of(*events)
    assert (tally.is_over, tally.may_end, tally.done_is_end) == (False, False, False)
    assert tally.add(b'{"type":"message_stop"}') is True
    assert (tally.is_over, tally.may_end, tally.characters) == (True, True, 9)
    assert tally.usage == counted(5, 7)
    assert tally.finish_reasons == ["tool_calls"]


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ([], None),
        ([{"type": "ping"}], None),
        ([START], counted(5)),
        ([START, end(output_tokens=2), end(output_tokens=3)], counted(5, 3)),
        ([START, end(input_tokens=9, output_tokens=1)], counted(9, 1)),
        ([START, end(input_tokens=0, output_tokens=1)], counted(5, 1)),
        ([START, end(input_tokens=None, output_tokens=1)], counted(5, 1)),
        (
            [{"type": "message_start", "message": {"usage": {
                "input_tokens": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300,
                "output_tokens": 1}}}, end(output_tokens=4, output_tokens_details={"thinking_tokens": 3})],
            counted(321, 4, cached_tokens=20, cache_write_tokens=300, reasoning_tokens=3),
        ),
        ([end(output_tokens="many", input_tokens=-1, output_tokens_details=[])], Usage()),
        ([{**START, "message": {"usage": "none"}}], None),
        ([{**START, "message": {"usage": {"input_tokens": 2}, "stop_reason": 4}}], counted(2)),
    ],
)  # fmt: skip
def test_later_counts_are_joined_with_earlier_ones(events: list[Any], usage: Usage | None) -> None:
    assert tally_of(*events).usage == usage


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("brand_new", "brand_new"),
    ],
)
def test_stop_reasons_are_told_in_chats_words(word: str, reason: str) -> None:
    reply = {"content": [], "stop_reason": word}
    assert tally_of(START, end(word)).finish_reasons == [reason]
    assert ChatResponse.of(msgspec.json.encode(reply), MESSAGES).summary == (None, [reason])
    assert ChatResponse(reply, layout=MESSAGES).finish_reasons == [reason]
    assert StreamEvent.of(end(word), layout=MESSAGES).finish_reasons == [reason]


def test_one_message_has_one_finish_reason_however_often_it_is_told() -> None:
    whole = {**START, "message": {"stop_reason": "end_turn"}}
    assert tally_of(whole, end(None), end("max_tokens")).finish_reasons == ["length"]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": None},
        {"type": ["message_stop"]},
        {"type": "content_block_delta", "delta": {"text": ["a"]}},
        {"type": "content_block_delta", "delta": "x"},
        {"type": "content_block_start", "content_block": []},
        {"type": "message_delta", "delta": {"stop_reason": {}}, "usage": 5},
        {"type": "message_start", "message": []},
        {"type": "error_of_another_kind"},
    ],
    ids=str,
)
def test_events_of_unusual_shape_pass_and_count_nothing(event: dict[str, Any]) -> None:
    tally = tally_of(event)
    assert (tally.usage, tally.finish_reasons, tally.characters, tally.is_over) == (None, [], 0, False)


def test_a_stop_of_unusual_shape_is_one() -> None:
    assert tally_of({"type": "message_stop", "delta": [], "usage": {"output_tokens": 2}}).is_over


def test_text_that_a_block_begins_with_counts() -> None:
    assert tally_of({"type": "content_block_start", "content_block": {"type": "text", "text": "abc"}}).characters == 3


@pytest.mark.parametrize(
    ("event", "code", "message"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "overloaded_error", "busy"),
        ({"type": "error", "error": {"type": "x", "code": "y", "message": "z"}}, "y", "z"),
        ({"error": {"message": "z"}}, "upstream_error", "z"),
        ({"type": "error", "error": "z"}, "upstream_error", "z"),
        ({"type": "error", "message": "z"}, "upstream_error", "z"),
        ({"type": "error"}, "upstream_error", "The upstream failed in mid-stream."),
        ({"type": "error", "delta": 4, "error": {"message": "z"}}, "upstream_error", "z"),
    ],
    ids=str,
)
def test_an_error_in_the_stream_is_raised_after_its_counts(event: dict[str, Any], code: str, message: str) -> None:
    tally = tally_of(START)
    with pytest.raises(UpstreamError) as caught:
        tally.add(msgspec.json.encode({**event, "usage": {"output_tokens": 3}}))
    assert (caught.value.code, caught.value.message, caught.value.status) == (code, message, 502)
    assert tally.usage == counted(5, 3)
    assert not tally.may_end


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"x"', b'{"type":"ping"', b"\xff", b'{"type":"\xff"}'])
def test_what_is_no_json_object_is_an_upstream_error(data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        MESSAGES.tally().add(data)
    assert caught.value.code == "upstream_invalid_json"


USAGE = {
    "input_tokens": 1,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": None,
    "output_tokens": 5,
    "output_tokens_details": {"thinking_tokens": 4},
}
COUNTED = counted(21, 5, cached_tokens=20, reasoning_tokens=4)


@pytest.mark.parametrize(
    ("reply", "summary"),
    [
        ({"stop_reason": "end_turn", "usage": USAGE}, (COUNTED, ["stop"])),
        ({"stop_reason": None, "usage": {}}, (Usage(), [])),
        ({}, (None, [])),
        ({"stop_reason": 7, "usage": USAGE}, (COUNTED, [])),
        ({"stop_reason": "end_turn", "usage": "many"}, (None, ["stop"])),
    ],
    ids=str,
)
def test_a_buffered_reply_is_summed_up_the_same_by_bytes_and_by_fields(reply: Any, summary: Any) -> None:
    response = ChatResponse.of(msgspec.json.encode(reply), MESSAGES)
    assert response.summary == summary
    assert (response.usage, response.finish_reasons) == summary


def test_events_tell_what_they_carry() -> None:
    assert StreamEvent.of(START, layout=MESSAGES).usage == counted(5)
    assert StreamEvent.of(end(output_tokens=3), layout=MESSAGES).usage == counted(0, 3)
    assert StreamEvent.of(delta(text="x"), layout=MESSAGES).usage is None
    assert StreamEvent.of(delta(text="x"), layout=MESSAGES).finish_reasons == []


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"usage":1', b"[" * 100_000, b'{"stop_reason":1,"a":NaN}', b"\xff"]
)
def test_a_reply_that_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        MESSAGES.summary(data)
    assert caught.value.code == "invalid_json"

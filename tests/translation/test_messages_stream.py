"""Chat streams as Message streams: every event at its place, and the end of the message."""

from __future__ import annotations

import pytest

from .messages_events import (
    ALL_COUNTS,
    COUNTS,
    NO_COUNTS_AT_ALL,
    USAGE,
    Event,
    assembled,
    calls,
    chunk,
    kinds,
    piece,
    streamed,
    text,
    usage_chunk,
    used,
)


def test_a_text_stream_has_every_event_at_its_place() -> None:
    batches, lost = streamed(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "He"}),
        chunk({"content": "llo"}),
        chunk({}, "stop"),
        usage_chunk(),
    )

    assert batches[0][0]["message"].pop("id").startswith("msg_")
    assert batches == [
        [
            {
                "type": "message_start",
                "message": {
                    "type": "message",
                    "role": "assistant",
                    "model": "m",
                    "content": [],
                    "stop_reason": None,
                    "stop_sequence": None,
                    "stop_details": None,
                    "container": None,
                    "usage": NO_COUNTS_AT_ALL,
                },
            }
        ],
        [
            {"type": "content_block_start", "index": 0, "content_block": text("")},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "He"}},
        ],
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "llo"}}],
        [],
        [],
        [
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
                "usage": COUNTS,
            },
            {"type": "message_stop"},
        ],
    ]
    assert lost == []


def test_reasoning_text_and_calls_follow_one_another() -> None:
    batches, lost = streamed(
        chunk({"role": "assistant"}),
        chunk({"reasoning_content": "Hm"}),
        chunk({"reasoning_content": ".", "content": "Let"}),
        chunk({"content": " me"}),
        calls(piece(0, name="f", identity="call_1")),
        calls(piece(0, '{"a"')),
        calls(piece(0, ": 1}")),
        chunk({}, "tool_calls", usage=USAGE),
    )

    assert [kinds(batch) for batch in batches] == [
        ["message_start"],
        ["start 0", "delta 0"],
        ["delta 0", "stop 0", "start 1", "delta 1"],
        ["delta 1"],
        ["stop 1", "start 2"],
        ["delta 2"],
        ["delta 2"],
        [],
        ["stop 2", "message_delta", "message_stop"],
    ]
    message = assembled(batches)
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        text("Let me"),
        used("call_1", "f", {"a": 1}),
    ]
    assert (message["stop_reason"], message["usage"], lost) == ("tool_use", ALL_COUNTS, [])


def test_a_refusal_is_text_and_the_stop_reason() -> None:
    batches, _ = streamed(chunk({"content": "I"}), chunk({"refusal": "will"}), chunk({"refusal": " not"}, "stop"))
    message = assembled(batches)

    assert message["content"] == [text("I"), text("will not")]
    assert message["stop_reason"] == "refusal"


def test_an_empty_stream_is_an_empty_message() -> None:
    batches, lost = streamed()
    message = assembled(batches)

    assert (message["model"], message["content"], message["stop_reason"]) == ("asked", [], "end_turn")
    assert (message["usage"], lost) == (NO_COUNTS_AT_ALL, ["usage added"])


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([chunk({"content": "a"}), chunk({}, "length"), usage_chunk()], id="after the finish"),
        pytest.param([chunk({"content": "a"}), usage_chunk(), chunk({}, "length")], id="before the finish"),
        pytest.param([chunk({"content": "a"}), chunk({}, "length", usage=USAGE)], id="with the finish"),
        pytest.param([chunk({"content": "a"}, "length", usage=USAGE)], id="all in one"),
        pytest.param(
            [chunk({"content": "a"}), chunk({"content": "b"}, "length", usage=USAGE)], id="with the last text"
        ),
        pytest.param(
            [chunk({"content": "a"}), chunk({"content": "b"}, usage=USAGE), chunk({"content": "c"}, "length")],
            id="with a text in between",
        ),
        pytest.param(
            [chunk({"content": "a"}, usage={"prompt_tokens": 1}), chunk({}, "length", usage=USAGE)], id="in every chunk"
        ),
    ],
)
def test_token_counts_are_found_wherever_they_come(chunks: list[Event]) -> None:
    batches, lost = streamed(*chunks)
    message = assembled(batches)

    assert (message["usage"], message["stop_reason"], lost) == (ALL_COUNTS, "max_tokens", [])


def test_counts_of_the_first_chunk_stand_in_the_start() -> None:
    batches, _ = streamed(chunk({"role": "assistant"}, usage=USAGE))
    assert batches[0][0]["message"]["usage"] == ALL_COUNTS


def test_other_choices_are_on_record_once() -> None:
    other = {"index": 1, "delta": {"content": "x"}, "finish_reason": None}
    first = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    batches, lost = streamed(
        chunk(choices=[first, other]), chunk(choices=[other]), chunk(choices=[first]), usage_chunk()
    )

    assert assembled(batches)["content"] == [text("aa")]
    assert lost == ["content dropped"]


def test_a_stop_sequence_the_upstream_names_is_named() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}
    batches, _ = streamed(chunk({"content": "a"}), chunk(choices=[choice]))
    message = assembled(batches)

    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"choices": None},
        {"choices": ["a"]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 1, "tool_calls": 2, "thinking_blocks": 3, "reasoning": 4}}]},
        {"choices": [{"delta": {"thinking_blocks": [1, {}]}}]},
    ],
    ids=["empty", "null", "no object", "no delta", "null delta", "wrong types", "no blocks"],
)
def test_chunks_of_odd_shape_say_nothing(data: Event) -> None:
    batches, _ = streamed(chunk({"content": "a"}), data, chunk({"content": "b"}))

    assert batches[1] == []
    assert assembled(batches)["content"] == [text("ab")]


def test_what_no_block_can_hold_is_on_record() -> None:
    _, lost = streamed(
        chunk({"audio": {"id": "x"}}), chunk({"content": [{"type": "image_url"}]}), calls({"index": 0}), usage_chunk()
    )
    assert lost == ["content dropped"] * 3


def test_unknown_fields_of_the_first_chunk_pass() -> None:
    batches, _ = streamed(chunk({"role": "assistant"}, vendor={"a": 1}))
    assert batches[0][0]["message"]["vendor"] == {"a": 1}

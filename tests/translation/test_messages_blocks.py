"""Blocks of a Message stream: one open at a time, whatever the order of the chat stream."""

from __future__ import annotations

from typing import Any

import pytest

from .messages_events import Event, assembled, calls, chunk, kinds, piece, streamed, text, usage_chunk, used


def test_a_call_behind_a_finished_one_is_live() -> None:
    batches, _ = streamed(
        calls(piece(0, '{"a": 1}', name="f", identity="c0")),
        calls(piece(1, name="g", identity="c1")),
        calls(piece(1, '{"b"')),
        calls(piece(1, ": 2}")),
    )

    assert [kinds(batch) for batch in batches] == [
        ["message_start", "start 0", "delta 0"],
        ["stop 0", "start 1"],
        ["delta 1"],
        ["delta 1"],
        ["stop 1", "message_delta", "message_stop"],
    ]


def test_interleaved_calls_wait_for_their_turn() -> None:
    batches, _ = streamed(
        calls(piece(0, '{"a"', name="f", identity="c0"), piece(1, '{"b"', name="g", identity="c1")),
        calls(piece(1, ": 2}")),
        calls(piece(0, ": 1")),
        calls(piece(0, "}")),
        chunk({}, "tool_calls"),
    )

    assert [kinds(batch) for batch in batches] == [
        ["message_start", "start 0", "delta 0"],
        [],
        ["delta 0"],
        ["delta 0", "stop 0", "start 1", "delta 1", "delta 1"],
        [],
        ["stop 1", "message_delta", "message_stop"],
    ]
    assert [block["input"] for block in assembled(batches)["content"]] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [calls(piece(0, '{"a":1}', name="f", identity="c0"), piece(1, "{}", name="g", identity="c1"))],
            id="whole, in one chunk",
        ),
        pytest.param(
            [calls(piece(0, '{"a":1}', name="f", identity="c0")), calls(piece(0, "{}", name="g", identity="c1"))],
            id="the same index",
        ),
        pytest.param(
            [calls(piece(None, '{"a":1}', name="f", identity="c0"), piece(None, "{}", name="g", identity="c1"))],
            id="no index",
        ),
        pytest.param(
            [
                calls(piece(0, identity="c0"), piece(1, identity="c1")),
                calls(piece(0, name="f"), piece(1, "", name="g")),
                calls(piece(1, "{"), piece(0, '{"a":')),
                calls(piece(1, "}"), piece(0, "1}")),
            ],
            id="names after ids",
        ),
        pytest.param(
            [
                calls(piece(0, '{"a":', name="f", identity="c0")),
                calls(piece(0, "1}", name="f", identity="c0")),
                calls(piece(1, "{}", name="g", identity="c1")),
                calls(piece(1, "", name="g", identity="c1")),
            ],
            id="ids and names repeated",
        ),
        pytest.param(
            [
                calls(piece(0, '{"a":1}', name="f", identity="c0")),
                calls(piece(1, "", name="g", identity="c1")),
                calls(piece(0, " \n")),
            ],
            id="white space after a whole object",
        ),
    ],
)
def test_calls_arrive_whole_in_whatever_way_they_are_cut(chunks: list[Event]) -> None:
    batches, lost = streamed(*chunks, chunk({}, "tool_calls"), usage_chunk())

    assert assembled(batches)["content"] == [
        used("c0", "f", {"a": 1}),
        used("c1", "g", {}),
    ]
    assert lost == []


def test_calls_without_ids_get_one_each() -> None:
    batches, _ = streamed(calls(piece(None, "{}", name="f"), piece(None, "{}", name="f")))
    content = assembled(batches)["content"]

    assert [block["name"] for block in content] == ["f", "f"]
    assert len({block["id"] for block in content}) == 2


def test_arguments_that_are_no_object_are_passed_and_on_record() -> None:
    batches, lost = streamed(calls(piece(0, "[1]", name="f", identity="c0")), usage_chunk())

    assert batches[0][-1]["delta"] == {"type": "input_json_delta", "partial_json": "[1]"}
    assert lost == ["content[0].input changed"]


def test_arguments_after_a_whole_object_are_on_record() -> None:
    batches, lost = streamed(
        calls(piece(0, "{}", name="f", identity="c0"), piece(1, "{}", name="g", identity="c1")),
        calls(piece(0, '{"a":1}')),
        usage_chunk(),
    )

    assert [block["input"] for block in assembled(batches)["content"]] == [{}, {}]
    assert lost == ["content dropped"]


def test_text_and_reasoning_after_calls_are_blocks_of_their_own() -> None:
    batches, lost = streamed(
        chunk({"content": "a"}),
        calls(piece(0, "{", name="f", identity="c0")),
        chunk({"content": "b"}),
        calls(piece(0, "}")),
        chunk({"reasoning": "c"}),
        chunk({"content": "d"}),
        usage_chunk(),
    )

    assert assembled(batches)["content"] == [
        text("a"),
        used("c0", "f", {}),
        text("b"),
        {"type": "thinking", "thinking": "c", "signature": ""},
        text("d"),
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("deltas", "content"),
    [
        pytest.param(
            [
                {"reasoning_content": "H"},
                {"reasoning_content": "m."},
                {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "abc"}]},
                {"reasoning_content": "So."},
                {"thinking_blocks": [{"type": "thinking", "thinking": "So.", "signature": "def"}]},
            ],
            [
                {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
                {"type": "thinking", "thinking": "So.", "signature": "def"},
            ],
            id="whole blocks behind their text",
        ),
        pytest.param(
            [
                {"reasoning_content": "H", "thinking_blocks": [{"type": "thinking", "thinking": "H"}]},
                {"reasoning_content": "m.", "thinking_blocks": [{"type": "thinking", "thinking": "m."}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "abc"}]},
            ],
            [{"type": "thinking", "thinking": "Hm.", "signature": "abc"}],
            id="pieces beside their text",
        ),
        pytest.param(
            [
                {"thinking_blocks": [{"type": "thinking", "thinking": "a"}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "a"}]},
                {"thinking_blocks": [{"type": "redacted_thinking", "data": "xyz"}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "b", "signature": "abc"}]},
            ],
            [
                {"type": "thinking", "thinking": "a", "signature": ""},
                {"type": "thinking", "thinking": "a", "signature": ""},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "thinking", "thinking": "b", "signature": "abc"},
            ],
            id="blocks alone",
        ),
        pytest.param(
            [
                {"thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": None}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "b", "signature": "abc"}]},
                {"reasoning_content": "c"},
                {"thinking_blocks": [{"type": "thinking", "thinking": "c", "signature": None}]},
                {"reasoning_content": "d"},
                {"thinking_blocks": [{"type": "thinking", "thinking": "d", "signature": "def"}]},
            ],
            [
                {"type": "thinking", "thinking": "a", "signature": ""},
                {"type": "thinking", "thinking": "b", "signature": "abc"},
                {"type": "thinking", "thinking": "c", "signature": ""},
                {"type": "thinking", "thinking": "d", "signature": "def"},
            ],
            id="whole blocks without a signature before signed ones",
        ),
        pytest.param(
            [
                {"reasoning_content": "H"},
                {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "abc"}]},
            ],
            [{"type": "thinking", "thinking": "Hm.", "signature": "abc"}],
            id="a block that says more than its text",
        ),
    ],
)
def test_signed_reasoning_is_put_together(deltas: list[dict[str, Any]], content: list[Event]) -> None:
    batches, lost = streamed(*[chunk(delta) for delta in deltas], chunk({"content": "b"}), usage_chunk())

    assert assembled(batches)["content"] == [*content, text("b")]
    assert lost == []

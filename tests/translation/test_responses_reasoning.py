"""Reasoning of chat chunks, signed or not, as items of a Response."""

from __future__ import annotations

import pytest

from .responses_events import Json, chunk, streamed

SIGNED = {"type": "thinking", "thinking": "hm", "signature": "sig"}
PIECES = [{"type": "thinking", "thinking": piece} for piece in ("h", "m")]


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param(
            [{"reasoning_content": "h"}, {"reasoning_content": "m"}, {"thinking_blocks": [SIGNED]}],
            id="whole-at-its-end",
        ),
        pytest.param([{"reasoning_content": "h"}, {"thinking_blocks": [SIGNED]}], id="rest-at-its-end"),
        pytest.param([{"thinking_blocks": [SIGNED]}], id="block-only"),
        pytest.param(
            [
                {"reasoning_content": "h", "thinking_blocks": PIECES[:1]},
                {"reasoning_content": "m", "thinking_blocks": PIECES[1:]},
                {"thinking_blocks": [{**SIGNED, "thinking": ""}]},
            ],
            id="pieces-then-signature",
        ),
    ],
)
def test_signed_thinking_is_told_once_and_sealed(deltas: list[Json]) -> None:
    events = streamed(*[chunk(delta) for delta in deltas], chunk({"content": "a"}, finish="stop"))
    assert "".join(event["delta"] for event in events if "reasoning" in event["type"] and "delta" in event) == "hm"
    assert events[-1]["response"]["output"][0] == {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "thinking:sig",
    }


def test_unsigned_and_redacted_thinking_are_items_of_their_own() -> None:
    events = streamed(
        chunk({"reasoning_content": "hm"}),
        chunk({"thinking_blocks": [{**SIGNED, "signature": None}]}),
        chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": "xyz"}]}),
        chunk({"reasoning_content": "ah"}),
        chunk({"content": "a"}, finish="stop"),
    )
    items = events[-1]["response"]["output"]
    assert [[part["text"] for part in item["summary"]] for item in items[:-1]] == [["hm"], [], ["ah"]]
    assert items[1]["encrypted_content"] == "redacted_thinking:xyz"

"""Texts of message events: pieces of running texts, and what comes whole."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.types import StreamEvent
from chatproxy.types.messages import MESSAGES


def event_texts(**data: Any) -> list[tuple[str, str, str, bool]]:
    """(field, kind, value, whether it is whole) of an event's texts."""
    return [
        (text.field, text.kind, text.value, text.is_whole) for text in StreamEvent.of(data, layout=MESSAGES).texts()
    ]


@pytest.mark.parametrize(
    ("event", "texts"),
    [
        (
            {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "a"}},
            [("delta.text", "content", "a", False)],
        ),
        (
            {"type": "content_block_delta", "index": 2, "delta": {"type": "thinking_delta", "thinking": "a"}},
            [("delta.thinking", "reasoning", "a", False)],
        ),
        (
            {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{"}},
            [("delta.partial_json", "tool_arguments", "{", False)],
        ),
        ({"type": "content_block_delta", "index": 2, "delta": {"type": "signature_delta", "signature": "s"}}, []),
        (
            {"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": {"cited_text": "a"}}},
            [("delta.citation.cited_text", "content", "a", True)],
        ),
        (
            {"type": "content_block_delta", "delta": {"type": "compaction_delta", "content": "a"}},
            [("delta.content", "content", "a", False)],
        ),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            [("content_block.text", "content", "", False)],
        ),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "a"}},
            [("content_block.thinking", "reasoning", "a", False)],
        ),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "input": {"q": "a"}}},
            [("content_block.input.q", "tool_arguments", "a", True)],
        ),
        (
            {"type": "content_block_start", "index": 0, "content_block": {
                "type": "web_search_tool_result", "content": [{"title": "a"}]}},
            [("content_block.content.0.title", "tool_result", "a", True)],
        ),
        (
            {"type": "content_block_start", "content_block": {"type": "text", "text": "a", "citations": [
                {"cited_text": "b"}]}},
            [
                ("content_block.text", "content", "a", False),
                ("content_block.citations.0.cited_text", "content", "b", True),
            ],
        ),
        (
            {"type": "message_start", "message": {"content": [{"type": "text", "text": "a"}]}},
            [("message.content.0.text", "content", "a", True)],
        ),
        (
            {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": {"explanation": "a"}}},
            [("delta.stop_details.explanation", "refusal", "a", True)],
        ),
        ({"type": "content_block_stop", "index": 0}, []),
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}, []),
        ({"type": "message_stop"}, []),
        ({"type": "ping"}, []),
        ({"type": "content_block_delta", "index": "x", "delta": {"text": ["a"]}}, [
            ("delta.text.0", "content", "a", False),
        ]),
        ({"delta": "x", "content_block": [], "message": 3, "index": {}}, []),
    ],
)  # fmt: skip
def test_every_place_in_an_event(event: dict[str, Any], texts: list[tuple[str, str, str, bool]]) -> None:
    assert event_texts(**event) == texts


def test_pieces_share_a_channel_with_those_of_their_block_only() -> None:
    events = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "c"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "d"}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "e"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "f"}},
    ]
    said: dict[Any, str] = {}
    for event in events:
        for text in StreamEvent.of(event, layout=MESSAGES).texts():
            said[text.channel] = said.get(text.channel, "") + text.value
    assert list(said.values()) == ["ab", "c", "df", "e"]


def test_a_replaced_text_changes_the_event_and_keeps_its_name() -> None:
    frame = (
        b"event: content_block_start\n"
        b'data: {"type":"content_block_start","index":1,"content_block":{"type":"mcp_tool_listing",'
        b'"tools":[{"description":"a"}]}}\n\n'
    )
    event = StreamEvent(frame, MESSAGES)
    [text] = event.texts()
    text.replace("a")
    assert event.encode() is frame
    text.replace("b")
    assert event.encode() == frame.replace(b'"a"', b'"b"')

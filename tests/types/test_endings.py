"""Where texts end in a stream, and one more piece of a text as an event, on every surface."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.testing.matrix import DIALECTS, Said
from chatproxy.types import LAYOUTS, StreamEvent

Json = dict[str, Any]
HEAD: Json = {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "service_tier": "default"}
PLACE: Json = {"item_id": "msg_1", "output_index": 2, "content_index": 1}
ALL = Said(content="one two three", reasoning="so it is", calls=(("look", '{"q": "b c"}'), ("find", '{"q": "d"}')))


def event_of(surface: str, data: Json) -> StreamEvent:
    return StreamEvent.of(data, layout=LAYOUTS[surface])


def chunk(choice: Json, **fields: Any) -> Json:
    return {**HEAD, "choices": [choice], **fields}


def call(arguments: str = '{"q', **fields: Any) -> Json:
    return {"index": 3, **fields, "function": {"name": "look", "arguments": arguments}}


def delta(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}.delta", "sequence_number": 8, **PLACE, "delta": "a", "obfuscation": "x", **fields}


AGAIN: dict[str, tuple[str, Json, Json]] = {
    "chat-content": (
        "chat",
        chunk(
            {
                "index": 1,
                "delta": {"role": "assistant", "content": "a", "refusal": None},
                "logprobs": {"content": [{"token": "a"}]},
                "finish_reason": "stop",
            },
            usage={"total_tokens": 3},
            obfuscation="xx",
            citations=["u"],
        ),
        chunk({"delta": {"content": "X"}, "index": 1, "logprobs": None, "finish_reason": None}, usage=None),
    ),
    "chat-without-a-choice-index": (
        "chat",
        {"id": "c1", "choices": [{"delta": {"reasoning_content": "a"}}]},
        {
            "id": "c1",
            "choices": [{"delta": {"reasoning_content": "X"}, "index": 0, "finish_reason": None}],
        },
    ),
    "chat-refusal": (
        "chat",
        chunk({"index": 0, "delta": {"refusal": "a"}}),
        chunk({"delta": {"refusal": "X"}, "index": 0, "finish_reason": None}),
    ),
    "chat-call": (
        "chat",
        chunk({"index": 0, "delta": {"tool_calls": [call(id="call_1", type="function")]}, "finish_reason": None}),
        chunk(
            {
                "delta": {"tool_calls": [{"index": 3, "function": {"arguments": "X"}}]},
                "index": 0,
                "finish_reason": None,
            }
        ),
    ),
    "chat-call-without-index": (
        "chat",
        chunk({"index": 0, "delta": {"tool_calls": [{"id": "a"}, {"function": {"arguments": "a"}}]}}),
        chunk(
            {
                "delta": {"tool_calls": [{"index": 1, "function": {"arguments": "X"}}]},
                "index": 0,
                "finish_reason": None,
            }
        ),
    ),
    "chat-nested-reasoning": (
        "chat",
        chunk({"index": 0, "delta": {"reasoning_details": [{"type": "reasoning.text", "id": "r", "text": "a"}]}}),
        chunk(
            {
                "delta": {"reasoning_details": [{"type": "reasoning.text", "text": "X"}]},
                "index": 0,
                "finish_reason": None,
            }
        ),
    ),
    "completions": (
        "completions",
        chunk({"index": 0, "text": "a", "logprobs": {"tokens": ["a"]}, "finish_reason": "length"}),
        chunk({"index": 0, "text": "X", "logprobs": None, "finish_reason": None}),
    ),
    "messages-text": (
        "messages",
        {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "X"}},
    ),
    "messages-arguments": (
        "messages",
        {"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta", "partial_json": "a"}},
        {"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta", "partial_json": "X"}},
    ),
    "messages-begun-text": (
        "messages",
        {"type": "content_block_start", "index": 4, "content_block": {"type": "text", "text": "a"}},
        {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "X"}},
    ),
    "messages-begun-thinking": (
        "messages",
        {"type": "content_block_start", "index": 4, "content_block": {"type": "thinking", "thinking": "a"}},
        {"type": "content_block_delta", "index": 4, "delta": {"type": "thinking_delta", "thinking": "X"}},
    ),
    "responses-text": (
        "responses",
        delta("output_text", logprobs=[{"token": "a"}], note="aside"),
        {"type": "response.output_text.delta", "sequence_number": 8, **PLACE, "delta": "X", "logprobs": []},
    ),
    "responses-arguments": (
        "responses",
        delta("function_call_arguments"),
        {"type": "response.function_call_arguments.delta", "sequence_number": 8, **PLACE, "delta": "X"},
    ),
    "responses-part-of-summary": (
        "responses",
        {
            "type": "response.reasoning_summary_part.added",
            "item_id": "rs",
            "output_index": 0,
            "summary_index": 2,
            "sequence_number": 3,
            "part": {"type": "summary_text", "text": "a"},
        },
        {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "item_id": "rs",
            "summary_index": 2,
            "delta": "X",
            "sequence_number": 3,
        },
    ),
    "responses-item": (
        "responses",
        {
            "type": "response.output_item.done",
            "output_index": 1,
            "item": {"type": "message", "id": "msg", "content": [{"type": "output_text", "text": "a"}]},
        },
        {
            "type": "response.output_text.delta",
            "output_index": 1,
            "item_id": "msg",
            "content_index": 0,
            "delta": "X",
        },
    ),
    "responses-whole-call": (
        "responses",
        {
            "type": "response.completed",
            "response": {"output": [{"type": "function_call", "id": "fc", "arguments": "a"}]},
        },
        {"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc", "delta": "X"},
    ),
}


@pytest.mark.parametrize(("surface", "template", "expected"), AGAIN.values(), ids=AGAIN)
def test_again_carries_one_text_and_nothing_that_was_said(surface: str, template: Json, expected: Json) -> None:
    event = event_of(surface, template)
    text = next(text for text in event.texts() if text.value in ("a", '{"q'))
    made = event.again(text, "X")
    assert made.data == expected
    assert made.raw == b""
    assert made.name == expected.get("type", "message")


@settings(max_examples=40, deadline=None)
@given(value=st.text(max_size=20), name=st.sampled_from(list(AGAIN)), replaced=st.booleans())
def test_the_new_piece_goes_on_with_the_same_running_text(value: str, name: str, replaced: bool) -> None:
    surface, template, _ = AGAIN[name]
    event = event_of(surface, event_of(surface, template).snapshot())
    for text in event.texts():
        if replaced:
            text.replace("")
        (again,) = event.again(text, value).texts()
        assert (again.channel, again.kind, again.value, again.is_whole) == (text.channel, text.kind, value, False)


ENDS: dict[str, tuple[str, Json, tuple[int | str, ...], bool]] = {
    "chat": ("chat", chunk({"index": 1, "delta": {}, "finish_reason": "stop"}), (1, "content"), True),
    "chat-call": ("chat", chunk({"index": 1, "delta": {}, "finish_reason": "stop"}), (1, 0, "tool_arguments"), True),
    "chat-other-choice": ("chat", chunk({"index": 0, "delta": {}, "finish_reason": "stop"}), (1, "content"), False),
    "chat-piece": (
        "chat",
        chunk({"index": 0, "delta": {"content": "a"}, "finish_reason": None}),
        (0, "content"),
        False,
    ),
    "chat-usage": ("chat", {**HEAD, "choices": [], "usage": {"total_tokens": 3}}, (0, "content"), False),
    "completions": ("completions", chunk({"text": "", "finish_reason": "length"}), (0, "content"), True),
    "messages-stop": ("messages", {"type": "content_block_stop", "index": 1}, (1, "content"), True),
    "messages-other-stop": ("messages", {"type": "content_block_stop", "index": 0}, (1, "content"), False),
    "messages-delta": (
        "messages",
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        (9, "content"),
        True,
    ),
    "messages-usage": ("messages", {"type": "message_delta", "delta": {"stop_reason": None}}, (9, "content"), False),
    "messages-over": ("messages", {"type": "message_stop"}, (9, "content"), True),
    "messages-signature": (
        "messages",
        {"type": "content_block_delta", "index": 1, "delta": {"type": "signature_delta", "signature": "s"}},
        (1, "reasoning"),
        True,
    ),
    "messages-piece": (
        "messages",
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "s"}},
        (1, "content"),
        False,
    ),
    "responses-text": ("responses", {"type": "response.output_text.done", **PLACE}, (2, 1, "content"), True),
    "responses-other-text": ("responses", {"type": "response.output_text.done", **PLACE}, (2, 0, "content"), False),
    "responses-part": ("responses", {"type": "response.content_part.done", **PLACE}, (2, 1, "refusal"), True),
    "responses-item": (
        "responses",
        {"type": "response.output_item.done", "output_index": 2},
        (2, "summary", 0, "reasoning"),
        True,
    ),
    "responses-other-item": ("responses", {"type": "response.output_item.done", "output_index": 1}, (2, "x"), False),
    "responses-call": (
        "responses",
        {"type": "response.function_call_arguments.done", "output_index": 2},
        (2, "tool_arguments"),
        True,
    ),
    "responses-summary": (
        "responses",
        {"type": "response.reasoning_summary_part.done", "output_index": 2, "summary_index": 1},
        (2, "summary", 1, "reasoning"),
        True,
    ),
    "responses-other-summary": (
        "responses",
        {"type": "response.reasoning_summary_text.done", "output_index": 2, "summary_index": 0},
        (2, "summary", 1, "reasoning"),
        False,
    ),
    "responses-over": ("responses", {"type": "response.incomplete", "response": {}}, (2, 1, "content"), True),
    "responses-begun": ("responses", {"type": "response.in_progress", "response": {}}, (2, 1, "content"), False),
    "responses-no-type": ("responses", {"type": 7}, (2, 1, "content"), False),
}


@pytest.mark.parametrize(("surface", "data", "channel", "expected"), ENDS.values(), ids=ENDS)
def test_ends(surface: str, data: Json, channel: tuple[int | str, ...], expected: bool) -> None:
    assert event_of(surface, data).ends(channel) is expected


@pytest.mark.parametrize("surface", DIALECTS)
def test_every_running_text_of_a_stream_ends(surface: str) -> None:
    running: set[Any] = set()
    for data in DIALECTS[surface].events(ALL):
        if isinstance(data, dict):
            event = event_of(surface, data)
            running |= {text.channel for text in event.texts() if not text.is_whole}
            running = {channel for channel in running if not event.ends(channel)}
    assert running == set()

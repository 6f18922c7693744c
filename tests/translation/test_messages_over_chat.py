"""A Messages exchange over chat as a whole: names of fields, token counting, and streams that say what replies say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.translation import Losses
from chatproxy.translation.messages.over_chat import MessagesOverChat

from .messages_events import REQUEST, USAGE, Event, assembled, chunk, piece, streamed, usage_chunk

MESSAGES = [{"role": "user", "content": "a"}]


@pytest.mark.parametrize(
    ("chat_name", "client_name"),
    [
        ("max_tokens", "max_tokens"),
        ("max_completion_tokens", "max_tokens"),
        ("stop", "stop_sequences"),
        ("user", "metadata.user_id"),
        ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
        ("response_format.json_schema.schema", "output_format"),
        ("reasoning_effort", "thinking.budget_tokens"),
        ("temperature", "temperature"),
        ("messages[0].content", "system"),
        ("messages[1]", "messages[0]"),
        ("messages[3].tool_call_id", "messages[2]"),
        ("messages[9]", "messages"),
        ("choices[0].message", "content"),
        ("messages", "messages"),
    ],
)
def test_a_field_the_handler_names_is_named_in_the_clients_words(chat_name: str, client_name: str) -> None:
    translation = MessagesOverChat(Losses())
    translation.request(
        {
            "max_tokens": 1,
            "system": "Be nice.",
            "messages": [
                *MESSAGES,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t"}, {"type": "text", "text": "b"}],
                },
            ],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_format": {"type": "json_schema", "schema": {}},
        }
    )
    assert translation.param(chat_name) == client_name


def test_effort_is_named_as_the_client_gave_it() -> None:
    translation = MessagesOverChat(Losses())
    translation.request({"max_tokens": 1, "messages": MESSAGES, "output_config": {"effort": "max"}})

    assert translation.param("reasoning_effort") == "output_config.effort"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
INPUTS = st.dictionaries(st.text(max_size=4), st.one_of(st.integers(-9, 9), st.text(max_size=6), st.none()), max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """A chat message with reasoning, text, refusal and calls, any of them empty."""
    entries = [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": draw(st.sampled_from("fgh")), "arguments": json.dumps(draw(INPUTS))},
        }
        for i in range(draw(st.integers(0, 3)))
    ]
    return {
        "reasoning_content": draw(TEXTS),
        "content": draw(TEXTS),
        "refusal": draw(st.one_of(st.none(), st.none(), TEXTS)),
        "tool_calls": entries,
    }


@st.composite
def cut(draw: st.DrawFn, answer: dict[str, Any]) -> list[Event]:
    """The answer as chunks: texts cut anywhere, calls interleaved, neighbours sometimes in one chunk."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for key in ("reasoning_content", "content", "refusal"):
        deltas += [{key: part} for part in draw(pieces(answer[key] or ""))]
    lanes = []
    for i, entry in enumerate(answer["tool_calls"]):
        function = entry["function"]
        first = piece(i, name=function["name"], identity=entry["id"])
        lanes.append([first, *[piece(i, part) for part in draw(pieces(function["arguments"]))]])
    begun = 0
    while any(lanes):
        waiting = [i for i, lane in enumerate(lanes) if lane and i <= begun]
        lane = draw(st.sampled_from(waiting))
        begun = max(begun, lane + 1)
        deltas.append({"tool_calls": [lanes[lane].pop(0)]})
    joined = deltas[:1]
    for delta in deltas[1:]:
        if joined[-1].keys().isdisjoint(delta) and "tool_calls" not in joined[-1] and draw(st.booleans()):
            joined[-1] = {**joined[-1], **delta}
        else:
            joined.append(delta)
    return [chunk(delta) for delta in joined]


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[begin:end] for begin, end in zip([0, *at], [*at, len(text)], strict=True)]


@given(st.data(), answers(), st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
def test_a_stream_says_what_the_reply_says(data: st.DataObject, answer: dict[str, Any], finish: str) -> None:
    translation = MessagesOverChat(Losses())
    translation.request(REQUEST)
    choice = {"index": 0, "message": {"role": "assistant", **answer}, "finish_reason": finish}
    reply = translation.reply({"id": "msg_1", "model": "m", "choices": [choice], "usage": USAGE})

    batches, lost = streamed(*data.draw(cut(answer)), chunk({}, finish), usage_chunk())

    assert {**assembled(batches), "id": "msg_1"} == reply
    assert lost == []

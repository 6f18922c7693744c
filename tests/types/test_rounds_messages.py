"""Rounds of a tool loop on messages: one message for the client, whole turns for the model."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.types import ChatResponse, StreamEvent
from chatproxy.types.messages import MESSAGES
from chatproxy.types.rounds import Rounds

from .messages_rounds import (
    JOINED,
    ROUNDS,
    assembled,
    call,
    events_of,
    hides,
    said,
    streamed,
    taken,
    text,
    thinking,
    whole,
)

Json = dict[str, Any]
SLICES = [1, 3, 1000]
HEAD: Json = {"type": "message", "role": "assistant", "model": "m", "stop_sequence": None}


@pytest.mark.parametrize("size", SLICES)
def test_rounds_are_one_message_streamed_and_whole(size: int) -> None:
    out, turns = streamed(ROUNDS, size)
    assert assembled(out) == whole(ROUNDS)[0] == JOINED
    assert [turn["content"] for turn in turns] == [body["content"] for body in ROUNDS]
    assert [turn["content"] for turn in whole(ROUNDS)[1]] == [body["content"] for body in ROUNDS]


def kinds(events: list[StreamEvent]) -> list[str]:
    return [event.data["type"] for event in events]


def test_one_beginning_and_one_end_also_where_the_first_round_shows_nothing() -> None:
    out, _ = streamed([said(1, call("a", "own__x"), stop="tool_use", output_tokens=1), said(2, text("x"))], 1000)
    assert kinds(out) == [
        "message_start", "ping", "ping", "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert [event.name for event in out] == kinds(out)


def test_a_single_round_keeps_its_bytes() -> None:
    frames = [
        b'event: %b\ndata: { "x" : 1e2, %b\n\n' % (event["type"].encode(), msgspec.json.encode(event)[1:])
        for event in events_of(said(1, text("Hello"), call("e", "theirs"), stop="tool_use", output_tokens=7))
    ]

    async def run() -> tuple[list[StreamEvent], list[StreamEvent]]:
        rounds = Rounds(MESSAGES, hides=hides)
        return await taken(rounds, frames), rounds.end()

    out, end = asyncio.run(run())
    assert [event.encode() for event in out] == frames[:-2]
    assert [event.data for event in end] == [StreamEvent(frame, MESSAGES).data for frame in frames[-2:]]


BLOCKS = st.one_of(
    st.builds(text, st.text(max_size=9)),
    st.builds(thinking, st.text(max_size=9)),
    st.builds(call, st.uuids().map(str), st.sampled_from(["own__secret", "theirs"]), word=st.text(max_size=5)),
)
COUNTS = st.fixed_dictionaries(
    {"input_tokens": st.integers(1, 99), "output_tokens": st.integers(2, 99)},
    optional={"cache_creation": st.fixed_dictionaries({"ephemeral_5m_input_tokens": st.integers(1, 9)})},
)
BODIES = st.lists(st.tuples(st.lists(BLOCKS, max_size=4), COUNTS), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(BODIES, st.integers(1, 9), st.sampled_from([None, "length", "stop"]))
def test_any_rounds_are_the_same_streamed_and_whole(rounds: list[Any], size: int, finish: str | None) -> None:
    bodies = [said(i, *blocks, stop="tool_use", **counts) for i, (blocks, counts) in enumerate(rounds)]
    out, turns = streamed(bodies, size, finish)
    message = whole(bodies, finish)[0]
    assert assembled(out) == message
    begun = [event.data["index"] for event in out if event.data["type"] == "content_block_start"]
    assert begun == list(range(len(message["content"])))
    assert b"own__" not in b"".join(event.encode() for event in out)
    sums = {key: sum(body["usage"][key] for body in bodies) for key in ("input_tokens", "output_tokens")}
    assert message["usage"].items() >= sums.items()
    kept = [[b for b in body["content"] if b.get("text", "x").strip()] for body in bodies]
    assert [turn["content"] for turn in turns] == kept


@pytest.mark.parametrize(
    ("blocks", "own", "finish", "reason"),
    [
        ([call("a", "own__x")], "tool_use", None, "end_turn"),
        ([call("a", "own__x")], "tool_use", "tool_calls", "tool_use"),
        ([call("a", "own__x"), call("b", "theirs")], "tool_use", None, "tool_use"),
        ([text("x")], "max_tokens", None, "max_tokens"),
        ([text("x")], "pause_turn", None, "pause_turn"),
        ([text("x")], "end_turn", "length", "max_tokens"),
        ([text("x")], "model_context_window_exceeded", "length", "model_context_window_exceeded"),
        ([text("x")], "refusal", "stop", "end_turn"),
        ([text("x")], "end_turn", "content_filter", "refusal"),
        ([text("x")], "tool_use", None, "tool_use"),
        ([text("x")], None, "stop", "end_turn"),
    ],
)
@pytest.mark.parametrize("before", [[], [said(0, text("w"), stop="tool_use")]], ids=["alone", "second"])
def test_the_end_says_why(before: list[Json], blocks: list[Json], own: Any, finish: str | None, reason: str) -> None:
    bodies = [*before, said(1, *blocks, stop=own, output_tokens=3)]
    for message in (assembled(streamed(bodies, finish=finish)[0]), whole(bodies, finish)[0]):
        assert message["stop_reason"] == reason
        assert message["usage"] == {"output_tokens": 3}


@pytest.mark.parametrize("later", [0, None])
def test_counts_that_the_last_event_does_not_say_again_stay(later: Any) -> None:
    events = list(events_of(said(1, text("x"), input_tokens=4, output_tokens=3)))
    events[-2]["usage"]["input_tokens"] = later

    async def run() -> list[StreamEvent]:
        rounds = Rounds(MESSAGES, hides=hides)
        await taken(rounds, events)
        rounds.go_on()
        return [*await taken(rounds, events), *rounds.end()]

    assert asyncio.run(run())[-2].data["usage"] == {"input_tokens": 8, "output_tokens": 6}


def test_no_counts_come_from_rounds_without_any() -> None:
    bodies = [said(1, text("x")), said(2, text("y"))]
    assert "usage" not in streamed(bodies)[0][-2].data
    assert whole([{**body, "usage": None} for body in bodies])[0]["usage"] is None


def test_what_is_said_again_is_what_a_strict_upstream_takes() -> None:
    calls = [call("", "own__x"), call("b", "own__x"), call("b", "own__x"), call("b", "theirs")]
    body = said(1, text(" \n"), text("x"), {**call("", "own__y"), "id": None}, *calls, stop="tool_use")
    for turn in (streamed([body])[1][0], whole([body])[1][0]):
        ids = [block["id"] for block in turn["content"][1:]]
        assert turn["content"][0] == text("x")
        assert ids[-1] == "b"
        assert len(set(ids)) == 5
        assert all(call_id for call_id in ids)


def test_an_input_that_is_cut_off_or_too_deep_shows_as_malformed() -> None:
    async def run(written: str) -> ChatResponse:
        rounds, body = Rounds(MESSAGES, hides=hides), said(1, call("a", "own__x"), stop="tool_use")
        for event in (events := list(events_of(body, 1000))):
            if event["type"] == "content_block_delta":
                event["delta"]["partial_json"] = written
        await taken(rounds, events)
        return rounds.turn()

    for written in ('{"q": ', '{"q":' * 1200 + "1" + "}" * 1200, "[" * 5000):
        (made,) = asyncio.run(run(written)).tool_calls
        assert (made.arguments, made.malformed) == ({}, written)
    assert asyncio.run(run("")).tool_calls[0].malformed is None


def test_blocks_of_the_beginning_count_as_any_other() -> None:
    first, second = (list(events_of(said(i, text("x"), stop="tool_use", output_tokens=2))) for i in (1, 2))
    for events in (first, second):
        events[0]["message"]["content"] = [text("begun"), call("a", "own__x")]
        for event in events[2:5]:
            event["index"] = 2
        more = [{"type": "text_delta", "text": "!"}, {"type": "input_json_delta", "partial_json": '{"secret":1}'}]
        deltas = [{"type": "content_block_delta", "index": i, "delta": delta} for i, delta in enumerate(more)]
        events[1:1] = deltas

    async def run() -> list[StreamEvent]:
        rounds = Rounds(MESSAGES, hides=hides)
        out = await taken(rounds, first)
        assert [block["type"] for block in rounds.turn()["content"]] == ["text", "tool_use", "text"]
        rounds.go_on()
        return [*out, *await taken(rounds, second), *rounds.end()]

    assert [block["text"] for block in assembled(asyncio.run(run()))["content"]] == ["begun!", "x"] * 2


WRONG = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**63) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "id", "name"]), inner),
    max_leaves=4,
)
KINDS = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "ping"]
HOSTILE = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | WRONG},
    optional=dict.fromkeys(["index", "delta", "content_block", "message", "usage"], WRONG),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(HOSTILE, max_size=6), min_size=1, max_size=3))
def test_events_of_any_shape_are_joined(streams: list[list[Json]]) -> None:
    async def run() -> None:
        rounds = Rounds(MESSAGES, hides=hides)
        for events in streams:
            made = [*events, {"type": "message_stop"}]
            await taken(rounds, [b"data: " + msgspec.json.encode(event) + b"\n\n" for event in made])
            assert isinstance(rounds.turn().tool_calls, list)
            rounds.go_on()
        for event in rounds.end("length"):
            assert event.encode()

    asyncio.run(run())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["content", "usage", "stop_reason"]), WRONG), min_size=1, max_size=3))
def test_answers_of_any_shape_are_joined(bodies: list[Json]) -> None:
    rounds = Rounds(MESSAGES, hides=hides)
    for body in bodies:
        rounds.add(ChatResponse(body, layout=MESSAGES))
        assert isinstance(rounds.turn().tool_calls, list)
        rounds.go_on()
    assert rounds.result("length").encode()

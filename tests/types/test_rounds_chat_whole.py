"""Whole replies of a tool loop's rounds on chat, and that their streams say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.types.chat_rounds import TWICE, USAGE, Exchange, Json, call, chunk, counted, hides, over, piece, said

from chatproxy.types import ChatResponse
from chatproxy.types.chat import CHAT
from chatproxy.types.rounds import Rounds

names = st.sampled_from(["own__a", "own__bcd", "their", "theirs"])
called = st.lists(st.tuples(names, st.text("{}x", max_size=4)), max_size=3)
rounds_said = st.lists(st.tuples(st.text("ab", max_size=5), st.text("r", max_size=2), called), min_size=1, max_size=4)


def cut(data: st.DataObject, text: str) -> list[str]:
    at = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=3))) if len(text) > 1 else []
    return [text[i:j] for i, j in zip([0, *at], [*at, len(text)], strict=True)]


def body_of(number: int, content: str, reasoning: str, calls: list[tuple[str, str]]) -> Json:
    message: Json = {"role": "assistant", "content": content or None, "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [call(name, text, f"{number}-{i}") for i, (name, text) in enumerate(calls)]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    return {**chunk(choice, number=number), "object": "chat.completion", "usage": USAGE}


def stream_of(data: st.DataObject, number: int, body: Json) -> list[Json]:
    """Any slicing of a completion: pieces of one text or call in order, those of several mixed."""
    message = body["choices"][0]["message"]
    lanes = [[said(number, content=part) for part in cut(data, message["content"] or "")]]
    lanes.append(
        [said(number, reasoning_content=part) for part in cut(data, message.get("reasoning_content", "")) if part]
    )
    for i, made in enumerate(message.get("tool_calls", ())):
        function = made["function"]
        lane = [piece(i, name) for name in cut(data, function["name"])]
        lane[0] |= {"id": made["id"], "type": "function"}
        lane += [piece(i, arguments=part) for part in cut(data, function["arguments"])]
        lanes.append([said(number, tool_calls=[part]) for part in lane])
    events = [said(number, role="assistant", content="")]
    whole = [len(lane) for lane in lanes]
    while any(lanes):
        has_begun = [len(lane) < size for lane, size in zip(lanes, whole, strict=True)]
        ready = [i for i, lane in enumerate(lanes) if lane and all(has_begun[2:i])]
        events.append(lanes[data.draw(st.sampled_from(ready))].pop(0))
    return [*events, over(body["choices"][0]["finish_reason"], number), counted(number)]


def joined(bodies: list[Json], finish: str | None = None) -> Json:
    rounds = Rounds(CHAT, hides=hides)
    for number, body in enumerate(bodies):
        if number:
            rounds.go_on()
        rounds.add(ChatResponse(body))
    return rounds.result(finish).to_dict()


@settings(max_examples=120, deadline=None)
@given(rounds_said, st.sampled_from([None, "length"]), st.data())
def test_a_joined_stream_says_what_the_joined_replies_say(
    spoken: list[Any], finish: str | None, data: st.DataObject
) -> None:
    bodies = [body_of(number, *one) for number, one in enumerate(spoken)]
    exchange = Exchange(*(stream_of(data, number, body) for number, body in enumerate(bodies)), finish=finish)
    result, whole = joined(bodies, finish), exchange.whole
    empty = {"content": None, "reasoning_content": None, "tool_calls": None}
    of_stream, of_bodies = ({**empty, **{k: v for k, v in b["choices"][0]["message"].items() if v and k in empty}}
                            for b in (whole, result))  # fmt: skip
    assert of_stream == of_bodies
    assert of_bodies["content"] == ("\n\n".join(content for content, _, _ in spoken if content) or None)
    assert all(whole[key] == result[key] for key in ("id", "created", "model", "usage"))
    assert exchange.reasons == [result["choices"][0]["finish_reason"]]
    assert result["usage"]["prompt_tokens_details"] == {"cached_tokens": 4 * len(bodies)}
    shown = [part["index"] for delta in exchange.deltas for part in delta.get("tool_calls", ())]
    assert sorted(set(shown)) == list(range(len(of_bodies["tool_calls"] or ())))
    assert "own" not in json.dumps([exchange.out, result])
    assert sum("role" in delta for delta in exchange.deltas) == 1
    for turn, body in zip(exchange.turns, bodies, strict=True):
        message = {k: v for k, v in body["choices"][0]["message"].items() if v is not None or k == "content"}
        told = turn["choices"][0]["message"]
        assert {**told, "content": told["content"] or None} == with_arguments(message)


def with_arguments(message: Json) -> Json:
    """A message as a server takes it: arguments are never empty."""
    calls = [
        call(c["function"]["name"], c["function"]["arguments"] or "{}", c["id"]) for c in message.get("tool_calls", ())
    ]
    return {**message, **({"tool_calls": calls} if calls else {})}


# ── whole replies ──


def spoken(number: int = 0, reason: str = "stop", **message: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {**chunk(choice, number=number), "object": "chat.completion"}


HIDING = spoken(reason="tool_calls", content=None, tool_calls=[call("own__a", '{"q":1}', "h")])


def test_one_reply_that_hides_nothing_is_itself() -> None:
    body = spoken(content="x", refusal=None, annotations=[], tool_calls=[call("theirs")], odd={"a": [1]})
    body |= {"usage": {**USAGE, "odd": None}, "system_fingerprint": None, "odd": [1]}
    body["choices"][0] |= {"logprobs": {"content": [1]}, "odd": 1}
    assert joined([body]) == body


def test_whole_replies_are_joined() -> None:
    first = spoken(0, "tool_calls", content="a", refusal=None, reasoning="r", annotations=[1])
    first["choices"][0]["message"]["tool_calls"] = [call("own__a"), {**call("theirs", call_id="t"), "index": 1}]
    second = spoken(1, content="b", reasoning="s", annotations=[2], audio={"id": "u"})
    for body, usage in ((first, USAGE), (second, USAGE)):
        body |= {"usage": usage, "system_fingerprint": f"f{body['id']}"}
        body["choices"][0]["logprobs"] = {"content": [body["id"]], "refusal": None}
    before = json.dumps([first, second])
    message = {
        "role": "assistant", "content": "a\n\nb", "refusal": None, "reasoning": "rs", "annotations": [1, 2],
        "audio": {"id": "u"}, "tool_calls": [{**call("theirs", call_id="t"), "index": 0}],
    }  # fmt: skip
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": second["choices"][0]["logprobs"]}
    assert joined([first, second]) == {**first, "choices": [choice], "usage": TWICE}
    assert json.dumps([first, second]) == before


@pytest.mark.parametrize(("finish", "reason"), [(None, "stop"), ("length", "length"), ("tool_calls", "tool_calls")])
def test_a_reply_of_hidden_calls_only_asks_for_no_calls(finish: str | None, reason: str) -> None:
    choice = joined([HIDING], finish)["choices"][0]
    assert choice == {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": reason}


def test_content_in_parts_is_joined_part_by_part() -> None:
    parts = [{"type": "thinking", "thinking": []}]
    message = joined([spoken(content=parts), spoken(content="x"), spoken(content=parts)])["choices"][0]["message"]
    assert message["content"] == [*parts, {"type": "text", "text": "x"}, *parts]


def test_all_choices_are_joined_and_the_first_is_the_turn() -> None:
    def both(number: int) -> Json:
        choices = [spoken(number, content=f"{number}{i}")["choices"][0] | {"index": i} for i in (1, 0)]
        return chunk(*choices, number=number)

    result = joined([both(0), both(1)], "length")
    assert [choice["message"]["content"] for choice in result["choices"]] == ["00\n\n10", "01\n\n11"]
    assert [choice["finish_reason"] for choice in result["choices"]] == ["length", "stop"]


def test_a_turn_of_a_whole_reply_is_what_servers_take() -> None:
    made = {**call("own__a", "", "h"), "index": 0, "extra_content": {"a": 1}}
    body = spoken(content=None, refusal=None, annotations=[], audio=None, reasoning_content="r", tool_calls=[made])
    rounds = Rounds(CHAT, hides=hides)
    rounds.add(ChatResponse(body))
    assert rounds.turn().to_dict()["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "r",
        "tool_calls": [{**call("own__a", "{}", "h"), "extra_content": {"a": 1}}],
    }
    assert [made.id for made in rounds.turn().tool_calls] == ["h"]


# ── what no server should send ──

ODD: list[Any] = [
    None,
    5,
    "x",
    [],
    {},
    [None],
    [{}],
    {"function": 5},
    [{"function": {"name": ["own__a"]}}],
    True,
    2**70,
]
odd = st.sampled_from(ODD)
odd_parts = st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "index", "function", "type", "custom"), odd))
odd_deltas = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("role", "content", "reasoning", "reasoning_details", "function_call"), odd),
        "tool_calls": odd | st.lists(odd_parts | odd, max_size=3),
    },
)
odd_choices = st.fixed_dictionaries(
    {}, optional={"index": odd, "delta": odd | odd_deltas, "message": odd | odd_deltas, "finish_reason": odd}
)
odd_events = st.fixed_dictionaries(
    {"choices": odd | st.lists(odd | odd_choices, max_size=3)}, optional={"id": odd, "model": odd, "usage": odd}
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(odd_events, max_size=3), min_size=1, max_size=3))
def test_events_of_any_shape_are_survived(rounds: list[list[Json]]) -> None:
    streamed = CHAT.turns.joining(hides)
    for number, events in enumerate(rounds):
        if number:
            streamed.go_on()
        for event in events:
            before = json.dumps(event)
            streamed.take(event)
            assert json.dumps(event) == before
            whole = CHAT.turns.joining(hides)
            whole.add(event)
            ChatResponse(whole.turn()).encode()
            ChatResponse(whole.result(None)).encode()
            assert json.dumps(event) == before
        ChatResponse(streamed.turn()).encode()
    for event in streamed.end(None):
        ChatResponse(event).encode()


def test_thousands_of_calls_in_many_pieces_are_taken() -> None:
    begun = [said(tool_calls=[piece(i * 1_000_003, "own__a" if i % 2 else "theirs", id=f"c{i}")]) for i in range(3000)]
    rest = [said(tool_calls=[piece(i * 1_000_003, None, "{}")]) for i in reversed(range(3000))]
    exchange = Exchange([*begun, *rest, over("tool_calls"), counted()])
    assert [made["id"] for made in exchange.message["tool_calls"]] == [f"c{i}" for i in range(0, 3000, 2)]
    assert len(exchange.said_by_model()["tool_calls"]) == 3000

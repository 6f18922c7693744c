"""Streams of a tool loop's rounds on chat: one stream for the client, whole turns for the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.types.chat_rounds import TWICE, USAGE, Exchange, Json, call, chunk, counted, over, piece, said

BEGIN = said(role="assistant", content="")
HIDDEN = piece(0, "own__a", "", id="h", type="function")
TOOL_ROUND = [BEGIN, said(tool_calls=[HIDDEN]), said(tool_calls=[piece(0, arguments='{"q":1}')]), over("tool_calls")]


# ── streams ──


def test_the_first_round_goes_out_as_its_own_bytes() -> None:
    events = [
        BEGIN,
        said(reasoning_content="hm"),
        said(content="Hi"),
        said(tool_calls=[piece(0, "theirs", '{"a":', id="t", type="function")]),
        said(tool_calls=[piece(0, arguments="1}")]),
        said(),
    ]
    exchange = Exchange([*events, over("tool_calls"), counted()])
    assert exchange.out == [*events, over("tool_calls"), counted()]
    assert all(event.raw == event.encode() for event in exchange.events[:-2])


def test_several_rounds_are_one_answer() -> None:
    second = [said(1, role="assistant", content=""), said(1, content="So"), said(1, content="."), over("stop", 1)]
    exchange = Exchange([*TOOL_ROUND, counted()], [*second, counted(1)])
    assert exchange.out == [BEGIN, said(content="So"), said(content="."), {**over("stop", 1), **head(0)}, twice()]


def head(number: int) -> Json:
    return {key: value for key, value in chunk(number=number).items() if key != "choices"}


def twice() -> Json:
    return {**chunk(usage=TWICE)}


def test_texts_of_rounds_are_parted_by_a_blank_line() -> None:
    first = [BEGIN, said(content="One"), *TOOL_ROUND[1:]]
    third = [said(2, role="assistant", content=""), said(2, content=""), said(2, content="Two"), said(2, content="!")]
    exchange = Exchange(first, TOOL_ROUND, [*third, over("stop", 2)])
    assert [delta.get("content") for delta in exchange.deltas] == ["", "One", "\n\nTwo", "!", None]


def test_reasoning_goes_out_in_every_round_without_a_parting() -> None:
    first = [said(role="assistant", reasoning="a"), *TOOL_ROUND[1:]]
    exchange = Exchange(first, [said(1, reasoning="b"), said(1, reasoning_content="c"), over("stop", 1, content="x")])
    message = exchange.message
    assert (message["reasoning"], message["reasoning_content"], message["content"]) == ("ab", "c", "x")


SLICED = {
    "whole": [[piece(0, "own__a", "{}", id="h"), piece(1, "theirs", "{}", id="t")]],
    "the name after the id": [[piece(0, id="h")], [piece(0, "own__a")], [piece(0, arguments="{}")], [
        piece(1, id="t")], [piece(1, "theirs")], [piece(1, arguments="{}")]],
    "the name in pieces": [[piece(0, "own", "", id="h")], [piece(0, "__a", "")], [piece(0, None, "{}")], [
        piece(1, "the", "", id="t")], [piece(1, "irs")], [piece(1, None, "{}")]],
    "interleaved": [[piece(0, "own", "", id="h"), piece(1, "the", id="t")], [piece(1, "irs", "{")], [
        piece(0, "__a", "{")], [piece(1, arguments="}")], [piece(0, arguments="}")]],
    "the client's first": [[piece(0, "theirs", id="t")], [piece(0, arguments="{}"), piece(1, "own__a", "{}", id="h")]],
    "huge indexes": [[piece(2**31, "own__a", "{}", id="h")], [piece(2**62, "theirs", "{}", id="t")]],
    "one index for all": [[piece(0, "own__a", "{}", id="h")], [piece(0, "theirs", "{}", id="t")]],
    "no index": [[{"id": "h", "function": {"name": "own__a", "arguments": "{}"}}], [
        {"id": "t", "function": {"name": "theirs", "arguments": "{}"}}]],
    "an id for each piece": [[piece(0, "own__a", id="h")], [piece(0, arguments="{}", id="h2")], [
        piece(1, "theirs", id="t")], [piece(1, arguments="{}", id="t")]],
    "text between": [[piece(0, "own__", id="h")], None, [piece(0, "a")], [piece(0, None, "{}")], [
        piece(1, "theirs", "{}", id="t")]],
}  # fmt: skip


@pytest.mark.parametrize("at_finish", [False, True])
@pytest.mark.parametrize("slices", SLICED.values(), ids=SLICED)
def test_hidden_calls_stay_behind_however_they_are_sliced(slices: list[Any], *, at_finish: bool) -> None:
    events = [said(content="-") if parts is None else said(tool_calls=parts) for parts in slices]
    if at_finish:
        events[-1]["choices"][0]["finish_reason"] = "tool_calls"
    else:
        events.append(over("tool_calls"))
    exchange = Exchange([BEGIN, *events])
    assert exchange.message["tool_calls"] == [call("theirs", call_id="t")]
    assert sorted(exchange.said_by_model()["tool_calls"], key=lambda made: made["id"]) == [
        call("own__a", call_id="h"), call("theirs", call_id="t"),
    ]  # fmt: skip
    assert exchange.reasons == ["tool_calls"]
    pieces = [part for delta in exchange.deltas for part in delta.get("tool_calls", ())]
    assert {part["index"] for part in pieces} == {0}
    assert "own" not in json.dumps(exchange.out)


def test_pieces_that_waited_for_each_other_go_out_as_one() -> None:
    waiting = [said(tool_calls=[piece(0, "the", "", id="t")]), said(tool_calls=[piece(0, "irs")])]
    exchange = Exchange([BEGIN, *waiting, said(tool_calls=[piece(0, None, "{", id="t")]), over("tool_calls")])
    assert exchange.deltas[1:] == [{"tool_calls": [piece(0, "theirs", "{", id="t")]}, {}]


def test_a_call_without_arguments_goes_out_with_the_end() -> None:
    exchange = Exchange([BEGIN, said(tool_calls=[piece(0, "theirs", "", id="t")]), over("tool_calls")])
    assert exchange.message["tool_calls"] == [call("theirs", "", "t")]


def test_a_call_of_a_stream_without_an_end_is_not_lost() -> None:
    first = [BEGIN, said(tool_calls=[piece(0, "theirs", "", id="t")])]
    assert Exchange(first).message["tool_calls"] == [call("theirs", "", "t")]
    exchange = Exchange(first, [said(1, content="x"), over("stop", 1)])
    assert exchange.message["tool_calls"] == [call("theirs", "", "t")]


def test_calls_of_later_rounds_are_numbered_on() -> None:
    first = [BEGIN, said(tool_calls=[piece(0, "t1", "{}", id="1"), piece(1, "own__a", "{}", id="h")])]
    second = [said(1, tool_calls=[piece(0, "own__a", "{}", id="h2"), piece(1, "t2", "{}", id="2")])]
    exchange = Exchange([*first, over("tool_calls")], [*second, over("tool_calls", 1)])
    assert exchange.message["tool_calls"] == [call("t1", call_id="1"), call("t2", call_id="2")]


def test_a_round_of_hidden_calls_only_still_begins_the_answer_once() -> None:
    first = [said(role="assistant", content=None, tool_calls=[piece(0, "own__a", "{", id="h")])]
    first += [said(role="assistant", content=None, tool_calls=[piece(0, arguments="}")]), over("tool_calls")]
    exchange = Exchange(first, [said(1, role="assistant", content="x"), over("stop", 1, role="assistant")])
    assert exchange.deltas == [{"role": "assistant", "content": None}, {"content": "x"}, {}]


def test_calls_of_other_kinds_are_the_clients() -> None:
    custom = {"index": 1, "id": "c", "type": "custom", "custom": {"name": "own__b", "input": "x"}}
    parts = [piece(0, "own__a", "{}", id="h"), custom]
    exchange = Exchange([said(tool_calls=parts), said(function_call={"name": "own__c"}), over("function_call")])
    assert exchange.message["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "own__b", "input": "x"}}]
    assert exchange.message["function_call"] == {"name": "own__c"}
    assert exchange.reasons == ["function_call"]


def test_log_probabilities_of_hidden_calls_stay_behind() -> None:
    event = said(content="x", tool_calls=[piece(0, "own__a", "{}", id="h")])
    event["choices"][0]["logprobs"] = {"content": [{"token": "own__a"}]}
    assert Exchange([event, over("tool_calls")]).out[0]["choices"][0]["logprobs"] is None


# ── how they end ──


@pytest.mark.parametrize(
    ("finish", "reason"), [(None, "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("stop", "stop")]
)
def test_the_end_says_the_reason_that_the_client_needs(finish: str | None, reason: str) -> None:
    assert Exchange(TOOL_ROUND, finish=finish).reasons == [reason]
    assert Exchange([BEGIN, said(content="x"), over("stop")], finish=finish).reasons == [reason]


def test_what_is_said_with_the_finish_goes_out_before_it() -> None:
    event = over("stop", content="x")
    event["choices"][0] |= {"logprobs": {"content": []}, "stop_reason": 7}
    exchange = Exchange([BEGIN, event])
    assert exchange.out[1]["choices"] == [
        {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": []}, "finish_reason": None}
    ]
    assert exchange.out[2]["choices"] == [
        {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop", "stop_reason": 7}
    ]


def at_finish(number: int) -> list[Json]:
    return [said(number, content="x"), {**over("stop", number), "usage": USAGE}]


def beside(number: int) -> list[Json]:
    return [said(number, content="x"), {**over("stop", number), "usage": None}, counted(number)]


def with_silent_choice(number: int) -> list[Json]:
    return [said(number, role="assistant", content="x"), over("stop", number),
            {**said(number, role="assistant", content=""), "usage": USAGE}]  # fmt: skip


def all_along(number: int) -> list[Json]:
    return [{**said(number, content="x"), "usage": {"prompt_tokens": 10}}, *at_finish(number)]


def none(number: int) -> list[Json]:
    return [said(number, content="x"), over("stop", number)]


@pytest.mark.parametrize(
    ("first", "second", "where", "total"),
    [
        (at_finish, at_finish, [-1], TWICE),
        (beside, beside, [-1], TWICE),
        (beside, at_finish, [-1], TWICE),
        (at_finish, beside, [-1], TWICE),
        (at_finish, none, [-1], USAGE),
        (beside, none, [-1], USAGE),
        (none, beside, [-1], USAGE),
        (none, none, [], None),
        (with_silent_choice, with_silent_choice, [-1], TWICE),
        (all_along, all_along, [-5, -3, -1], TWICE),
    ],
)
def test_token_counts_are_summed_where_the_stream_has_them(first: Any, second: Any, where: Any, total: Any) -> None:
    out = Exchange(first(0), second(1)).out
    assert [i - len(out) for i, event in enumerate(out) if event.get("usage")] == where
    assert (out[-1].get("usage") or None) == total


def test_running_token_counts_go_on_from_the_earlier_rounds() -> None:
    out = Exchange(all_along(0), all_along(1)).out
    assert [event["usage"]["prompt_tokens"] for event in out if event.get("usage")] == [10, 20, 20]


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        ({"a": 1}, {"a": 2, "b": {"c": 3}}, {"a": 3, "b": {"c": 3}}),
        ({"a": None, "cost": 0.5}, {"a": 2, "cost": 1}, {"a": 2, "cost": 1.5}),
        ({"a": 1, "b": {"c": 1}}, {"a": None, "b": None}, {"a": 1, "b": {"c": 1}}),
        ({"a": True, "b": "x"}, {"a": True, "b": "y"}, {"a": True, "b": "y"}),
        ({"a": 10**400, "b": 1e308}, {"a": 0.5, "b": 1e308}, {"a": 0.5, "b": 1e308}),
        ({"a": [1]}, {"a": [2]}, {"a": [1, 2]}),
    ],
)
def test_every_number_of_the_token_counts_is_summed(one: Json, other: Json, total: Json) -> None:
    exchange = Exchange([said(content="x"), over("stop"), counted(**one)], [over("stop", 1), counted(1, **other)])
    assert exchange.out[-1]["usage"] == total


# ── several choices ──


def test_choices_are_joined_one_by_one() -> None:
    first = [said(index=i, role="assistant", content=f"a{i}") for i in (0, 1)]
    first += [said(index=i, tool_calls=[piece(0, "own__a", "{}", id="h")]) for i in (0, 1)]
    first += [over("tool_calls", index=1), over("tool_calls")]
    second = [said(1, index=i, content=f"b{i}") for i in (1, 0)]
    second += [chunk(*({"index": i, "delta": {}, "finish_reason": "stop"} for i in (0, 1)), number=1)]
    exchange = Exchange(first, second, finish="length")
    assert [choice["message"]["content"] for choice in exchange.whole["choices"]] == ["a0\n\nb0", "a1\n\nb1"]
    assert exchange.reasons == ["length", "stop"]
    assert [choice["message"]["tool_calls"][0]["id"] for choice in exchange.turns[0]["choices"]] == ["h", "h"]


def test_a_choice_that_later_rounds_lack_keeps_its_end() -> None:
    first = [*TOOL_ROUND, said(index=1, content="y"), over("stop", index=1)]
    exchange = Exchange(first, [said(1, content="x"), over("stop", 1)])
    assert exchange.reasons == ["stop", "stop"]


# ── what the model is told again ──


def test_a_turn_has_all_that_the_model_said() -> None:
    signed = piece(0, "own__a", "", id="h", type="function", extra_content={"google": {"thought_signature": "s"}})
    details = [{"type": "reasoning.text", "index": 0, "text": "a"}, {"type": "reasoning.text", "index": 0, "text": "b"}]
    sealed = {"type": "reasoning.encrypted", "index": 0, "data": "z", "id": "h"}
    turn = Exchange([
        said(role="assistant", content="", refusal=None, annotations=[], reasoning_content="r"),
        said(reasoning_details=details[:1]), said(reasoning_details=details[1:]), said(reasoning_details=[sealed]),
        said(content="Hi", annotations=[{"type": "url_citation"}]), said(annotations=[{"type": "url_citation"}]),
        said(tool_calls=[signed]), said(tool_calls=[piece(0, arguments="{}")]), over("tool_calls"), counted(),
    ]).turns[0]  # fmt: skip
    assert turn["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "r",
        "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "ab"}, sealed],
        "annotations": [{"type": "url_citation"}, {"type": "url_citation"}],
        "tool_calls": [
            {**call("own__a", "{}", "h"), "extra_content": {"google": {"thought_signature": "s"}}},
        ],
    }
    assert turn["choices"][0]["finish_reason"] == "tool_calls"
    assert turn["usage"] == USAGE


def test_hidden_calls_always_have_ids_of_their_own() -> None:
    parts = [piece(i, "own__a", "", **fields) for i, fields in enumerate(({}, {"id": ""}, {"id": "t"}, {"id": "t"}))]
    calls = Exchange([said(tool_calls=parts), over("tool_calls")]).said_by_model()["tool_calls"]
    assert len({made["id"] for made in calls} - {""}) == 4
    assert {made["function"]["arguments"] for made in calls} == {"{}"}

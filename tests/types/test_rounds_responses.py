"""Rounds of a tool loop on Responses: several answers as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import zip_longest
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.sse import FrameSplitter, encode_frame, frame_data
from chatproxy.types import ChatResponse, Stream
from chatproxy.types.assembly import assembly_for
from chatproxy.types.responses import RESPONSES
from chatproxy.types.rounds import Rounds

Json = dict[str, Any]
HIDDEN = "gw__secret"
LAST = "response.completed"


def text(said: str, own_id: str = "msg_0") -> Json:
    part = {"type": "output_text", "text": said, "annotations": []}
    return {"id": own_id, "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def thought(own_id: str = "rs_0") -> Json:
    return {"id": own_id, "type": "reasoning", "summary": [], "encrypted_content": "opaque"}


def call(call_id: str, name: str = HIDDEN, arguments: str = '{"hush":1}') -> Json:
    made = {"id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments}
    return {"type": "function_call", **made, "status": "completed"}


def usage(prompt: int, completion: int, cached: int = 0) -> Json:
    details = {"input_tokens_details": {"cached_tokens": cached}, "output_tokens_details": {"reasoning_tokens": 1}}
    return {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion, **details}


def whole(output: list[Json], *, number: int = 1, **fields: Any) -> Json:
    head = {"id": f"resp_{number}", "object": "response", "created_at": 100 + number, "model": f"m-{number}"}
    return {**head, "status": "completed", "incomplete_details": None, "output": output, "usage": None, **fields}


def pieces(item: Json, index: int) -> list[Json]:
    """The events between an item's beginning and its end."""
    place: Json = {"item_id": item["id"], "output_index": index}
    if item["type"] == "function_call":
        stem = "response.function_call_arguments"
        deltas = [{"type": f"{stem}.delta", **place, "delta": piece} for piece in item["arguments"]]
        return [*deltas, {"type": f"{stem}.done", **place, "arguments": item["arguments"]}]
    if item["type"] == "message":
        part, place = item["content"][0], {**place, "content_index": 0}
        deltas = [{"type": "response.output_text.delta", **place, "delta": letter} for letter in part["text"]]
        begun = {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
        done = {"type": "response.output_text.done", **place, "text": part["text"]}
        return [begun, *deltas, done, {"type": "response.content_part.done", **place, "part": part}]
    return []


def told(item: Json, index: int) -> list[Json]:
    """All events of an item."""
    empty: Json = {"message": {"content": []}, "function_call": {"arguments": ""}, "reasoning": {}}
    begun = {"type": "response.output_item.added", "output_index": index, "item": {**item, **empty[item["type"]]}}
    return [begun, *pieces(item, index), {"type": "response.output_item.done", "output_index": index, "item": item}]


def numbered(events: Iterable[Json]) -> list[Json]:
    return [{**event, "sequence_number": i} for i, event in enumerate(events)]


def streamed(response: Json, *, middle: list[Json] | None = None, keeps_output: bool = True) -> list[Json]:
    """A response as events; ``middle`` in place of those of its items."""
    head = {**response, "output": [], "status": "in_progress", "usage": None}
    if middle is None:
        middle = [event for index, item in enumerate(response["output"]) for event in told(item, index)]
    begun = [{"type": f"response.{state}", "response": head} for state in ("created", "in_progress")]
    last = response if keeps_output else {**response, "output": []}
    return numbered([*begun, *middle, {"type": f"response.{response['status']}", "response": last}])


def frames(events: list[Json]) -> list[bytes]:
    return [encode_frame(msgspec.json.encode(event), event=event["type"]) for event in events]


class Loop:
    """What a tool loop does with its rounds, and what its client gets."""

    def __init__(self) -> None:
        self.rounds = Rounds(RESPONSES, hides=HIDDEN.__eq__)
        self.sent: list[bytes] = []

    async def hear(self, events: list[Json]) -> Loop:
        async def source() -> AsyncIterator[bytes]:
            for frame in frames(events):
                yield frame

        stream = Stream.of(source(), layout=RESPONSES)
        self.sent += [event.encode() async for event in self.rounds.streamed(stream)]
        return self

    def show(self, item: Json, *, is_done: bool = True) -> list[Json]:
        made = [event.encode() for event in self.rounds.show(item, is_done=is_done)]
        self.sent += made
        return [decoded(frame) for frame in made]

    def end(self, finish_reason: str | None = None) -> list[Json]:
        """All events that the client got."""
        self.sent += [event.encode() for event in self.rounds.end(finish_reason)]
        return [decoded(frame) for frame in self.sent]


def decoded(frame: bytes) -> Json:
    event: Json = msgspec.json.decode(frame_data(frame) or b"")
    assert FrameSplitter().feed(b":\n\n" + frame)[-1].startswith(f"event: {event['type']}\n".encode())
    return event


async def joined(*rounds: Json, finish_reason: str | None = None, order: Random | None = None) -> list[Json]:
    loop = Loop()
    for number, response in enumerate(rounds):
        if number:
            loop.rounds.go_on()
        middle = None if order is None else mixed(response["output"], order)
        await loop.hear(streamed(response, middle=middle))
    return loop.end(finish_reason)


def mixed(items: list[Json], order: Random) -> list[Json]:
    """The events of items that begin one after the other and go on at the same time."""
    waiting = [told(item, index) for index, item in reversed(list(enumerate(items)))]
    begun: list[list[Json]] = []
    made: list[Json] = []
    while waiting or begun:
        events = order.choice(begun) if begun and (not waiting or order.randrange(3)) else waiting.pop()
        made.append(events.pop(0))
        begun = [left for left in begun if left and left is not events] + ([events] if events else [])
    return made


def at_once(*rounds: Json, finish_reason: str | None = None) -> Json:
    made = Rounds(RESPONSES, hides=HIDDEN.__eq__)
    for number, response in enumerate(rounds):
        if number:
            made.go_on()
        made.add(ChatResponse(response, layout=RESPONSES))
    return made.result(finish_reason).to_dict()


def assert_is_one_stream(events: list[Json]) -> None:
    """What every client counts on: numbers and places without holes, one beginning, one end that says all again."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert not {"response.created", "response.in_progress"} & set(kinds[2:])
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == list(range(len(added)))
    ids = [event["item"]["id"] for event in added]
    assert len(set(ids)) == len(ids)
    for event in events:
        assert "item_id" not in event or event["item_id"] == ids[event["output_index"]]
    done = sorted((event["output_index"], i) for i, event in enumerate(events) if event["type"].endswith("item.done"))
    assert events[-1]["response"]["output"] == [events[i]["item"] for _, i in done]


async def test_a_round_with_nothing_to_hide_keeps_its_bytes_up_to_its_end() -> None:
    response = whole([thought(), text("Hello."), call("c1", "own")], usage=usage(3, 2))
    loop = await Loop().hear(streamed(response))
    assert loop.sent == frames(streamed(response))[:-1]
    assert loop.end() == streamed(response)


async def test_rounds_become_one_stream() -> None:
    first = whole([thought("rs_1"), text("One.", "msg_1"), call("c1"), call("c2")], usage=usage(10, 5, 4))
    own = call("c4", "own", "{}")
    second = whole([text("Two.", "msg_2"), call("c3"), own], number=2, usage=usage(20, 7, 8), extra={"a": 1})
    events = await joined(first, second)
    assert_is_one_stream(events)
    assert HIDDEN not in str(events)
    assert "hush" not in str(events)
    output = [thought("rs_1"), text("One.", "msg_1"), text("Two.", "msg_2"), own]
    sums = {**usage(30, 12, 12), "output_tokens_details": {"reasoning_tokens": 2}}
    after = {**second, "id": "resp_1", "created_at": 101, "model": "m-1", "output": output, "usage": sums}
    assert events[-1] == {"type": LAST, "response": after, "sequence_number": len(events) - 1}
    assert at_once(first, second) == after


@pytest.mark.parametrize("keeps_output", [True, False], ids=["output at the end", "output in its events only"])
async def test_the_model_s_turn_holds_what_the_client_does_not_get(keeps_output: bool) -> None:
    response = whole([thought(), call("c1"), text("Hi."), call("c2", "own")], extra=[1])
    loop = await Loop().hear(streamed(response, keeps_output=keeps_output))
    turn = loop.rounds.turn()
    assert turn.to_dict() == response
    assert [made.id for made in turn.tool_calls] == ["c1", "c2"]
    assert [item["type"] for item in loop.end()[-1]["response"]["output"]] == ["reasoning", "message", "function_call"]


async def test_a_first_round_of_hidden_calls_only_still_begins_the_answer_once() -> None:
    events = await joined(whole([call("c1")]), whole([text("Hi.")], number=2))
    assert_is_one_stream(events)
    assert events[0]["response"]["id"] == events[-1]["response"]["id"] == "resp_1"


async def test_ids_that_an_upstream_gives_again_in_the_next_round_are_told_apart() -> None:
    rounds = [whole([thought(), text("a"), call("c1")]), whole([thought(), text("b")]), whole([text("c")])]
    events = await joined(*rounds)
    assert_is_one_stream(events)
    assert events[-1]["response"] == at_once(*rounds)


def without(item: Json, *keys: str) -> Json:
    return {key: value for key, value in item.items() if key not in keys}


def as_servers_differ(hidden: Json, shown: Json) -> dict[str, list[Json]]:
    """The events of two calls."""
    one, other = told(hidden, 0), told(shown, 1)
    both = [*one, *other]
    nameless = [{**event, "item": without(event["item"], "name")} for event in (one[0], other[0])]
    unnamed = [{**event, "item": {**event["item"], "name": ""}} for event in (one[0], other[0])]
    named = [{**event, "name": item["name"]} for event, item in ((one[-2], hidden), (other[-2], shown))]
    no_ids = [without(event, "item_id") for event in both]
    return {
        "one after the other": both,
        "interleaved": [event for pair in zip_longest(one, other) for event in pair if event is not None],
        "the name at the end": [*nameless, *one[1:-1], *other[1:-1], other[-1], one[-1]],
        "the name with the arguments": [*unnamed, *one[1:-2], *other[1:-2], *named, one[-1], other[-1]],
        "no type at first": [{**one[0], "item": without(one[0]["item"], "type", "name")}, *one[1:], *other],
        "no beginning": [*one[1:], *other],
        "no ids": [{**event, "item": without(event["item"], "id")} if "item" in event else event for event in no_ids],
        "one place for all": [{**event, "output_index": 0} for event in both],
        "one id for all": [{**event, "item_id": "", "item": {**event.get("item", {}), "id": ""}} for event in both],
        "another id each time": [{**event, "item_id": f"x{i}"} for i, event in enumerate(both)],
        "no places": [without(event, "output_index") for event in both],
    }


OWN = call("c2", "own", '{"x": 1}')
SLICES = as_servers_differ(call("c1"), OWN)


@pytest.mark.parametrize("middle", SLICES.values(), ids=SLICES)
async def test_hidden_calls_stay_behind_however_they_are_told(middle: list[Json]) -> None:
    loop = await Loop().hear(streamed(whole([call("c1"), OWN]), middle=middle))
    events = loop.end()
    assert "hush" not in str(events)
    assert HIDDEN not in str(events)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    parts = [event for event in events if "arguments.d" in event["type"]]
    assert {event["output_index"] for event in parts} == {0}
    assert "".join(event.get("delta", "") for event in parts) == '{"x": 1}'
    assert [event["type"] for event in events].count("response.output_item.done") == 1
    assert events[-1]["response"]["output"] == [OWN]
    assert [made.id for made in loop.rounds.turn().tool_calls] == ["c1", "c2"]


async def test_a_call_that_never_gets_a_name_goes_out() -> None:
    nameless = without(call("c1"), "name")
    loop = await Loop().hear(streamed(whole([nameless]), middle=told(nameless, 0)[:-1]))
    kinds = [event["type"] for event in loop.end()[2:-1]]
    assert kinds[0] == "response.output_item.added"
    assert kinds[-1] == "response.function_call_arguments.done"


@pytest.mark.parametrize(
    ("finish_reason", "kind", "details"),
    [
        (None, "incomplete", {"reason": "content_filter"}),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
    ],
)
async def test_an_answer_ends_as_its_last_round_or_as_told(
    finish_reason: str | None, kind: str, details: Json | None
) -> None:
    last = whole([text("Hi.")], number=2, status="incomplete", incomplete_details={"reason": "content_filter"})
    rounds = [whole([call("c1")], usage=usage(1, 2)), last]
    events = await joined(*rounds, finish_reason=finish_reason)
    assert events[-1]["type"] == f"response.{kind}"
    assert events[-1]["response"]["status"] == kind
    assert events[-1]["response"]["incomplete_details"] == details
    assert events[-1]["response"]["usage"] == usage(1, 2)
    assert at_once(*rounds, finish_reason=finish_reason) == events[-1]["response"]


ITEMS = st.one_of(
    st.builds(text, st.text(max_size=8)),
    st.builds(thought),
    st.builds(call, st.just("call")),
    st.builds(call, st.just("call"), st.just("own"), st.text(max_size=4)),
)


def unlike(items: list[Json], number: int) -> list[Json]:
    """Items with ids of their own within a round, as upstreams give them; the next round may have them again."""
    calls = [{**item, "call_id": f"c{number}_{i}"} if "call_id" in item else item for i, item in enumerate(items)]
    return [{**item, "id": f"{item['type']}_{i}"} for i, item in enumerate(calls)]


OUTPUTS = st.lists(st.lists(ITEMS, max_size=4), min_size=1, max_size=4)


@given(OUTPUTS, st.lists(st.booleans(), min_size=4, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_any_rounds_are_one_stream_that_says_what_the_whole_answer_says(
    outputs: list[list[Json]], has_counts: list[bool], order: Random
) -> None:
    rounds = [
        whole(unlike(output, n), number=n, usage=usage(n, 2) if has_counts[n] else None)
        for n, output in enumerate(outputs)
    ]
    events = asyncio.run(joined(*rounds, order=order))
    assert_is_one_stream(events)
    assert HIDDEN not in str(events)
    result = at_once(*rounds)
    assert events[-1]["response"] == result
    assembly = assembly_for("responses")
    for event in events:
        assembly.add(event)
    assert assembly.result("m") == result
    counts = [said["usage"]["input_tokens"] for said in rounds if said["usage"]]
    assert result["usage"] is None if not counts else result["usage"]["input_tokens"] == sum(counts)


JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, -1, 1 << 31, 1 << 70, 0.5, "", HIDDEN, "x", "function_call"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "name"]), inner),
    max_leaves=4,
)
KINDS = st.sampled_from([
    "response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta",
    "response.function_call_arguments.delta", "response.function_call_arguments.done", LAST, "x",
])  # fmt: skip
FIELDS = ["output_index", "item_id", "item", "delta", "name", "sequence_number", "response", "usage"]


@given(st.lists(st.lists(st.tuples(KINDS, st.dictionaries(st.sampled_from(FIELDS), JSON)), max_size=8), max_size=3))
@settings(max_examples=100, deadline=None)
def test_events_of_any_shape_are_joined_without_failing(rounds: list[list[tuple[str, Json]]]) -> None:
    async def run() -> None:
        loop = Loop()
        for events in rounds:
            made = [{**fields, "type": kind} for kind, fields in events]
            await loop.hear([*made, {"type": LAST, "response": {"output": [fields for _, fields in events]}}])
            loop.rounds.turn()
            loop.show({"type": "mcp_call"})
            loop.rounds.go_on()
        loop.end("stop")

    asyncio.run(run())

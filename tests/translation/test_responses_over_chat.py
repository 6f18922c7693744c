"""Streamed or buffered, the same answer is the same Response."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

Json = dict[str, Any]
SOME_TEXT = st.text(max_size=12)
ANSWER = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
FIELDS = ("reasoning_content", "content", "refusal", "tool_calls")
WORDS = {"function": "arguments", "custom": "input"}
TEXTS = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}


@st.composite
def messages(draw: st.DrawFn) -> Json:
    calls = [
        {"id": f"c{i}", "type": kind, kind: {"name": f"tool{i}", WORDS[kind]: draw(SOME_TEXT)}}
        for i, kind in enumerate(draw(st.lists(st.sampled_from(sorted(WORDS)), max_size=3)))
    ]
    said = {key: draw(SOME_TEXT) for key in FIELDS[:-1] if draw(st.booleans())}
    return {"role": "assistant", **said, **({"tool_calls": calls} if calls else {})}


@st.composite
def cuts(draw: st.DrawFn, whole: str) -> list[str]:
    ends = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    return [whole[begin:end] for begin, end in zip([0, *ends], [*ends, len(whole)], strict=True)]


@st.composite
def deltas(draw: st.DrawFn, said: Json) -> list[Json]:
    """A message in pieces: calls interleaved, some pieces put together in one delta."""
    made = [{key: piece} for key in FIELDS[:-1] for piece in draw(cuts(said.get(key, "")))]
    waiting = []
    for i, call in enumerate(said.get("tool_calls", [])):
        kind, word = call["type"], WORDS[call["type"]]
        first, *others = draw(cuts(call[kind][word]))
        begin = {**call, "index": i, kind: {**call[kind], word: first}}
        waiting.append([begin, *({"index": i, kind: {word: piece}} for piece in others)])
    begun = 0
    while any(waiting):
        place = draw(st.sampled_from([i for i, left in enumerate(waiting) if left and i <= begun]))
        begun = max(begun, place + 1)
        made.append({"tool_calls": [waiting[place].pop(0)]})
    merged: list[Json] = [{"role": "assistant"}]
    for delta in made:
        last = merged[-1]
        (key,) = delta
        if not draw(st.booleans()):
            merged.append(delta)
        elif key == "tool_calls":
            merged[-1] = {**last, key: last.get(key, []) + delta[key]}
        elif any(later in last for later in FIELDS[FIELDS.index(key) :]):
            merged.append(delta)
        else:
            merged[-1] = {**last, **delta}
    return merged


@st.composite
def answers(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """A completion, and the chunks of the same answer."""
    said = draw(messages())
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
    usage = draw(st.sampled_from([None, USAGE]))
    head = {"id": "chatcmpl-1", "created": 1700000000, "model": "m-1", "system_fingerprint": "fp"}
    choice = {"index": 0, "message": said, "finish_reason": finish}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in draw(deltas(said))]
    if draw(st.booleans()):
        chunks[-1]["choices"][0]["finish_reason"] = finish
    else:
        chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage is not None:
        chunks.insert(draw(st.integers(0, len(chunks))), {**head, "choices": [], "usage": usage})
    return {**head, "choices": [choice], "usage": usage}, chunks


def begun() -> ResponsesOverChat:
    translation = ResponsesOverChat(Losses())
    translation.request({"model": "m", "input": "hello"})
    return translation


def without_chance(response: Json) -> Json:
    """The Response without its ids and the time of its end."""
    output = [{key: item for key, item in made.items() if key != "id"} for made in response["output"]]
    return {**response, "id": "", "completed_at": 0, "output": output}


def assembled(events: list[Json]) -> list[Json]:
    """The output as a client puts it together from the deltas, each event checked against those before it."""
    items: dict[int, Json] = {}
    said: dict[tuple[Any, ...], str] = {}
    for event in events:
        place, (name, _, step) = event.get("output_index"), event["type"].rpartition(".")
        if event["type"] == "response.output_item.added":
            assert place == len(items)
            items[place] = event["item"]
        elif event["type"] == "response.output_item.done":
            assert event["item"]["id"] == items[place]["id"]
            items[place] = event["item"]
        elif name in TEXTS:
            assert event["item_id"] == items[place]["id"]
            part = (name, place, event.get("content_index"))
            if step == "delta":
                said[part] = said.get(part, "") + event["delta"]
            else:
                assert event[TEXTS[name]] == said.pop(part, "")
    assert said == {}
    return list(items.values())


@given(answers())
def test_streamed_answer_is_the_buffered_one(answer: tuple[Json, list[Json]]) -> None:
    whole, chunks = answer
    translation = begun()
    events = [event for data in chunks for event in translation.event(data)] + translation.finish()
    last = events[-1]["response"]
    assert without_chance(last) == without_chance(begun().reply(whole))
    assert assembled(events) == last["output"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == f"response.{last['status']}"


@given(answers())
def test_text_in_any_order_arrives_whole(answer: tuple[Json, list[Json]]) -> None:
    whole, chunks = answer
    translation = begun()
    events = [event for data in reversed(chunks) for event in translation.event(data)] + translation.finish()
    assert assembled(events) == events[-1]["response"]["output"]
    for name, field in (("response.output_text.delta", "content"), ("response.refusal.delta", "refusal")):
        told = "".join(event["delta"] for event in events if event["type"] == name)
        assert sorted(told) == sorted(whole["choices"][0]["message"].get(field, ""))


def test_id_is_known_from_the_beginning_and_stays() -> None:
    translation = ResponsesOverChat(Losses())
    known = translation.response_id
    assert re.fullmatch(r"resp_[0-9a-f]{24}", known)
    translation.request({"model": "m", "input": "hello"})
    events = translation.event({"choices": []}) + translation.finish()
    assert {event["response"]["id"] for event in events if "response" in event} == {known}


@pytest.mark.parametrize(("store", "is_stored"), [(True, True), (False, False), (None, True)])
def test_client_says_whether_the_response_is_stored(store: bool | None, is_stored: bool) -> None:
    translation = ResponsesOverChat(Losses())
    translation.request({"model": "m", "input": "hello", "store": store})
    assert translation.is_stored is is_stored
    assert translation.reply(ANSWER)["store"] is is_stored


def test_gateway_says_what_the_response_shows_of_storage() -> None:
    translation = begun()
    translation.is_stored = False
    translation.previous_response_id = "resp_1"
    made = translation.reply(ANSWER)
    assert (made["store"], made["previous_response_id"]) == (False, "resp_1")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"choices": None, "usage": 5, "model": 7}, id="wrong-types"),
        pytest.param({"choices": [None, {"message": "hi"}]}, id="wrong-choices"),
    ],
)
def test_reply_without_an_answer_is_the_upstreams_fault(body: Json) -> None:
    with pytest.raises(UpstreamError) as caught:
        begun().reply(body)
    assert (caught.value.status, caught.value.code) == (502, "upstream_invalid_response")


def test_stream_of_wrong_shapes_still_is_a_response() -> None:
    body = {
        "choices": [None, {"message": {"content": 5, "tool_calls": ["x", {"function": 1}]}}],
        "usage": 5,
        "model": 7,
    }
    made = begun().reply(body)
    translation = begun()
    events = translation.event(body) + translation.finish()
    assert (made["status"], events[-1]["response"]["status"]) == ("completed", "completed")

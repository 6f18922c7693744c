"""What goes over another surface and back is what it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest
from chatproxy.translation import Losses, route_to

from .conversations import BODIES, CALM, FACTS, Conversation, asked, begun, conversations, facts, streamed
from .messages_events import assembled as assembled_message

Json = dict[str, Any]
PAIRS = [(client, handler) for client in BODIES for handler in BODIES if client != handler]


@pytest.mark.parametrize(("client", "handler"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
@CALM
@given(conversations())
def test_conversation_reaches_the_handler_and_comes_back_whole(client: str, handler: str, said: Conversation) -> None:
    body = BODIES[client](said)
    there = begun(client, handler).request(body)
    back = begun(handler, client).request(there)
    assert list(FACTS[handler](there)) == facts(said)
    assert list(FACTS[client](back)) == facts(said)


@CALM
@given(conversations())
def test_simple_conversation_loses_nothing(said: Conversation) -> None:
    for client, handler in PAIRS:
        losses = Losses()
        begun(client, handler, losses).request(BODIES[client](said))
        assert [loss for loss in losses.kept if loss.action == "dropped"] == []
        assert {loss.field for loss in losses.kept} <= {"max_completion_tokens", "max_output_tokens"}


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


@st.composite
def answers(draw: st.DrawFn) -> Json:
    """A chat message with what all surfaces can say."""
    said: Json = {"role": "assistant", "content": draw(st.one_of(st.just(""), WORDS))}
    if draw(st.booleans()):
        said["reasoning_content"] = draw(WORDS)
    calls = [
        {"id": f"call_{i}", "type": "function", "function": {"name": f"tool{i}", "arguments": json.dumps({"n": text})}}
        for i, text in enumerate(draw(st.lists(WORDS, max_size=3)))
    ]
    return {**said, **({"tool_calls": calls} if calls else {})}


def completion(said: Json, finish_reason: str) -> Json:
    choice = {"index": 0, "message": said, "finish_reason": finish_reason, "logprobs": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [choice],
        "usage": USAGE,
    }


def core(reply: Json) -> Json:
    """What of a chat completion must be the same."""
    (choice,) = reply["choices"]
    message = choice["message"]
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or []
    ]
    said = (message["content"] or "", message.get("reasoning_content") or "", calls)
    counts = reply["usage"]
    cached, thought = (
        counts["prompt_tokens_details"]["cached_tokens"],
        counts["completion_tokens_details"]["reasoning_tokens"],
    )
    usage = (counts["prompt_tokens"], counts["completion_tokens"], counts["total_tokens"], cached, thought)
    return {"said": said, "finish_reason": choice["finish_reason"], "usage": usage}


@st.composite
def chunks_of(draw: st.DrawFn, said: Json, finish_reason: str) -> list[Json]:
    """The answer as a stream: texts letter by letter, calls one piece each in turn."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{key: letter} for key in ("reasoning_content", "content") for letter in said.get(key, "")]
    calls = said.get("tool_calls", [])
    for i, call in enumerate(calls):
        deltas.append({"tool_calls": [{**call, "index": i, "function": {**call["function"], "arguments": ""}}]})
    queues = [[(i, letter) for letter in call["function"]["arguments"]] for i, call in enumerate(calls)]
    while any(queues):
        i, letter = draw(st.sampled_from([queue for queue in queues if queue])).pop(0)
        deltas.append({"tool_calls": [{"index": i, "function": {"arguments": letter}}]})
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    made = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    made.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    return [*made, {**head, "choices": [], "usage": USAGE}]


def assembled_chat(chunks: list[Json]) -> Json:
    message: Json = {"content": "", "reasoning_content": "", "tool_calls": []}
    finish_reason, usage = None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish_reason = choice["finish_reason"] or finish_reason
            for key, value in choice["delta"].items():
                if key in ("content", "reasoning_content"):
                    message[key] += value
            for piece in choice["delta"].get("tool_calls", []):
                if "id" in piece:
                    message["tool_calls"].append({"id": piece["id"], "function": dict(piece["function"])})
                else:
                    message["tool_calls"][piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return {"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage}


@pytest.mark.parametrize("surface", ["responses", "messages"])
@CALM
@given(st.data(), answers(), st.sampled_from(["stop", "length", "content_filter"]))
def test_answer_comes_through_two_translations_whole_or_streamed(
    surface: str, data: st.DataObject, said: Json, finish_reason: str
) -> None:
    if finish_reason == "stop" and "tool_calls" in said:
        finish_reason = "tool_calls"
    wanted = core(completion(said, finish_reason))

    there = asked(surface, "chat").reply(completion(said, finish_reason))
    assert core(asked("chat", surface).reply(there)) == wanted

    events = streamed(asked(surface, "chat"), data.draw(chunks_of(said, finish_reason)))
    assert core(assembled_chat(streamed(asked("chat", surface), events))) == wanted


SIGNED = [
    {"type": "thinking", "thinking": "one", "signature": ""},
    {"type": "thinking", "thinking": "two", "signature": "s2"},
    {"type": "redacted_thinking", "data": "xyz"},
]


def test_signed_reasoning_goes_to_a_responses_client_and_back_to_the_model() -> None:
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [*SIGNED, {"type": "text", "text": "a"}], "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    output = asked("responses", "messages").reply(message)["output"]
    asking = {"type": "message", "role": "user", "content": "and?"}
    back = begun("responses", "messages").request({"model": "m", "input": [*output, asking]})
    assert back["messages"][0]["content"] == [*SIGNED[1:], {"type": "text", "text": "a"}]


def test_encrypted_reasoning_goes_to_a_messages_client_and_back_to_the_model() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "gAAA",
    }
    text = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
    response = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [item, text]}
    message = asked("messages", "responses").reply(response)
    turns = [{"role": "assistant", "content": message["content"]}, {"role": "user", "content": "and?"}]
    back = begun("messages", "responses").request({"model": "m", "max_tokens": 1, "messages": turns})
    assert back["input"][0] == item


def test_unsigned_block_before_a_signed_one_stays_apart_in_a_stream_for_a_messages_client() -> None:
    begin = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}
    events = [begin]
    for i, encrypted in enumerate((None, "gAAA")):
        item = {"type": "reasoning", "id": f"rs_{i}", "summary": [{"type": "summary_text", "text": f"t{i}"}]}
        done = {**item, "encrypted_content": encrypted}
        events.append({"type": "response.output_item.added", "output_index": i, "item": {**item, "summary": []}})
        events.append({"type": "response.output_item.done", "output_index": i, "item": done})
    batches = [[event] for event in streamed(asked("messages", "responses"), events)]
    assert assembled_message(batches)["content"] == [
        {"type": "thinking", "thinking": "t0", "signature": ""},
        {"type": "thinking", "thinking": "t1", "signature": "rs_1:gAAA"},
    ]


SOUND = {"data": "AAAA", "format": "wav"}
CALL = {"type": "function_call", "call_id": "c", "name": "f"}


@pytest.mark.parametrize(
    ("client", "handler", "body", "param"),
    [
        ("messages", "responses", {"max_tokens": 1, "messages": [{"role": "user", "content": "a"}], "n": 2}, "n"),
        (
            "responses",
            "messages",
            {"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": SOUND}]}]},
            "input[0]",
        ),
        (
            "responses",
            "messages",
            {"input": [{"role": "user", "content": "a"}, {**CALL, "arguments": "["}]},
            "input[1]",
        ),
        ("completions", "messages", {"prompt": "a", "temperature": "hot"}, "temperature"),
    ],
    ids=["extension", "content", "arguments", "parameter"],
)  # fmt: skip
def test_refusal_behind_another_translation_names_the_clients_field(
    client: str, handler: str, body: Json, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        begun(client, handler).request(body)
    assert caught.value.param == param


def test_losses_behind_another_translation_name_the_clients_field() -> None:
    losses = Losses()
    translation = begun("messages", "responses", losses)
    translation.request({"max_tokens": 1, "messages": [{"role": "user", "content": "a"}], "stop_sequences": ["x"]})
    translation.reply({"output": [{"type": "web_search_call"}], "status": "completed"})
    assert [(loss.field, loss.action) for loss in losses.kept] == [
        ("stop_sequences", "dropped"),
        ("content", "dropped"),
        ("usage", "added"),
    ]


def test_no_way_leads_to_a_surface_that_is_not_known() -> None:
    assert route_to("chat", ("chat",)) is None
    assert route_to("embeddings", ("chat",)) is None
    assert route_to("chat", ("embeddings",)) is None


@pytest.mark.parametrize(
    ("client", "handler", "name", "wanted"),
    [
        ("messages", "responses", "max_output_tokens", "max_tokens"),
        ("responses", "messages", "stop_sequences", "stop"),
        ("completions", "responses", "input[0].content", "prompt"),
    ],
)
def test_error_behind_another_translation_names_the_clients_field(
    client: str, handler: str, name: str, wanted: str
) -> None:
    assert asked(client, handler).param(name) == wanted

"""What a chat client gets from a Messages handler."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Losses
from chatproxy.translation.chat.messages import ChatOverMessages

Json = dict[str, Any]


def message(*content: Json, **fields: Any) -> Json:
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content)}
    return {**base, "stop_reason": "end_turn", "stop_sequence": None, **fields}


def translation(losses: Losses, *, hub: bool = False) -> ChatOverMessages:
    made = ChatOverMessages(losses, hub=hub)
    tools = [{"type": "custom", "custom": {"name": "free"}}]
    made.request({"model": "asked", "messages": [{"role": "user", "content": "x"}], "tools": tools, "max_tokens": 1})
    losses.kept.clear()
    return made


def replied(*content: Json, hub: bool = False, **fields: Any) -> tuple[Json, list[tuple[str, str]]]:
    losses = Losses()
    reply = translation(losses, hub=hub).reply(message(*content, **fields))
    return reply, [(loss.field, loss.action) for loss in losses.kept]


def streamed(*events: Json) -> list[Json]:
    reading = translation(Losses())
    return [chunk for event in events for chunk in reading.event(event)] + reading.finish()


def start(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **said: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **said}}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def test_reply_has_chats_form() -> None:
    usage = {
        "input_tokens": 10, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2, "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 3}, "service_tier": "standard",
    }  # fmt: skip
    reply, lost = replied({"type": "text", "text": "Hello"}, usage=usage, extension=1, container={"id": "c"})
    assert reply.pop("id").startswith("chatcmpl-")
    assert reply.pop("created") > 1_700_000_000
    assert lost == [("container", "dropped")]
    assert reply == {
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 16,
            "completion_tokens": 5,
            "total_tokens": 21,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "service_tier": "default",
        "extension": 1,
    }


def function(call_id: str, arguments: str) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"content": "ab"}),
        ([], {"content": ""}),
        (
            [
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1, "ä"]}},
                {"type": "tool_use", "id": "t2", "name": "f", "input": {}},
            ],
            {"content": None, "tool_calls": [function("t1", '{"a":[1,"ä"]}'), function("t2", "{}")]},
        ),
        (
            [{"type": "tool_use", "id": "t", "name": "free", "input": {"input": "ls"}}],
            {"content": None, "tool_calls": [{"id": "t", "type": "custom", "custom": {"name": "free", "input": "ls"}}]},
        ),
        (
            [{"type": "tool_use", "id": "t", "name": "free", "input": {"other": 1}}],
            {
                "content": None,
                "tool_calls": [{"id": "t", "type": "custom", "custom": {"name": "free", "input": '{"other":1}'}}],
            },
        ),
        (
            [
                {"type": "thinking", "thinking": "a", "signature": ""},
                {"type": "thinking", "thinking": "b", "signature": ""},
                {"type": "text", "text": "c"},
            ],
            {"content": "c", "reasoning_content": "a\n\nb"},
        ),
    ],
    ids=["texts", "nothing", "calls", "custom", "custom_of_other_form", "thinking"],
)
def test_blocks_become_one_message(content: list[Json], expected: Json) -> None:
    reply, lost = replied(*content)
    empty = {"role": "assistant", "refusal": None, "annotations": []}
    assert reply["choices"][0]["message"] == {**empty, **expected}
    assert lost == []


CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


@pytest.mark.parametrize(
    ("found", "content", "reason", "lost"),
    [
        ("end_turn", [], "stop", False),
        ("end_turn", [CALL], "tool_calls", False),
        ("tool_use", [CALL], "tool_calls", False),
        ("max_tokens", [CALL], "length", False),
        ("model_context_window_exceeded", [], "length", False),
        ("refusal", [], "content_filter", False),
        ("pause_turn", [], "stop", True),
        ("new", [CALL], "tool_calls", True),
        (None, [], "stop", False),
    ],
)
def test_finish_reason_follows_the_stop_reason(found: Any, content: list[Json], reason: str, lost: bool) -> None:
    reply, losses = replied(*content, stop_reason=found)
    assert reply["choices"][0]["finish_reason"] == reason
    assert losses == ([("choices[0].finish_reason", "changed")] if lost else [])


def test_stop_sequence_and_refusal_are_carried() -> None:
    choice = replied(stop_reason="stop_sequence", stop_sequence="END")[0]["choices"][0]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")
    details = {"type": "refusal", "category": "bio", "explanation": "not that"}
    choice = replied(stop_reason="refusal", stop_details=details)[0]["choices"][0]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("content_filter", "not that")


SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s"}
HIDDEN = {"type": "redacted_thinking", "data": "d"}


def test_signatures_are_carried_in_hub_form_alone() -> None:
    reply, lost = replied(SIGNED, HIDDEN, {**SIGNED, "signature": ""}, hub=True)
    assert lost == []
    said = reply["choices"][0]["message"]
    assert said["thinking_blocks"] == [SIGNED, HIDDEN, {**SIGNED, "signature": None}]
    assert said["reasoning_content"] == "hmhm"
    reply, lost = replied(SIGNED, HIDDEN)
    assert "thinking_blocks" not in reply["choices"][0]["message"]
    assert sorted(lost) == [
        ("choices[0].message.reasoning_content", "changed"),
        ("choices[0].message.reasoning_content", "dropped"),
    ]


def test_web_citations_name_the_text_that_rests_on_them() -> None:
    web = {"type": "web_search_result_location", "url": "u", "title": None, "cited_text": "c", "encrypted_index": "e"}
    other = {"type": "char_location", "cited_text": "c"}
    reply, lost = replied(
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "aa"},
        {"type": "text", "text": "bbb", "citations": [web, other]},
    )
    assert reply["choices"][0]["message"]["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "u", "title": "", "start_index": 2, "end_index": 5}}
    ]
    assert lost == [
        ("choices[0].message", "dropped"),
        ("choices[0].message", "dropped"),
        ("choices[0].message.annotations", "dropped"),
    ]


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": "x"}])
def test_reply_without_content_is_the_upstreams_fault(body: Json) -> None:
    with pytest.raises(UpstreamError) as caught:
        ChatOverMessages(Losses()).reply(body)
    assert caught.value.code == "upstream_invalid_response"


def test_stream_has_chats_form() -> None:
    begun = {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1, "service_tier": "priority"}
    ended = {"delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 7}}
    chunks = streamed(
        {"type": "message_start", "message": message(usage=begun, stop_reason=None)},
        {"type": "ping"},
        start(0, type="text", text=""),
        delta(0, "text_delta", text="Hi"),
        stop(0),
        start(1, type="tool_use", id="t1", name="f", input={}),
        delta(1, "input_json_delta", partial_json=""),
        delta(1, "input_json_delta", partial_json='{"a"'),
        delta(1, "input_json_delta", partial_json=":1}"),
        stop(1),
        start(2, type="tool_use", id="t2", name="f", input={}),
        stop(2),
        start(3, type="tool_use", id="t3", name="free", input={}),
        delta(3, "input_json_delta", partial_json='{"inp'),
        delta(3, "input_json_delta", partial_json='ut":"ls"}'),
        stop(3),
        {"type": "message_delta", **ended},
        {"type": "message_stop"},
        delta(0, "text_delta", text="too late"),
    )
    (identity,) = {(chunk.pop("id"), chunk.pop("created")) for chunk in chunks}
    assert identity[0].startswith("chatcmpl-")
    assert {(chunk.pop("object"), chunk.pop("model")) for chunk in chunks} == {("chat.completion.chunk", "m")}
    said = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert said == [
        {"role": "assistant", "content": ""},
        {"content": "Hi"},
        {"tool_calls": [{"index": 0, **function("t1", "")}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, **function("t2", "")}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {"tool_calls": [{"index": 2, "id": "t3", "type": "custom", "custom": {"name": "free", "input": ""}}]},
        {"tool_calls": [{"index": 2, "custom": {"input": "ls"}}]},
        {},
    ]
    assert chunks[-2:] == [
        {
            "service_tier": "priority",
            "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "tool_calls"}],
        },
        {
            "service_tier": "priority",
            "choices": [],
            "usage": {
                "prompt_tokens": 14,
                "completion_tokens": 7,
                "total_tokens": 21,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        },
    ]


def test_stream_that_begins_with_content_says_it() -> None:
    begun = {"type": "message_start", "message": message({"type": "text", "text": "a"}, stop_reason=None)}
    chunks = streamed(begun, start(0, type="text", text="b"), delta(0, "text_delta", text="c"))
    assert [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]] == [
        "",
        "a",
        "b",
        "c",
        None,
    ]


def test_stream_may_begin_without_a_start() -> None:
    chunks = streamed(
        delta(0, "text_delta", text="lost"), start(0, type="text", text=""), delta(0, "text_delta", text="a")
    )
    assert [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]] == ["", "a", None]


def test_stream_names_the_stop_sequence() -> None:
    ended = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    (choice,) = streamed({"type": "message_delta", "delta": ended, "usage": {}})[-1]["choices"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")


def test_custom_call_cut_short_gives_what_there_is() -> None:
    begun = start(0, type="tool_use", id="t", name="free", input={})
    chunks = streamed(begun, delta(0, "input_json_delta", partial_json='{"inp'))
    said = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert said[2] == {"tool_calls": [{"index": 0, "custom": {"input": '{"inp'}}]}


@pytest.mark.parametrize("events", [[], [{"type": "message_start", "message": message()}], [{"type": "ping"}]])
def test_empty_stream_still_ends_properly(events: list[Json]) -> None:
    chunks = streamed(*events)
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]] == [None, "stop"]


def test_stream_without_a_model_goes_by_the_one_asked_for() -> None:
    assert {chunk["model"] for chunk in streamed(start(0, type="text", text="a"))} == {"asked"}


@pytest.mark.parametrize(
    "event",
    [
        delta(0, "text_delta", text=None),
        delta(9, "input_json_delta", partial_json="x"),
        delta(0, "new_delta", text="x"),
        start(1, type="new_block", text="x"),
        stop(9),
        {"type": "content_block_start", "index": 1, "content_block": None},
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "message_delta", "delta": None, "usage": 5},
        {"type": "new"},
        {},
    ],
)
def test_event_of_an_odd_shape_says_nothing(event: Json) -> None:
    chunks = streamed({"type": "message_start", "message": message()}, start(0, type="text", text=""), event)
    assert [choice["delta"] for chunk in chunks for choice in chunk["choices"]] == [
        {"role": "assistant", "content": ""},
        {},
    ]

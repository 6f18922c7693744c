"""What a chat client gets from a Responses handler."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Losses
from chatproxy.translation.chat.responses import ChatOverResponses

Json = dict[str, Any]


def response(*output: Json, **fields: Any) -> Json:
    base = {"id": "resp_1", "object": "response", "created_at": 7.0, "model": "m", "status": "completed"}
    return {**base, "output": list(output), **fields}


def message(*content: Json) -> Json:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": list(content)}


def text(said: str, **fields: Any) -> Json:
    return {"type": "output_text", "text": said, "annotations": [], **fields}


def replied(*output: Json, hub: bool = False, **fields: Any) -> tuple[Json, list[tuple[str, str]]]:
    losses = Losses()
    reply = ChatOverResponses(losses, hub=hub).reply(response(*output, **fields))
    return reply, [(loss.field, loss.action) for loss in losses.kept]


def streamed(*events: Json, hub: bool = False) -> list[Json]:
    translation = ChatOverResponses(Losses(), hub=hub)
    return [chunk for event in events for chunk in translation.event(event)] + translation.finish()


def deltas(*events: Json, hub: bool = False) -> list[Json]:
    """What the chunks say between the role and the finish reason."""
    said = [choice["delta"] for chunk in streamed(*events, hub=hub) for choice in chunk["choices"]]
    assert said[0] == {"role": "assistant", "content": ""}
    assert said[-1] == {}
    return said[1:-1]


def test_reply_has_chats_form() -> None:
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 15,
    }  # fmt: skip
    reply, lost = replied(message(text("Hello")), usage=usage, service_tier="default", extension=1, tools=[], top_p=1)
    assert reply.pop("id").startswith("chatcmpl-")
    assert lost == []
    assert reply == {
        "object": "chat.completion",
        "created": 7,
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
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "service_tier": "default",
        "extension": 1,
    }


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ([message(text("a"), text("b")), message(text("c"))], {"content": "abc"}),
        ([message({"type": "refusal", "refusal": "no"})], {"content": None, "refusal": "no"}),
        ([], {"content": ""}),
        (
            [CALL, {**CALL, "call_id": "call_2"}],
            {
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                ],
            },
        ),
        (
            [{"type": "custom_tool_call", "call_id": "c", "name": "e", "input": "ls"}],
            {"content": None, "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "e", "input": "ls"}}]},
        ),
        (
            [
                {"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}]},
                {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "c"}]},
                message(text("d")),
            ],
            {"content": "d", "reasoning_content": "a\n\nb\n\nc"},
        ),
    ],
    ids=["texts", "refusal", "nothing", "calls", "custom", "reasoning"],
)
def test_output_items_become_one_message(output: list[Json], expected: Json) -> None:
    reply, lost = replied(*output)
    empty = {"role": "assistant", "refusal": None, "annotations": []}
    assert reply["choices"][0]["message"] == {**empty, **expected}
    assert reply["choices"][0]["finish_reason"] == ("tool_calls" if "tool_calls" in expected else "stop")
    assert lost == []


def test_calls_without_ids_get_their_own() -> None:
    nameless = {"type": "function_call", "name": "f", "arguments": "{}"}
    first, second = replied(nameless, nameless)[0]["choices"][0]["message"]["tool_calls"]
    assert first["id"].startswith("call_")
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    ("fields", "reason", "lost"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", False),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", False),
        ({"status": "incomplete", "incomplete_details": {"reason": "new"}}, "length", True),
        ({"status": "incomplete", "incomplete_details": None}, "length", True),
        ({"status": "cancelled"}, "tool_calls", True),
        ({"status": None}, "tool_calls", False),
    ],
)
def test_finish_reason_follows_the_status(fields: Json, reason: str, lost: bool) -> None:
    reply, found = replied(CALL, **fields)
    assert reply["choices"][0]["finish_reason"] == reason
    assert found == ([("choices[0].finish_reason", "changed")] if lost else [])


def test_annotations_move_with_their_text_and_logprobs_are_kept() -> None:
    cited = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    token = {"token": "b", "logprob": -0.5, "bytes": [98]}
    part = text("b", annotations=[cited, {"type": "file_path"}], logprobs=[{**token, "top_logprobs": [token]}])
    reply, lost = replied(message(text("aa"), part))
    choice = reply["choices"][0]
    assert choice["message"]["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 2, "end_index": 3}}
    ]
    assert choice["logprobs"] == {"content": [{**token, "top_logprobs": [token]}], "refusal": None}
    assert lost == [("choices[0].message.annotations", "dropped")]


def test_items_of_hosted_tools_are_on_record() -> None:
    reply, lost = replied({"type": "web_search_call", "id": "ws_1"}, message(text("a"), {"type": "new"}))
    assert reply["choices"][0]["message"]["content"] == "a"
    assert lost == [("choices[0].message", "dropped"), ("choices[0].message.content", "dropped")]


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": "gAA"}


def test_encrypted_reasoning_is_carried_in_hub_form_alone() -> None:
    hidden = {**REASONING, "summary": [], "id": "other"}
    reply, lost = replied(REASONING, hidden, hub=True)
    assert lost == []
    assert reply["choices"][0]["message"]["thinking_blocks"] == [
        {"type": "thinking", "thinking": "a\n\nb", "signature": "rs_1:gAA"},
        {"type": "redacted_thinking", "data": "rs_:gAA"},
    ]
    reply, lost = replied(REASONING, hidden)
    assert "thinking_blocks" not in reply["choices"][0]["message"]
    assert lost == [("choices[0].message.reasoning_content", "changed")]


@pytest.mark.parametrize("body", [{}, {"output": None}, {"output": {}}])
def test_reply_without_output_is_the_upstreams_fault(body: Json) -> None:
    with pytest.raises(UpstreamError) as caught:
        ChatOverResponses(Losses()).reply(body)
    assert caught.value.code == "upstream_invalid_response"


@pytest.mark.parametrize(
    ("error", "why"), [({"code": "server_error", "message": "no luck"}, "no luck"), (None, "not say")]
)
def test_failed_response_is_an_error(error: Json | None, why: str) -> None:
    with pytest.raises(UpstreamError, match=why) as caught:
        replied(status="failed", error=error)
    assert caught.value.code == "upstream_error"


def test_stream_has_chats_form() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    logprob = {"token": "Hi", "logprob": -1, "top_logprobs": []}
    chunks = streamed(
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": message()},
        {"type": "response.output_text.delta", "delta": "Hi", "logprobs": [logprob], "obfuscation": "xx", **place},
        {"type": "response.output_text.done", "text": "Hi", **place},
        {"type": "response.output_item.done", "output_index": 0, "item": message(text("Hi"))},
        {"type": "response.completed", "response": response(message(text("Hi")), usage=usage, service_tier="flex")},
        {"type": "response.output_text.delta", "delta": "too late", **place},
    )
    (identity,) = {chunk.pop("id") for chunk in chunks}
    assert identity.startswith("chatcmpl-")
    head = {"object": "chat.completion.chunk", "created": 7, "model": "m"}
    said = {"index": 0, "logprobs": None, "finish_reason": None}
    logprobs = {"content": [{**logprob, "bytes": None}], "refusal": None}
    assert chunks == [
        {**head, "choices": [{**said, "delta": {"role": "assistant", "content": ""}}]},
        {**head, "choices": [{**said, "delta": {"content": "Hi"}, "logprobs": logprobs}], "obfuscation": "xx"},
        {**head, "service_tier": "flex", "choices": [{**said, "delta": {}, "finish_reason": "stop"}]},
        {
            **head,
            "service_tier": "flex",
            "choices": [],
            "usage": {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "total_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        },
    ]


def test_interleaved_calls_keep_their_indexes() -> None:
    def piece(index: int, written: str) -> Json:
        return {"type": "response.function_call_arguments.delta", "output_index": index, "delta": written}

    def begun(index: int) -> Json:
        item = {"type": "function_call", "call_id": f"call_{index}", "name": "f", "arguments": ""}
        return {"type": "response.output_item.added", "output_index": index, "item": item}

    said = deltas(begun(1), begun(2), piece(2, "{"), piece(1, "["), piece(2, "}"), piece(1, "]"))
    assert [one["tool_calls"][0] for one in said] == [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "call_2", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{"}},
        {"index": 0, "function": {"arguments": "["}},
        {"index": 1, "function": {"arguments": "}"}},
        {"index": 0, "function": {"arguments": "]"}},
    ]


def test_arguments_that_come_only_at_the_end_reach_the_client_once() -> None:
    begun = {"type": "response.output_item.added", "output_index": 0, "item": {**CALL, "arguments": ""}}
    done = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}
    item = {"type": "response.output_item.done", "output_index": 0, "item": CALL}
    end = {"type": "response.completed", "response": response(CALL)}
    for events in ((begun, done, item, end), (begun, item, end), (item, end), (begun, done, end), (end,)):
        said = deltas(*events)
        assert said[0]["tool_calls"][0]["id"] == "call_1"
        assert [one["tool_calls"][0].get("function", {}).get("arguments") for one in said] == ["", "{}"]


def test_answer_that_comes_only_at_the_end_is_said_in_full() -> None:
    whole = [REASONING, message(text("a"), {"type": "refusal", "refusal": "b"})]
    assert deltas({"type": "response.completed", "response": response(*whole)}) == [
        {"reasoning_content": "a"},
        {"reasoning_content": "\n\nb"},
        {"content": "a"},
        {"refusal": "b"},
    ]


def test_finished_response_repeats_nothing_where_items_have_no_place() -> None:
    part = {"item_id": "msg_1", "content_index": 0}
    call = {"item_id": "fc_1"}
    said = deltas(
        {"type": "response.output_item.added", "item": message()},
        {"type": "response.output_text.delta", "delta": "a", **part},
        {"type": "response.output_item.done", "item": message(text("ab"))},
        {"type": "response.output_item.added", "item": {**CALL, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "delta": "{", **call},
        {"type": "response.output_item.done", "item": CALL},
        {"type": "response.completed", "response": response(message(text("ab")), CALL)},
    )
    assert [one.get("content") for one in said[:2]] == ["a", "b"]
    assert [one["tool_calls"][0]["function"]["arguments"] for one in said[2:]] == ["", "{", "}"]


def test_annotations_come_as_they_are_known() -> None:
    cited = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    place = {"output_index": 0, "content_index": 0}
    said = deltas(
        {"type": "response.output_text.delta", "delta": "a", **place},
        {"type": "response.output_text.annotation.added", "annotation": cited, **place},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": message(text("a", annotations=[cited, cited])),
        },
    )
    assert [one["annotations"][0]["url_citation"]["url"] for one in said[1:]] == ["u", "u"]


@pytest.mark.parametrize("events", [[], [{"type": "response.created", "response": response()}], [{"type": "new"}]])
def test_empty_stream_still_ends_properly(events: list[Json]) -> None:
    chunks = streamed(*events)
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]] == [None, "stop"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": None},
        {"type": "response.output_item.added", "output_index": 0, "item": None},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": [1, None]}},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "reasoning", "summary": [{"text": 1}]},
        },
        {"type": "response.function_call_arguments.delta", "output_index": 5, "delta": "x"},
        {"type": "response.function_call_arguments.done", "output_index": 5, "arguments": "x"},
        {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": 5},
        {"type": "response.in_progress", "response": 5},
        {"type": ["x"]},
        {},
    ],
)
def test_event_of_an_odd_shape_says_nothing(event: Json) -> None:
    assert deltas({"type": "response.created", "response": response()}, event) == []

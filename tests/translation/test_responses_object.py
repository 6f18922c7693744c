"""A buffered chat reply becomes a Response."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

Json = dict[str, Any]
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def completion(message: Json, *, finish: str | None = "stop", logprobs: Any = None, **fields: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "logprobs": logprobs}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "m-1"}
    return {**head, "choices": [choice], **fields}


def response(body: Json, **fields: Any) -> tuple[Json, list[tuple[str, str]]]:
    losses = Losses()
    translation = ResponsesOverChat(losses)
    translation.request({"model": "m", "input": "hello", **fields})
    lost = len(losses.kept)
    return translation.reply(body), [(loss.field, loss.action) for loss in losses.kept[lost:]]


def output(message: Json, **fields: Any) -> list[Json]:
    """The output items, with their ids checked and left out."""
    items = response(completion(message, **fields))[0]["output"]
    for item in items:
        assert re.fullmatch(r"(msg|rs|fc|ctc)_[0-9a-f]{24}", item.pop("id"))
    return items


def text(value: str, **fields: Any) -> Json:
    return {"type": "output_text", "text": value, "annotations": [], "logprobs": [], **fields}


def test_response_has_every_field_of_the_api() -> None:
    made, lost = response(completion({"content": "hi"}, usage=USAGE))
    assert re.fullmatch(r"resp_[0-9a-f]{24}", made.pop("id"))
    assert made.pop("completed_at") >= 1700000000
    assert made["output"][0].pop("id").startswith("msg_")
    assert (made, lost) == (
        {
            "object": "response",
            "created_at": 1700000000,
            "status": "completed",
            "background": False,
            "error": None,
            "frequency_penalty": 0.0,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "max_tool_calls": None,
            "metadata": {},
            "model": "m-1",
            "output": [{"type": "message", "status": "completed", "role": "assistant", "content": [text("hi")]}],
            "parallel_tool_calls": True,
            "presence_penalty": 0.0,
            "previous_response_id": None,
            "prompt_cache_key": None,
            "prompt_cache_retention": None,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": None,
            "service_tier": "default",
            "store": True,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": {
                "input_tokens": 7,
                "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 12,
            },
            "user": None,
        },
        [],
    )


def test_response_echoes_the_request() -> None:
    asked = {
        "instructions": "be kind",
        "max_output_tokens": 9,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": False,
        "temperature": 0,
        "tool_choice": "none",
        "top_logprobs": 2,
        "top_p": 0,
        "truncation": "auto",
        "user": "u",
    }
    made, _ = response(completion({"content": "hi"}), **asked)
    assert {key: made[key] for key in asked} == asked


def test_response_completes_what_the_request_says_in_part() -> None:
    tool = {"type": "function", "name": "look"}
    form = {"type": "json_schema", "name": "n", "schema": {}}
    made, _ = response(
        completion({"content": "{}"}),
        tools=[tool],
        reasoning={"effort": "low"},
        text={"format": form, "verbosity": None},
    )
    assert made["tools"] == [{**tool, "description": None, "parameters": None, "strict": None}]
    assert made["reasoning"] == {"effort": "low", "summary": None}
    assert made["text"] == {"format": form, "verbosity": "medium"}


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("function_call", "completed", None),
        (None, "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_finish_reason_becomes_the_status(finish: str | None, status: str, reason: str | None) -> None:
    made, lost = response(completion({"content": "hi"}, finish=finish))
    assert (made["status"], made["output"][0]["status"]) == (status, status)
    assert made["incomplete_details"] == (None if reason is None else {"reason": reason})
    assert (made["completed_at"] is None, lost) == (status == "incomplete", [])


def test_unknown_finish_reason_is_on_record() -> None:
    made, lost = response(completion({"content": "hi"}, finish="eos"))
    assert (made["status"], lost) == ("completed", [("status", "changed")])


def test_reasoning_text_and_calls_come_in_order() -> None:
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"n":1}'}},
        {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "ls"}},
    ]
    assert output({"content": "wait", "reasoning_content": "hm", "tool_calls": calls}, finish="tool_calls") == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "status": "completed", "role": "assistant", "content": [text("wait")]},
        {
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": "look",
            "arguments": '{"n":1}',
        },
        {"type": "custom_tool_call", "status": "completed", "call_id": "call_2", "name": "run", "input": "ls"},
    ]


def test_only_the_last_item_of_a_cut_answer_is_incomplete() -> None:
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": "look", "arguments": "{"}} for i in range(2)]
    items = output({"content": "wait", "tool_calls": calls}, finish="length")
    assert [item["status"] for item in items] == ["completed", "completed", "incomplete"]


@pytest.mark.parametrize(
    ("message", "content"),
    [
        pytest.param({"content": None, "refusal": "no"}, [{"type": "refusal", "refusal": "no"}], id="refusal"),
        pytest.param({"content": "a", "refusal": "no"}, [text("a"), {"type": "refusal", "refusal": "no"}], id="both"),
        pytest.param({"content": ""}, [text("")], id="empty"),
        pytest.param({"content": None}, [text("")], id="null"),
        pytest.param({}, [text("")], id="nothing"),
        pytest.param(
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [text("ab")], id="parts"
        ),
        pytest.param(
            {
                "content": "a",
                "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "start_index": 0}}],
            },
            [text("a", annotations=[{"type": "url_citation", "url": "u", "start_index": 0}])],
            id="annotations",
        ),
    ],
)
def test_message_has_its_content(message: Json, content: list[Json]) -> None:
    assert output(message) == [{"type": "message", "status": "completed", "role": "assistant", "content": content}]


def test_answer_cut_before_it_began_has_no_output() -> None:
    assert output({"content": ""}, finish="length") == []


def test_reasoning_has_another_name_too() -> None:
    assert output({"content": "a", "reasoning": "hm"})[0]["summary"] == [{"type": "summary_text", "text": "hm"}]


def test_log_probabilities_are_carried() -> None:
    told = [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -2.0}]}]
    (item,) = output({"content": "a"}, logprobs={"content": told, "refusal": None})
    assert item["content"][0]["logprobs"] == [
        {
            "token": "a",
            "bytes": [],
            "logprob": -1.0,
            "top_logprobs": [{"token": "b", "bytes": [], "logprob": -2.0}],
        }
    ]


def test_thinking_blocks_are_reasoning_items_that_can_come_back() -> None:
    blocks = [
        {"type": "thinking", "thinking": "one", "signature": "s1"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "two", "signature": None},
    ]
    losses = Losses()
    translation = ResponsesOverChat(losses, hub=True)
    translation.request({"model": "m", "input": "hello"})
    made = translation.reply(completion({"content": "a", "reasoning_content": "onetwo", "thinking_blocks": blocks}))
    assert [item.get("encrypted_content") for item in made["output"]] == [
        "thinking:s1",
        "redacted_thinking:xyz",
        None,
        None,
    ]
    again = ResponsesOverChat(losses, hub=True).request({"model": "m", "input": made["output"]})
    assert again["messages"] == [
        {"role": "assistant", "content": "a", "reasoning_content": "one\n\ntwo", "thinking_blocks": blocks}
    ]
    assert losses.kept == []


def test_counts_are_carried_with_their_details() -> None:
    usage = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": None, "image_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
        "cost": 0.5,
    }
    made, lost = response(completion({"content": "a"}, usage=usage))
    assert (made["usage"], lost) == (
        {
            "input_tokens": 7,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 3, "image_tokens": 1},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 12,
            "cost": 0.5,
        },
        [],
    )


def test_reply_without_counts_has_none() -> None:
    assert response(completion({"content": "a"}))[0]["usage"] is None


def test_other_fields_of_the_reply_are_carried() -> None:
    made, lost = response(completion({"content": "a"}, system_fingerprint="fp", provider="p", service_tier="priority"))
    assert (made["system_fingerprint"], made["provider"], made["service_tier"], lost) == ("fp", "p", "priority", [])


def test_result_of_a_moderation_takes_the_form_of_responses() -> None:
    flagged = {"type": "moderation_result", "flagged": False}
    told = {"input": {"type": "moderation_results", "results": [flagged]}, "output": {"type": "error", "code": "c"}}
    made, _ = response(completion({"content": "a"}, moderation=told))
    assert made["moderation"] == {"input": flagged, "output": {"type": "error", "code": "c"}}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(completion({"content": "a", "audio": {"id": "x"}}), "output", id="audio"),
        pytest.param(completion({"content": "a"}, output="mine"), "output", id="name-taken"),
        pytest.param(
            {"choices": [*completion({"content": "a"})["choices"], {"index": 1, "message": {"content": "b"}}]},
            "output",
            id="second-choice",
        ),
        pytest.param(
            completion({"refusal": "a"}, logprobs={"refusal": [{"token": "a", "logprob": 0}]}),
            "output",
            id="refusal-logprobs",
        ),
        pytest.param(
            completion({"content": None}, logprobs={"content": [{"token": "a", "logprob": 0}]}),
            "output",
            id="logprobs-without-text",
        ),
        pytest.param(completion({"content": [{"type": "image"}]}), "output", id="content-no-text"),
    ],
)
def test_what_a_response_has_no_place_for_is_on_record(body: Json, field: str) -> None:
    assert response(body)[1] == [(field, "dropped")]


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        pytest.param(
            {"id": "c", "function": {"name": "f", "arguments": {"n": 1}}},
            {"arguments": '{"n":1}'},
            id="arguments-object",
        ),
        pytest.param({"id": "c", "function": {"name": "f"}}, {"arguments": ""}, id="no-arguments"),
        pytest.param(
            {"id": "c", "function": {"name": "f"}, "extra_content": {"a": 1}}, {"extra_content": {"a": 1}}, id="extra"
        ),
    ],
)
def test_unusual_call_is_carried(call: Json, wanted: Json) -> None:
    (item,) = output({"content": None, "tool_calls": [call]})
    assert item | {"call_id": "c", "name": "f", **wanted} == item


def test_call_without_an_id_gets_one() -> None:
    (item,) = output({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]})
    assert re.fullmatch(r"call_[0-9a-f]{24}", item["call_id"])


def test_call_of_the_old_kind_is_a_call() -> None:
    (item,) = output({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, finish="function_call")
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "f", "{}")

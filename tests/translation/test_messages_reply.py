"""Buffered chat completions as Messages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatproxy.errors import UpstreamError
from chatproxy.translation import Losses
from chatproxy.translation.messages.over_chat import MessagesOverChat

from .messages_events import text, used

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def replied(
    message: Any, finish_reason: str | None = "stop", *, choice: dict[str, Any] | None = None, **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    """The Message for a chat message, and the fields on record."""
    losses = Losses()
    translation = MessagesOverChat(losses)
    translation.request(
        {"model": "asked", "max_tokens": 1, "stop_sequences": ["END"], "messages": [{"role": "user", "content": "a"}]}
    )
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "answered",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, **(choice or {})}],
        "usage": USAGE,
        **fields,
    }
    return translation.reply(body), [f"{loss.field} {loss.action}" for loss in losses.kept]


def call(arguments: Any, identity: str | None = "call_1") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": "f", "arguments": arguments}}


def test_a_text_answer_is_a_whole_message() -> None:
    made, lost = replied({"role": "assistant", "content": "Hi."})

    assert re.fullmatch(r"msg_[0-9a-f]{24}", made.pop("id"))
    assert made == {
        "type": "message",
        "role": "assistant",
        "model": "answered",
        "content": [text("Hi.")],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "output_tokens_details": None,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_creation": None,
            "inference_geo": None,
            "server_tool_use": None,
            "service_tier": None,
        },
    }
    assert lost == []


def test_reasoning_text_and_calls_stand_in_that_order() -> None:
    made, lost = replied(
        {
            "tool_calls": [call('{"a": 1}'), call("", "call_2")],
            "content": "Let me see.",
            "reasoning_content": "Hm.",
            "reasoning": "Hm.",
        },
        "tool_calls",
    )

    assert made["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        text("Let me see."),
        used("call_1", "f", {"a": 1}),
        used("call_2", "f", {}),
    ]
    assert (made["stop_reason"], lost) == ("tool_use", [])


@pytest.mark.parametrize(
    ("message", "content"),
    [
        pytest.param({"content": ""}, [], id="nothing"),
        pytest.param({"content": None}, [], id="null"),
        pytest.param(
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            [text("ab")],
            id="parts",
        ),
        pytest.param(
            {"content": "", "reasoning": "Hm."},
            [{"type": "thinking", "thinking": "Hm.", "signature": ""}],
            id="reasoning under its other name",
        ),
        pytest.param(
            {
                "content": "b",
                "reasoning_content": "Hm.",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
                    {"type": "redacted_thinking", "data": "xyz"},
                ],
            },
            [
                {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
                {"type": "redacted_thinking", "data": "xyz"},
                text("b"),
            ],
            id="signed reasoning",
        ),
        pytest.param(
            {"reasoning_content": "Hm.", "thinking_blocks": [{"type": "redacted_thinking", "data": "xyz"}]},
            [
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {"type": "redacted_thinking", "data": "xyz"},
            ],
            id="plain beside encrypted reasoning",
        ),
        pytest.param(
            {"tool_calls": [call({"a": [1, None]})]},
            [used("call_1", "f", {"a": [1, None]})],
            id="arguments as an object",
        ),
    ],
)
def test_a_message_becomes_blocks_without_loss(message: dict[str, Any], content: list[Any]) -> None:
    made, lost = replied(message)
    assert (made["content"], lost) == (content, [])


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "nonsense", '{"a": 1} {"b": 2}', "[" * 5000])
def test_arguments_that_are_no_object_are_kept_as_text(arguments: str) -> None:
    made, lost = replied({"tool_calls": [call(arguments)]}, "tool_calls")

    assert made["content"][0]["input"] == {"INVALID_JSON": arguments}
    assert lost == ["content[0].input changed"]


def test_a_call_without_an_id_gets_one() -> None:
    made, _ = replied({"tool_calls": [call("{}", None)]}, "tool_calls")
    assert re.fullmatch(r"toolu_[0-9a-f]{24}", made["content"][0]["id"])


@pytest.mark.parametrize(
    ("message", "finish_reason", "choice", "ending"),
    [
        pytest.param({"content": "a"}, "stop", {}, ("end_turn", None), id="stop"),
        pytest.param({"content": "a"}, None, {}, ("end_turn", None), id="none"),
        pytest.param({"content": "a"}, "eos", {}, ("end_turn", None), id="a server's own"),
        pytest.param({"content": "a"}, "length", {}, ("max_tokens", None), id="length"),
        pytest.param({"content": "a"}, "content_filter", {}, ("refusal", None), id="filter"),
        pytest.param({"tool_calls": [call("{}")]}, "tool_calls", {}, ("tool_use", None), id="calls"),
        pytest.param({"tool_calls": [call("{}")]}, "stop", {}, ("tool_use", None), id="calls that end with stop"),
        pytest.param({"tool_calls": [call("{")]}, "length", {}, ("max_tokens", None), id="calls cut off"),
        pytest.param({"content": "a"}, "stop", {"stop_reason": "END"}, ("stop_sequence", "END"), id="stop sequence"),
        pytest.param({"content": "a"}, "stop", {"stop_reason": 128009}, ("end_turn", None), id="stop token"),
        pytest.param({"content": "a"}, "stop", {"stop_reason": "other"}, ("end_turn", None), id="not asked for"),
    ],
)
def test_the_finish_reason_becomes_a_stop_reason(
    message: dict[str, Any], finish_reason: str | None, choice: dict[str, Any], ending: tuple[str, str | None]
) -> None:
    made, _ = replied(message, finish_reason, choice=choice)
    assert (made["stop_reason"], made["stop_sequence"]) == ending


def test_a_refusal_is_text_and_the_stop_reason() -> None:
    made, lost = replied({"content": None, "refusal": "I will not."})

    assert made["content"] == [text("I will not.")]
    assert made["stop_reason"] == "refusal"
    assert made["stop_details"] == {"type": "refusal", "category": None, "explanation": None}
    assert lost == []


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            {
                "input_tokens": 30,
                "output_tokens": 20,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 10,
                "output_tokens_details": {"thinking_tokens": 7},
            },
            id="all",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": 9}},
            {
                "input_tokens": 0,
                "output_tokens": 0,
                "cache_read_input_tokens": 9,
                "cache_creation_input_tokens": 0,
            },
            id="odd",
        ),
    ],
)
def test_token_counts_are_carried(usage: dict[str, Any], wanted: dict[str, Any]) -> None:
    made, lost = replied({"content": "a"}, usage=usage)
    assert ({key: count for key, count in made["usage"].items() if count is not None}, lost) == (wanted, [])


def test_missing_token_counts_are_on_record() -> None:
    made, lost = replied({"content": "a"}, usage=None)
    assert (made["usage"]["output_tokens"], lost) == (0, ["usage added"])


@pytest.mark.parametrize(("tier", "wanted"), [("default", "standard"), ("priority", "priority"), ("flex", None)])
def test_the_service_tier_is_part_of_the_usage(tier: str, wanted: str | None) -> None:
    made, _ = replied({"content": "a"}, service_tier=tier)
    assert made["usage"]["service_tier"] == wanted


def test_unknown_fields_pass_and_an_own_id_stays() -> None:
    made, lost = replied({"content": "a"}, id="msg_1", model=None, vendor={"a": 1})

    assert (made["id"], made["model"], made["vendor"], lost) == ("msg_1", "asked", {"a": 1}, [])
    assert made.keys().isdisjoint({"object", "created", "choices"})


def test_other_choices_are_on_record() -> None:
    choices = [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},
        {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
    ]
    made, lost = replied(None, choices=choices)

    assert made["content"] == [text("a")]
    assert lost == ["content dropped"]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"content": "a", "annotations": [{"type": "url_citation"}]}, id="sources"),
        pytest.param({"content": "a", "audio": {"id": "x"}}, id="audio"),
        pytest.param({"content": [{"type": "image_url"}, text("a")]}, id="image"),
        pytest.param(
            {"content": "a", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}]},
            id="custom call",
        ),
    ],
)
def test_what_no_block_can_hold_is_on_record(message: dict[str, Any]) -> None:
    made, found = replied(message)
    assert (made["content"], found) == ([text("a")], ["content dropped"])


@pytest.mark.parametrize(
    "fields",
    [{"choices": []}, {"choices": None}, {"choices": ["a"]}, {"choices": [{"index": 0}]}],
    ids=["none", "null", "no object", "no message"],
)
def test_a_reply_without_an_answer_is_the_upstreams_error(fields: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError) as caught:
        replied(None, **fields)
    assert (caught.value.status, caught.value.code) == (502, "upstream_invalid_response")

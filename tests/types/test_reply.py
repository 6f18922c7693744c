"""Replies: the buffered lens, and what a handler may hand over."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest, UpstreamError
from chatproxy.types import CHAT, ChatResponse, Completed, Usage, estimate_tokens

DATA = (
    b'{"id":"c", "choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"},'
    b'{"index":1,"message":{},"finish_reason":null}],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":9,'
    b'"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":1}}}'
)


def test_a_reply_is_a_lens_over_its_body() -> None:
    reply = ChatResponse.decode(DATA)
    assert (reply.layout, reply.encode()) == (CHAT, DATA)
    assert [choice["index"] for choice in reply.choices] == [0, 1]
    assert reply.finish_reasons == ["stop"]
    assert reply.usage == Usage(
        prompt_tokens=4, completion_tokens=2, total_tokens=9, cached_tokens=3, reasoning_tokens=1, source="provider"
    )
    next(reply.texts()).replace("ho")
    assert b'"content":"ho"' in reply.encode()


def test_a_reply_without_calls_is_not_decoded_to_see_that() -> None:
    unreadable = b'{"choices":[],"odd":1e999}'
    reply = ChatResponse.decode(unreadable)
    assert reply.may_call is False
    assert reply.encode() is unreadable
    with pytest.raises(UpstreamError):
        ChatResponse.decode(unreadable.replace(b"odd", b"tool_calls")).mentions("choices", b"tool_calls")


@pytest.mark.parametrize(
    ("content", "may_call"),
    [(b'{"tool_calls":[]}', True), (b'{"\\u0074ool_calls":[]}', True), (b'{"content":"\\u003c"}', False)],
    ids=["plain", "escaped", "other escape"],
)
def test_a_reply_with_calls_says_so_however_it_is_written(content: bytes, *, may_call: bool) -> None:
    reply = ChatResponse.decode(b'{"choices":[{"message":%b}],"usage":null}' % content)
    assert reply.may_call is may_call


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, Usage()),
        ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)),
        ({"prompt_tokens": -1, "completion_tokens": True, "total_tokens": 1.5}, Usage()),
        ({"prompt_tokens_details": "x", "completion_tokens_details": [1]}, Usage()),
        ({"prompt_tokens_details": {"cached_tokens": "3"}}, Usage()),
        ({"prompt_tokens_details": {"cache_write_tokens": 4}}, Usage(cache_write_tokens=4)),
        ({"prompt_tokens_details": {"cache_creation_tokens": 5}}, Usage(cache_write_tokens=5)),
        (None, None),
        ([1], None),
        ("x", None),
    ],
)
def test_usage_is_read_where_it_is_one(usage: Any, expected: Usage | None) -> None:
    assert ChatResponse({"usage": usage}).usage == expected


@pytest.mark.parametrize("choices", [None, {}, "x", 3, [], [None, "x", {"finish_reason": 3}, {"message": "x"}]])
def test_choices_of_another_shape_hold_nothing(choices: Any) -> None:
    reply = ChatResponse({"choices": choices})
    assert reply.choices == (choices if isinstance(choices, list) else [])
    assert reply.finish_reasons == []
    assert [text.value for text in reply.texts()] == (["x"] if choices and isinstance(choices, list) else [])


def test_a_completed_reply_takes_a_mapping_or_a_body() -> None:
    made = Completed({"id": "x"}, headers={"x-a": "b"})
    assert (made.body.encode(), made.status, made.headers) == (b'{"id":"x"}', 200, {"x-a": "b"})
    body = ChatResponse.decode(DATA)
    assert Completed(body, status=201).body is body


def test_a_broken_body_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        ChatResponse.decode(b"<html>")


@pytest.mark.parametrize(("characters", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (400, 100)])
def test_tokens_are_estimated_from_characters(characters: int, tokens: int) -> None:
    assert estimate_tokens(characters) == tokens

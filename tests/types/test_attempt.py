"""The record of one attempt: how it ends, and what of an answer is put on it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy.types import CHAT, MESSAGES, RESPONSES, App, Attempt, ChatResponse, Exchange, RequestContext

PARENT = f"00-{1:032x}-{2:016x}-01"


def make_context() -> RequestContext:
    store: Any = object()
    app = App(version="1", session_store=store, settings={})
    return RequestContext(app=app, exchange=Exchange(request_id="r1"), layout=CHAT, traceparent=PARENT)


def traced(**fields: Any) -> Attempt:
    return Attempt(handler="h", span_id="1" * 16, **fields)


def named(attempt: Attempt) -> tuple[str | None, str | None, str | None, str | None]:
    return attempt.response_id, attempt.response_model, attempt.service_tier, attempt.system_fingerprint


def test_first_end_counts() -> None:
    attempt = Attempt(handler="h")
    assert (attempt.duration_s, attempt.error_type) == (None, None)
    attempt.end("first")
    ended_after_s = attempt.duration_s
    attempt.end("second")
    attempt.end()
    assert ended_after_s is not None
    assert (attempt.duration_s, attempt.error_type) == (ended_after_s, "first")


def test_attempts_stand_on_the_exchanges_record_in_order() -> None:
    ctx = make_context()
    first, second = ctx.begin_attempt("one"), ctx.begin_attempt("two")
    assert ctx.attempt is second
    assert ctx.exchange.attempts == [first, second]
    assert [attempt.handler for attempt in ctx.exchange.attempts] == ["one", "two"]
    assert first.started_s == first.clock_s - ctx.started_s
    assert 0 <= first.started_s <= second.started_s


def test_attempt_without_a_tracer_hands_on_the_clients_context() -> None:
    attempt = make_context().begin_attempt("one")
    assert (attempt.span_id, attempt.traceparent) == ("", PARENT)


def test_attempts_with_a_tracer_are_spans_of_their_own() -> None:
    ctx = make_context()
    ctx.trace.adopt("a" * 32, "b" * 16, 1, is_recording=True)
    attempts = [ctx.begin_attempt("one"), ctx.begin_attempt("two")]
    assert len({attempt.span_id for attempt in attempts} - {"b" * 16}) == 2
    assert [a.traceparent for a in attempts] == [f"00-{'a' * 32}-{a.span_id}-01" for a in attempts]


NAMES = {"id": "x-1", "model": "m-1", "service_tier": "default", "system_fingerprint": "fp"}


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (NAMES, ("x-1", "m-1", "default", "fp")),
        ({"type": "response.created", "response": {"id": "r-1", "model": "m-1"}}, ("r-1", "m-1", None, None)),
        ({"type": "message_start", "message": {"id": "m-1", "model": "c-1"}}, ("m-1", "c-1", None, None)),
        ({"id": "", "model": ""}, (None, None, None, None)),
        ({"id": 7, "model": ["m"]}, (None, None, None, None)),
        ({"id": "x" * 9000, "model": "m" * 9000}, ("x" * 8192, "m" * 8192, None, None)),
        ({"response": "none"}, (None, None, None, None)),
        ([], (None, None, None, None)),
    ],
    ids=["chat", "responses", "messages", "empty", "odd types", "long", "odd shape", "list"],
)
def test_first_event_names_the_answer(first: Any, expected: Any) -> None:
    attempt = traced()
    attempt.heard(CHAT.tally(), events=3, first=msgspec.json.encode(first))
    attempt.read_head()
    assert named(attempt) == expected
    assert attempt.events == 3


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 3000, b'{"id": "\xff"}'], ids=repr)
def test_first_event_that_is_no_json_names_nothing(data: bytes) -> None:
    attempt = traced()
    attempt.heard(CHAT.tally(), events=1, first=data)
    attempt.read_head()
    assert named(attempt) == (None, None, None, None)


@pytest.mark.parametrize(
    ("layout", "events", "usage", "finish_reasons"),
    [
        (
            CHAT,
            [
                {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
                {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
            ],
            (3, 4),
            ["length"],
        ),
        (
            RESPONSES,
            [
                {
                    "type": "response.completed",
                    "response": {"status": "completed", "usage": {"input_tokens": 3, "output_tokens": 4}},
                }
            ],
            (3, 4),
            ["stop"],
        ),
        (
            MESSAGES,
            [
                {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
                {"type": "message_stop"},
            ],
            (3, 4),
            ["stop"],
        ),
    ],
    ids=["chat", "responses", "messages"],
)
def test_stream_says_its_usage_and_why_it_ended(
    layout: Any, events: list[Any], usage: tuple[int, int], finish_reasons: list[str]
) -> None:
    tally, attempt = layout.tally(), Attempt(handler="h")
    for event in events:
        tally.add(msgspec.json.encode(event))
    attempt.heard(tally, events=len(events), first=b"")
    assert attempt.usage is not None
    assert (attempt.usage.prompt_tokens, attempt.usage.completion_tokens) == usage
    assert attempt.finish_reasons == finish_reasons


def test_whole_answer_is_named_once() -> None:
    attempt = traced()
    attempt.keep(ChatResponse(NAMES))
    attempt.keep(ChatResponse({**NAMES, "id": "x-2"}))
    assert named(attempt) == (None, None, None, None)
    attempt.read_head()
    assert named(attempt) == ("x-1", "m-1", "default", "fp")


def test_answers_are_looked_into_only_where_somebody_traces() -> None:
    attempt = Attempt(handler="h")
    attempt.keep(ChatResponse(NAMES))
    attempt.heard(CHAT.tally(), events=1, first=msgspec.json.encode(NAMES))
    attempt.read_head()
    assert (attempt.head, *named(attempt)) == (b"", None, None, None, None)


@pytest.mark.parametrize("value", [object(), "\ud800"], ids=["no json", "lone surrogate"])
def test_answer_that_cannot_be_sent_is_not_its_business(value: Any) -> None:
    attempt = traced()
    attempt.keep(ChatResponse({"id": "x", "choices": value}))
    assert named(attempt) == (None, None, None, None)

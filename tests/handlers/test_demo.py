"""The demo model's texts, shapes and streams."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from chatproxy.handlers.demo import DemoHandler
from chatproxy.handlers.demo.tokens import split_tokens
from chatproxy.types import Completed, RequestContext, Stream
from tests.handlers.conftest import Ask, AskStream, chat_request, make_context
from tests.handlers.shapes import merged, read_chunks, read_completion, told

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


async def test_buffered_reply_has_openai_shape(ask: Ask) -> None:
    before = int(time.time())
    body = await ask("what is 2 + 2", model="my/model")
    read_completion(body)
    assert before <= body.pop("created") <= int(time.time())
    assert body == snapshot(
        {
            "id": "chatcmpl-40d7bc36da7c96924b9a962e",
            "object": "chat.completion",
            "model": "my/model",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "2 + 2 = 4", "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 5,
                "total_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 0,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            "service_tier": "default",
            "system_fingerprint": "fp_chatproxy_demo",
        }
    )


async def test_stream_has_openai_chunks_and_ends_with_usage(ask_stream: AskStream) -> None:
    events = await ask_stream("say yes sir")
    read_chunks(events)
    assert [
        event["choices"][0] if event["choices"] else event["usage"]["total_tokens"] for event in events
    ] == snapshot(
        [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "", "refusal": None},
                "logprobs": None,
                "finish_reason": None,
            },
            {"index": 0, "delta": {"content": "yes"}, "logprobs": None, "finish_reason": None},
            {"index": 0, "delta": {"content": " sir"}, "logprobs": None, "finish_reason": None},
            {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"},
            5,
        ]
    )
    assert len({(event["id"], event["created"], event["model"]) for event in events}) == 1
    assert not any("usage" in event for event in events[:-1])


async def test_stream_ends_with_done(context: RequestContext) -> None:
    reply = await DemoHandler().execute(context, chat_request("hi", stream=True))
    assert isinstance(reply, Stream)
    frames = [chunk async for chunk in reply.chunks]
    assert frames[-1] == b"data: [DONE]\n\n"
    assert frames.count(frames[-1]) == 1


async def test_chunks_carry_null_usage_where_the_client_asked_for_usage(ask_stream: AskStream) -> None:
    *chunks, last = await ask_stream("hi", stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["usage"]["total_tokens"] > 0
    assert last["choices"] == []


async def test_choices_of_a_stream_come_in_turn(ask_stream: AskStream) -> None:
    events = await ask_stream("count to 3", n=2)
    order = [choice["index"] for event in events for choice in event["choices"]]
    assert order[:6] == [0, 1, 0, 1, 0, 1]


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(1, 4),
        "max_tokens": st.integers(1, 12),
        "stop": st.sampled_from(["said", ["a", "o"], '"', [" "]]),
        "logprobs": st.just(value=True),
        "seed": st.integers(-5, 5),
        "tools": st.just([WEATHER]),
        "tool_choice": st.sampled_from(["auto", "none"]),
        "response_format": st.sampled_from(
            [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}]
        ),
    },
)
TEXTS = (
    st.sampled_from(["weather in Paris", "count to 4", "hi", "get_weather for 'Zürich' 🙂", " \n ", "x" * 40])
    | st.text()
)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, fields=FIELDS)
async def test_stream_and_buffered_reply_say_the_same(text: str, fields: dict[str, Any]) -> None:
    handler = DemoHandler()
    buffered = await handler.execute(make_context(), chat_request(text, **fields))
    streamed = await handler.execute(make_context(), chat_request(text, stream=True, **fields))
    assert isinstance(buffered, Completed)
    assert isinstance(streamed, Stream)
    body, events = buffered.body.to_dict(), [event.data async for event in streamed.events()]
    assert merged(events) == told(body)
    assert events[-1]["usage"] == body["usage"]
    assert {event["id"] for event in events} == {body["id"]}


@settings(deadline=None)
@given(text=st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("count to 5", "1, 2, 3, 4, 5", id="count"),
        pytest.param("Please count from 3 to 1.", "3, 2, 1", id="count-down"),
        pytest.param("What's 3*(4+5)/2?", "3*(4+5)/2 = 13.5", id="sum"),
        pytest.param("2^10", "2^10 = 1024", id="power"),
        pytest.param("calculate 0.1 + 0.2", "0.1 + 0.2 = 0.3", id="decimal"),
        pytest.param("Say 'this is a test'", "this is a test", id="say-quoted"),
        pytest.param("Reply with: PONG", "PONG", id="reply-with"),
    ],
)
async def test_demo_answers_what_it_can(ask: Ask, text: str, answer: str) -> None:
    body = await ask(text)
    assert body["choices"][0]["message"]["content"] == answer


async def test_usage_counts_every_choice(ask: Ask) -> None:
    one, three = [(await ask("say yes", n=n))["usage"] for n in (1, 3)]
    assert one["completion_tokens"] == 1
    assert three["completion_tokens"] == 1 + 3 + 3  # the others say their number and a colon first
    assert three["prompt_tokens"] == one["prompt_tokens"]


@pytest.mark.parametrize(
    "text", ["Call 555-1234 on 2026-11-21", "9**9**9**9", "10^41", "0.1^41", "what is 1/0", "__import__('os')"]
)
async def test_what_is_no_sum_is_restated(ask: Ask, text: str) -> None:
    body = await ask(text)
    assert f'"{text}"' in body["choices"][0]["message"]["content"]


async def test_long_counts_and_texts_are_cut_short(ask: Ask) -> None:
    counted = await ask("count to 999999999")
    restated = await ask("word " * 5000)
    assert counted["usage"]["completion_tokens"] < 100
    assert restated["usage"]["completion_tokens"] < 200


async def test_greeting_says_who_answers(ask: Ask) -> None:
    body = await ask("Hello!")
    assert "chatproxy's offline demo model" in body["choices"][0]["message"]["content"]


async def test_system_message_is_part_of_the_answer(ask: Ask) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me about cats"}]
    body = await ask(messages=messages)
    assert '"Be brief."' in body["choices"][0]["message"]["content"]


async def test_attachments_are_counted(ask: Ask) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    audio = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    parts = [{"type": "text", "text": "What is this?"}, image, image, audio]
    body = await ask(messages=[{"role": "user", "content": parts}])
    assert body["choices"][0]["message"]["content"].startswith("I received 2 images and 1 audio clip. ")


async def test_same_request_gives_same_reply(ask: Ask) -> None:
    one, other = [await ask("Tell me about dogs", n=3, seed=7) for _ in range(2)]
    assert {**one, "created": 0} == {**other, "created": 0}


async def test_seed_changes_the_words(ask: Ask) -> None:
    texts = {(await ask(seed=seed))["choices"][0]["message"]["content"] for seed in range(20)}
    assert len(texts) > 1


async def test_ids_follow_the_request_id(ask: Ask) -> None:
    ids = {(await ask(request_id=request_id))["id"] for request_id in ("a", "b")}
    assert len(ids) == 2
    assert all(found.startswith("chatcmpl-") for found in ids)


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 1}, {"response_format": {"type": "json_object"}}])
async def test_choices_differ(ask: Ask, fields: dict[str, Any]) -> None:
    body = await ask("count to 3", n=128, **fields)
    texts = [choice["message"]["content"] for choice in body["choices"]]
    assert [choice["index"] for choice in body["choices"]] == list(range(128))
    if "response_format" not in fields or "max_tokens" not in fields:
        assert len(set(texts)) == 128


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_limit_cuts_the_text(ask: Ask, name: str) -> None:
    body = await ask("count to 5", **{name: 3})
    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("1, 2", "length")
    assert body["usage"]["completion_tokens"] == 3


async def test_limit_that_fits_exactly_is_no_cut(ask: Ask) -> None:
    body = await ask("count to 2", max_tokens=3)
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("stop", "text"),
    [("3", "1, 2, "), (["4", ", 3"], "1, 2"), ("nowhere", "1, 2, 3, 4, 5"), ("1", ""), (None, "1, 2, 3, 4, 5")],
)
async def test_stop_sequence_ends_the_text(ask: Ask, stop: Any, text: str) -> None:
    choice = (await ask("count to 5", stop=stop))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, "stop")


async def test_logprobs_cover_every_token(ask: Ask) -> None:
    body = await ask("count to 5", logprobs=True, top_logprobs=20)
    entries = body["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == "1, 2, 3, 4, 5"
    for entry in entries:
        values = [top["logprob"] for top in entry["top_logprobs"]]
        assert entry["top_logprobs"][0]["token"] == entry["token"]
        assert values == sorted(values, reverse=True)
        assert len({top["token"] for top in entry["top_logprobs"]}) == 20
        assert max(values) <= 0


async def test_delay_waits_between_events(context: RequestContext, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    real_sleep = asyncio.sleep

    async def record(delay_s: float) -> None:
        waits.append(delay_s)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", record)
    reply = await DemoHandler(delay_s=0.25).execute(context, chat_request("say yes sir", stream=True))
    assert isinstance(reply, Stream)
    events = [event async for event in reply.events()]
    assert waits == [0.25] * (len(events) - 2)  # none before the first and the usage chunk


async def test_models_lists_the_demo_model(context: RequestContext) -> None:
    models = await DemoHandler().models(context)
    assert [model.to_dict()["id"] for model in models] == ["demo"]


async def test_models_says_what_the_demo_model_can(context: RequestContext) -> None:
    (model,) = await DemoHandler().models(context)
    assert model.to_dict()["capabilities"] == snapshot(
        [
            "chat",
            "completions",
            "embeddings",
            "json_schema",
            "messages",
            "moderations",
            "reasoning",
            "rerank",
            "responses",
            "streaming",
            "tools",
            "vision",
        ]
    )
    assert DemoHandler.surfaces == {"chat", "embeddings", "moderations", "rerank", "count_tokens"}

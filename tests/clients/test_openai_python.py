"""openai-python, blocking: what a program gets through the gateway is what the upstream said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .conftest import Target, Upstream
from .prompts import WEATHER_TOOL, Author, ask

pytestmark = pytest.mark.clients


@pytest.fixture
def client(target: Target) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=target.base_url, api_key=target.api_key, max_retries=0, timeout=20) as client:
        yield client


def test_buffered_reply_arrives_whole(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="gpt-4o", messages=ask("hello"))

    assert reply.id == "chatcmpl-hello"
    assert reply.object == "chat.completion"
    assert reply.created == 1700000000
    assert reply.model == "gpt-4o"
    assert reply.system_fingerprint == "fp_clients"
    assert [choice.index for choice in reply.choices] == [0]
    assert reply.choices[0].message.content == "Hello there, friend."
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (11, 5, 16)


def test_stream_without_usage_shows_no_usage_frame(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="gpt-4o", messages=ask("hello"), stream=True) as stream:
        chunks = list(stream)

    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Hell", "o th", "ere,", " fri", "end.", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 6 + ["stop"]
    assert {chunk.id for chunk in chunks} == {"chatcmpl-hello"}
    assert {chunk.system_fingerprint for chunk in chunks} == {"fp_clients"}
    assert [chunk.usage for chunk in chunks] == [None] * 7


def test_stream_with_usage_ends_in_the_usage_frame(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    with client.chat.completions.create(
        model="gpt-4o", messages=ask("hello"), stream=True, stream_options=options
    ) as stream:
        chunks = list(stream)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Hello there, friend."
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (11, 5)


def test_stream_helper_accumulates_the_reply(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="gpt-4o", messages=ask("hello"), stream_options={"include_usage": True}
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()

    assert kinds.count("content.delta") == 6
    assert kinds.count("content.done") == 1
    assert final.choices[0].message.content == "Hello there, friend."
    assert final.choices[0].finish_reason == "stop"
    assert final.usage is not None
    assert final.usage.total_tokens == 16


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_letters_of_every_script_survive(client: openai.OpenAI, stream: bool) -> None:
    expected = "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."

    text, _ = _text_and_finish(client, "other letters 🦄 ü", stream=stream)

    assert text == expected


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize(
    ("prompt", "finish"), [("too long", "length"), ("forbidden words", "content_filter")], ids=["length", "filter"]
)
def test_finish_reason_is_the_upstreams(client: openai.OpenAI, prompt: str, finish: str, stream: bool) -> None:
    text, found = _text_and_finish(client, prompt, stream=stream)

    assert text
    assert found == finish


def test_fields_the_library_does_not_know_reach_the_program(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="o3", messages=ask("think first"))
    with client.chat.completions.create(model="o3", messages=ask("think first"), stream=True) as stream:
        deltas = [chunk.choices[0].delta for chunk in stream]

    assert (reply.choices[0].message.model_extra or {})["reasoning_content"] == "15 times 37 is 555."
    thought = [(delta.model_extra or {}).get("reasoning_content") for delta in deltas]
    assert "".join(part for part in thought if part) == "15 times 37 is 555."
    assert "".join(delta.content or "" for delta in deltas) == "The answer is 555."


def test_tool_round_trip_buffered(client: openai.OpenAI, upstream: Upstream) -> None:
    messages = ask("weather in Paris")
    first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER_TOOL])
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.id, call.function.name) == ("call_weather_1", "get_weather")
    assert json.loads(call.function.arguments) == {"city": "Paris", "unit": "celsius"}

    messages += [
        first.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 18}'},
    ]
    second = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER_TOOL])

    assert second.choices[0].message.content == "It is 18 degrees in Paris."
    assert second.choices[0].finish_reason == "stop"
    assert upstream.journal()[1]["body"]["messages"] == messages


def test_tool_round_trip_streamed(client: openai.OpenAI) -> None:
    messages = ask("two cities")
    with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=[WEATHER_TOOL]) as stream:
        first = stream.get_final_completion().choices[0]
    calls = first.message.tool_calls or []
    assert first.finish_reason == "tool_calls"
    assert [(call.id, call.function.arguments) for call in calls] == [
        ("call_oslo", '{"city":"Oslo"}'),
        ("call_rome", '{"city":"Rome"}'),
    ]

    results = [{"role": "tool", "tool_call_id": call.id, "content": "warm"} for call in calls]
    called = [{"id": call.id, "type": "function", "function": call.function.to_dict()} for call in calls]
    messages += [{"role": "assistant", "content": None, "tool_calls": called}, *results]
    with client.chat.completions.stream(model="gpt-4o", messages=messages) as stream:
        second = stream.get_final_completion().choices[0]

    assert second.message.content == "Oslo has 4 degrees, Rome has 21."


def test_structured_output_is_parsed(client: openai.OpenAI, upstream: Upstream) -> None:
    reply = client.chat.completions.parse(
        model="gpt-4o", messages=ask("who wrote the first program"), response_format=Author
    )

    assert reply.choices[0].message.parsed == Author(name="Ada Lovelace", year=1843)
    sent = upstream.sent()["response_format"]
    assert (sent["type"], sent["json_schema"]["strict"]) == ("json_schema", True)


def test_structured_output_is_parsed_from_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="gpt-4o", messages=ask("who wrote the first program"), response_format=Author
    ) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.parsed == Author(name="Ada Lovelace", year=1843)


def test_image_parts_are_accepted(client: openai.OpenAI, upstream: Upstream) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    content = [{"type": "text", "text": "Describe this image"}, image]
    messages: Any = [{"role": "user", "content": content}]

    reply = client.chat.completions.create(model="gpt-4o", messages=messages)

    assert reply.choices[0].message.content == "A small picture."
    assert upstream.sent()["messages"] == messages


def test_models_are_listed(client: openai.OpenAI) -> None:
    listed = {model.id: model.owned_by for model in client.models.list()}

    assert listed["gpt-4o"] == "aimock"


def test_raw_response_carries_a_request_id(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=ask("hello"))

    assert raw.headers["x-request-id"]
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse()._request_id == raw.headers["x-request-id"]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_base_url_without_v1_works_too(gateway: str, upstream: Upstream, stream: bool) -> None:
    with openai.OpenAI(base_url=gateway.removesuffix("/v1"), api_key="any", max_retries=0, timeout=20) as client:
        text, finish = _text_and_finish(client, "hello", stream=stream)
        models = [model.id for model in client.models.list()]

    assert (text, finish) == ("Hello there, friend.", "stop")
    assert "gpt-4o" in models


def _text_and_finish(client: openai.OpenAI, prompt: str, *, stream: bool) -> tuple[str, str | None]:
    if not stream:
        choice = client.chat.completions.create(model="gpt-4o", messages=ask(prompt)).choices[0]
        return choice.message.content or "", choice.finish_reason
    with client.chat.completions.create(model="gpt-4o", messages=ask(prompt), stream=True) as chunks:
        choices = [chunk.choices[0] for chunk in chunks]
    return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason

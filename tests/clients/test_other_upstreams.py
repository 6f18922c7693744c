"""Clients of one API over an upstream that speaks only another one, which is not chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from .conftest import CLIENT_KEY, UPSTREAM_KEY, StartGateway, Upstream
from .prompts import WEATHER_TOOL, WEATHER_TOOL_OF_MESSAGES, WEATHER_TOOL_OF_RESPONSES, ask
from .relay import Relay

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, wire: Relay) -> str:
    """Models ``gpt-*`` are those of an upstream of responses, ``claude-*`` of one of messages."""
    tables = {"gpt": "responses", "claude": "messages"}
    return start_gateway(
        "".join(
            f"""
[upstreams.{surface}]
base_url = "{wire.address}/v1"
api_key = "{UPSTREAM_KEY}"
surfaces = ["{surface}"]

[models."{family}-*"]
upstream = "{surface}"
"""
            for family, surface in tables.items()
        )
    )


@pytest.fixture
def client(gateway: str, upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway, api_key=CLIENT_KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def claude(gateway: str, upstream: Upstream) -> Iterator[anthropic.Anthropic]:
    root = gateway.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=CLIENT_KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(params=["gpt-4o", "claude-sonnet-4-6"], ids=["over-responses", "over-messages"])
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def chat(client: openai.OpenAI, model: str, messages: Any, *, stream: bool, **more: Any) -> Any:
    """The choice of a chat completion."""
    if not stream:
        return client.chat.completions.create(model=model, messages=messages, **more).choices[0]
    with client.chat.completions.stream(model=model, messages=messages, **more) as events:
        return events.get_final_completion().choices[0]


def answered(client: openai.OpenAI, model: str, question: str, *, stream: bool) -> tuple[str, str | None]:
    """Text and finish reason, also of what the library's stream helper takes for a failure."""
    asked: Any = {"model": model, "messages": ask(question), "max_completion_tokens": 64}
    if not stream:
        (choice,) = client.chat.completions.create(**asked).choices
        return choice.message.content or "", choice.finish_reason
    with client.chat.completions.create(**asked, stream=True) as chunks:
        choices = [chunk.choices[0] for chunk in chunks]
    return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason


@STREAMED
def test_chat_is_answered(client: openai.OpenAI, upstream: Upstream, model: str, stream: bool) -> None:
    text, finish = answered(client, model, "a long story", stream=stream)

    assert text.endswith("once upon a time a byte left home.")
    assert finish == "stop"
    assert upstream.paths() == ["/v1/responses" if model == "gpt-4o" else "/v1/messages"]


@STREAMED
def test_chat_that_is_too_long_stops_for_its_length(client: openai.OpenAI, model: str, stream: bool) -> None:
    assert answered(client, model, "too long", stream=stream) == ("It stops in the mid", "length")


@pytest.mark.parametrize("asked", [False, True], ids=["no-usage", "usage"])
def test_chat_stream_tells_usage_only_where_asked(client: openai.OpenAI, model: str, asked: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if asked else {}
    with client.chat.completions.create(model=model, messages=ask("hello"), stream=True, **more) as stream:
        chunks = list(stream)

    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([16] if asked else [])


@STREAMED
def test_chat_tools_make_the_round_trip(client: openai.OpenAI, model: str, stream: bool) -> None:
    messages = ask("two cities")
    first = chat(client, model, messages, stream=stream, tools=[WEATHER_TOOL])
    calls = first.message.tool_calls
    assert first.finish_reason == "tool_calls"
    assert [(call.id, json.loads(call.function.arguments)) for call in calls] == [
        ("call_oslo", {"city": "Oslo"}),
        ("call_rome", {"city": "Rome"}),
    ]

    called = [
        {"id": call.id, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}} for call in calls
    ]
    messages += [{"role": "assistant", "content": None, "tool_calls": called}]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "warm"} for call in calls]
    second = chat(client, model, messages, stream=stream, tools=[WEATHER_TOOL])

    assert second.message.content == "Oslo has 4 degrees, Rome has 21."


@STREAMED
def test_chat_refusal_is_a_bad_request(client: openai.OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, model, ask("bad request"), stream=stream)

    assert "This value is not allowed." in caught.value.message
    assert caught.value.type == "invalid_request_error"


def test_chat_stream_that_breaks_off_raises_api_error(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.APIError) as caught:
        chat(client, model, ask("cut off"), stream=True)

    assert type(caught.value) is openai.APIError


@STREAMED
def test_responses_are_made_over_messages(client: openai.OpenAI, upstream: Upstream, stream: bool) -> None:
    tools: Any = [WEATHER_TOOL_OF_RESPONSES]
    asked: Any = {"model": "claude-sonnet-4-6", "tools": tools, "instructions": "Be short."}
    first = last_response(client, stream=stream, input="weather in Paris", **asked)
    (call,) = first.output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    second = last_response(client, stream=stream, input=[result], previous_response_id=first.id, **asked)

    assert json.loads(call.arguments) == {"city": "Paris", "unit": "celsius"}
    assert second.output_text == "It is 18 degrees in Paris."
    assert upstream.paths() == ["/v1/messages", "/v1/messages"]
    sent = upstream.bodies()[1]
    assert sent["system"] == "Be short."
    assert [block["type"] for message in sent["messages"] for block in blocks(message)] == [
        "text",
        "tool_use",
        "tool_result",
    ]


@STREAMED
def test_messages_are_made_over_responses(claude: anthropic.Anthropic, upstream: Upstream, stream: bool) -> None:
    asked: Any = {"model": "gpt-4o", "max_tokens": 64, "tools": [WEATHER_TOOL_OF_MESSAGES], "system": "Be short."}
    messages = ask("weather in Paris")
    first = last_message(claude, stream=stream, messages=messages, **asked)
    (call,) = first.content
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = last_message(claude, stream=stream, messages=messages, **asked)

    assert (call.input, first.stop_reason) == ({"city": "Paris", "unit": "celsius"}, "tool_use")
    assert (second.content[0].text, second.stop_reason) == ("It is 18 degrees in Paris.", "end_turn")
    assert upstream.paths() == ["/v1/responses", "/v1/responses"]
    assert upstream.bodies()[1]["input"][-1] == {
        "type": "function_call_output",
        "call_id": call.id,
        "output": "18 degrees",
    }


def last_response(client: openai.OpenAI, *, stream: bool, **asked: Any) -> Any:
    if not stream:
        return client.responses.create(**asked)
    with client.responses.stream(**asked) as events:
        return events.get_final_response()


def last_message(client: anthropic.Anthropic, *, stream: bool, **asked: Any) -> Any:
    if not stream:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        return events.get_final_message()


def blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message's content in blocks, also where it is a plain text."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content

"""openai-python on /v1/responses: one program, whether the upstream speaks this API itself or chat only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .conftest import Target, Upstream
from .prompts import PIXEL, WEATHER_TOOL, WEATHER_TOOL_OF_RESPONSES, Author, ask

pytestmark = pytest.mark.clients

LIFE_OF_A_TEXT = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


@pytest.fixture
def client(surface: Target) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=surface.base_url, api_key=surface.api_key, max_retries=0, timeout=20) as client:
        yield client


def test_response_arrives_whole(client: openai.OpenAI, surface: Target, upstream: Upstream) -> None:
    reply = client.responses.create(model="gpt-4o", input="hello", instructions="Be short.")

    assert (reply.object, reply.status, reply.model) == ("response", "completed", "gpt-4o")
    assert reply.output_text == "Hello there, friend."
    assert [item.type for item in reply.output] == ["message"]
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (11, 5, 16)
    assert upstream.paths() == ["/v1/chat/completions" if surface.is_translated else "/v1/responses"]
    (entry,) = upstream.journal("/v1/")
    assert entry["body"]["messages"] == [{"role": "system", "content": "Be short."}, *ask("hello")]


def test_stream_tells_the_whole_life_of_a_text(client: openai.OpenAI, surface: Target) -> None:
    with client.responses.create(model="gpt-4o", input="hello", stream=True) as stream:
        events: list[Any] = list(stream)

    assert list(dict.fromkeys(event.type for event in events)) == LIFE_OF_A_TEXT
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert deltas == ["Hell", "o th", "ere,", " fri", "end."]
    (item,) = {event.item_id for event in events if event.type.startswith("response.output_text.")}
    final = events[-1].response
    assert (final.status, final.output_text, final.output[0].id) == ("completed", "Hello there, friend.", item)
    assert final.usage.total_tokens == 16
    if surface.is_translated:
        assert [event.sequence_number for event in events] == list(range(len(events)))


def test_stream_helper_accumulates_the_response(client: openai.OpenAI) -> None:
    with client.responses.stream(model="gpt-4o", input="a long story") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()

    assert len(pieces) > 50
    assert final.output_text == "".join(pieces)
    assert final.status == "completed"


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_letters_of_every_script_survive(client: openai.OpenAI, stream: bool) -> None:
    expected = "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."

    assert _response(client, "other letters 🦄 ü", stream=stream).output_text == expected


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_reply_that_is_too_long_is_incomplete(client: openai.OpenAI, surface: Target, stream: bool) -> None:
    reply = _response(client, "too long", stream=stream, max_output_tokens=16)

    assert (reply.output_text, reply.status) == ("It stops in the mid", "incomplete")
    if surface.is_translated:
        assert reply.incomplete_details is not None
        assert reply.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_reasoning_is_an_item_of_its_own(client: openai.OpenAI, stream: bool) -> None:
    reply = _response(client, "think first", stream=stream, model="o3", reasoning={"effort": "low", "summary": "auto"})

    assert [item.type for item in reply.output] == ["reasoning", "message"]
    thought = reply.output[0]
    assert thought.type == "reasoning"
    assert "".join(part.text for part in thought.summary or thought.content or []) == "15 times 37 is 555."
    assert reply.output_text == "The answer is 555."


def test_tool_round_trip_buffered(client: openai.OpenAI, surface: Target, upstream: Upstream) -> None:
    items: Any = ask("weather in Paris")
    first = client.responses.create(model="gpt-4o", input=items, tools=[WEATHER_TOOL_OF_RESPONSES])
    (call,) = first.output
    assert call.type == "function_call"
    assert (call.call_id, call.name) == ("call_weather_1", "get_weather")
    assert json.loads(call.arguments) == {"city": "Paris", "unit": "celsius"}

    result = {"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": 18}'}
    items += [call.to_dict(), result]
    second = client.responses.create(model="gpt-4o", input=items, tools=[WEATHER_TOOL_OF_RESPONSES])

    assert second.output_text == "It is 18 degrees in Paris."
    if surface.is_translated:
        sent = upstream.bodies()[1]
        assert sent["tools"] == [WEATHER_TOOL]
        assert sent["messages"][1]["tool_calls"][0]["function"] == {"name": call.name, "arguments": call.arguments}
        assert sent["messages"][2] == {"role": "tool", "tool_call_id": call.call_id, "content": '{"degrees": 18}'}


def test_tool_round_trip_streamed(client: openai.OpenAI) -> None:
    items: Any = ask("two cities")
    with client.responses.stream(model="gpt-4o", input=items, tools=[WEATHER_TOOL_OF_RESPONSES]) as stream:
        events = list(stream)
        first = stream.get_final_response()
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == '{"city":"Oslo"}{"city":"Rome"}'
    calls = [item for item in first.output if item.type == "function_call"]
    assert [(call.call_id, json.loads(call.arguments)) for call in calls] == [
        ("call_oslo", {"city": "Oslo"}),
        ("call_rome", {"city": "Rome"}),
    ]

    items += [_call_item(call) for call in calls]
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "warm"} for call in calls]
    second = _response(client, items, stream=True, tools=[WEATHER_TOOL_OF_RESPONSES])

    assert second.output_text == "Oslo has 4 degrees, Rome has 21."


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_structured_output_is_parsed(client: openai.OpenAI, surface: Target, upstream: Upstream, stream: bool) -> None:
    if stream:
        with client.responses.stream(model="gpt-4o", input=surface.who, text_format=Author) as events:
            reply = events.get_final_response()
    else:
        reply = client.responses.parse(model="gpt-4o", input=surface.who, text_format=Author)

    assert reply.output_parsed == Author(name="Ada Lovelace", year=1843)
    (sent,) = upstream.bodies()
    wanted = sent["response_format"]["json_schema"] if surface.is_translated else sent["text"]["format"]
    assert (wanted["name"], wanted["strict"]) == ("Author", True)
    assert wanted["schema"]["required"] == ["name", "year"]


def test_image_parts_are_accepted(client: openai.OpenAI, surface: Target, upstream: Upstream) -> None:
    url = f"data:image/png;base64,{PIXEL}"
    text = {"type": "input_text", "text": "Describe this image"}
    content: Any = [text, {"type": "input_image", "image_url": url, "detail": "low"}]

    reply = client.responses.create(model="gpt-4o", input=[{"role": "user", "content": content}])

    assert reply.output_text == "A small picture."
    (sent,) = upstream.bodies()
    if surface.is_translated:
        image = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
        assert sent["messages"][-1]["content"] == [{"type": "text", "text": "Describe this image"}, image]
    else:
        assert sent["input"] == [{"role": "user", "content": content}]


def _response(client: openai.OpenAI, question: Any, *, stream: bool, **more: Any) -> Any:
    asked = {"model": "gpt-4o", "input": question, **more}
    if not stream:
        return client.responses.create(**asked)
    with client.responses.create(**asked, stream=True) as events:
        *_, last = events
    return last.response


def _call_item(call: Any) -> dict[str, str]:
    return {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}

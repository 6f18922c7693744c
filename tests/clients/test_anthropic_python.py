"""anthropic's library on /v1/messages: one program, whether the upstream speaks this API itself or chat only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from .conftest import CLIENT_KEY, Target, Upstream
from .prompts import PIXEL, WEATHER_TOOL_OF_MESSAGES, Author, ask

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
MODEL = "claude-sonnet-4-6"
LIFE_OF_A_TEXT = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]


@pytest.fixture
def client(surface: Target) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=surface.root, api_key=surface.api_key, max_retries=0, timeout=20) as client:
        yield client


def reply_to(client: anthropic.Anthropic, question: Any, *, stream: bool, **more: Any) -> Any:
    messages = ask(question) if isinstance(question, str) else question
    asked = {"model": MODEL, "max_tokens": 2048, "messages": messages, **more}
    if not stream:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        return events.get_final_message()


def test_message_arrives_whole(client: anthropic.Anthropic, surface: Target, upstream: Upstream) -> None:
    reply = client.messages.create(
        model=MODEL, max_tokens=64, system="Be short.", messages=ask("hello"), stop_sequences=["END"]
    )

    assert (reply.type, reply.role, reply.model) == ("message", "assistant", MODEL)
    assert [(block.type, block.text) for block in reply.content] == [("text", "Hello there, friend.")]
    assert (reply.stop_reason, reply.stop_sequence) == ("end_turn", None)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 5)
    assert upstream.paths() == ["/v1/chat/completions" if surface.is_translated else "/v1/messages"]
    (sent,) = upstream.bodies()
    if surface.is_translated:
        assert sent["messages"] == [{"role": "system", "content": "Be short."}, *ask("hello")]
        assert sent["stop"] == ["END"]
    else:
        assert (sent["system"], sent["messages"], sent["stop_sequences"]) == ("Be short.", ask("hello"), ["END"])


def test_stream_tells_the_whole_life_of_a_text(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": MODEL, "max_tokens": 64, "messages": ask("hello")}
    with client.messages.create(**asked, stream=True) as stream:
        events: list[Any] = list(stream)

    assert list(dict.fromkeys(event.type for event in events)) == LIFE_OF_A_TEXT
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert deltas == ["Hell", "o th", "ere,", " fri", "end."]
    assert events[0].message.content == []
    assert events[-2].delta.stop_reason == "end_turn"
    assert events[-2].usage.output_tokens == 5


def test_stream_helper_accumulates_the_message(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": MODEL, "max_tokens": 256, "messages": ask("a long story")}
    with client.messages.stream(**asked) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()

    assert len(pieces) > 50
    assert [block.text for block in final.content if block.type == "text"] == ["".join(pieces)]
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 60


@STREAMED
def test_letters_of_every_script_survive(client: anthropic.Anthropic, stream: bool) -> None:
    reply = reply_to(client, "other letters 🦄 ü", stream=stream)

    assert reply.content[0].text == "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."


@STREAMED
def test_reply_that_is_too_long_stops_at_max_tokens(client: anthropic.Anthropic, stream: bool) -> None:
    reply = reply_to(client, "too long", stream=stream)

    assert (reply.content[0].text, reply.stop_reason) == ("It stops in the mid", "max_tokens")


@STREAMED
def test_thinking_comes_in_a_block_of_its_own(client: anthropic.Anthropic, stream: bool) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}

    reply = reply_to(client, "think first", stream=stream, thinking=thinking)

    assert [block.type for block in reply.content] == ["thinking", "text"]
    assert reply.content[0].thinking == "15 times 37 is 555."
    assert isinstance(reply.content[0].signature, str)
    assert reply.content[1].text == "The answer is 555."


@STREAMED
def test_tool_round_trip(client: anthropic.Anthropic, surface: Target, upstream: Upstream, stream: bool) -> None:
    messages = ask("weather in Paris")
    first = reply_to(client, messages, stream=stream, tools=[WEATHER_TOOL_OF_MESSAGES])
    (call,) = first.content
    assert first.stop_reason == "tool_use"
    assert (call.type, call.id, call.name) == ("tool_use", "call_weather_1", "get_weather")
    assert call.input == {"city": "Paris", "unit": "celsius"}

    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "18 degrees"}]}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = reply_to(client, messages, stream=stream, tools=[WEATHER_TOOL_OF_MESSAGES])

    assert second.content[0].text == "It is 18 degrees in Paris."
    assert second.stop_reason == "end_turn"
    if surface.is_translated:
        asked, called, answered = upstream.bodies()[1]["messages"]
        assert asked["role"] == "user"
        assert [each["id"] for each in called["tool_calls"]] == [call.id]
        assert (answered["role"], answered["tool_call_id"]) == ("tool", call.id)


@STREAMED
def test_two_calls_are_answered_in_one_turn(client: anthropic.Anthropic, stream: bool) -> None:
    messages = ask("two cities")
    first = reply_to(client, messages, stream=stream, tools=[WEATHER_TOOL_OF_MESSAGES])
    assert [(call.id, call.input) for call in first.content] == [
        ("call_oslo", {"city": "Oslo"}),
        ("call_rome", {"city": "Rome"}),
    ]

    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "warm"} for call in first.content]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = reply_to(client, messages, stream=stream, tools=[WEATHER_TOOL_OF_MESSAGES])

    assert second.content[0].text == "Oslo has 4 degrees, Rome has 21."


@STREAMED
def test_tool_runner_of_the_beta_client_runs_to_its_end(client: anthropic.Anthropic, stream: bool) -> None:
    cities: list[str] = []

    @anthropic.beta_tool
    def get_weather(city: str, unit: str) -> str:
        """Current weather of a city."""
        cities.append(city)
        return f"18 degrees {unit}"

    runner: Any = client.beta.messages.tool_runner(
        model=MODEL, max_tokens=64, messages=ask("weather in Paris"), tools=[get_weather], stream=stream
    )
    *_, last = (turn.get_final_message() if stream else turn for turn in runner)

    assert last.content[0].text == "It is 18 degrees in Paris."
    assert cities == ["Paris"]


def test_request_as_coding_agents_send_it_is_answered(client: anthropic.Anthropic) -> None:
    mark: Any = {"type": "ephemeral"}
    parts: Any = [
        {"type": "text", "text": "<system-reminder>Be kind.</system-reminder>"},
        {"type": "text", "text": "who are you", "cache_control": mark},
    ]
    system: Any = [{"type": "text", "text": "You write programs."}, {"type": "text", "text": "Answer like a pirate."}]
    more: Any = {
        "system": [{**text, "cache_control": mark} for text in system],
        "tools": [{**WEATHER_TOOL_OF_MESSAGES, "name": "Bash", "cache_control": mark}],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": "user_1"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "betas": ["context-management-2025-06-27", "interleaved-thinking-2025-05-14"],
    }
    messages: Any = [{"role": "user", "content": parts}]

    with client.beta.messages.stream(model=MODEL, max_tokens=32_000, messages=messages, **more) as stream:
        reply = stream.get_final_message()

    assert [block.text for block in reply.content if block.type == "text"] == ["Arr, matey."]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "get_weather"}, {"type": "function", "function": {"name": "get_weather"}}),
    ],
    ids=["auto", "any", "none", "tool"],
)
def test_choice_of_tools_is_kept(
    client: anthropic.Anthropic, surface: Target, upstream: Upstream, choice: dict[str, str], expected: Any
) -> None:
    reply_to(client, "weather in Paris", stream=False, tools=[WEATHER_TOOL_OF_MESSAGES], tool_choice=choice)

    (sent,) = upstream.bodies()
    assert sent["tool_choice"] == (expected if surface.is_translated else choice)


def test_structured_output_is_parsed(client: anthropic.Anthropic, surface: Target, upstream: Upstream) -> None:
    reply = client.messages.parse(model=MODEL, max_tokens=64, messages=ask(surface.who), output_format=Author)

    assert reply.parsed_output == Author(name="Ada Lovelace", year=1843)
    if surface.is_translated:
        (sent,) = upstream.bodies()
        assert sent["response_format"]["json_schema"]["schema"]["required"] == ["name", "year"]


def test_tokens_are_estimated_where_the_upstream_counts_none(gateway: str, upstream: Upstream) -> None:
    text = "How many tokens are there in a sentence of some fifty letters?"
    with anthropic.Anthropic(base_url=gateway.removesuffix("/v1"), api_key=CLIENT_KEY, max_retries=0) as client:
        counted = client.messages.count_tokens(model=MODEL, system="Be short.", messages=ask(text))

    assert 12 < counted.input_tokens < 25
    assert upstream.paths() == []


def test_image_blocks_are_accepted(client: anthropic.Anthropic, surface: Target, upstream: Upstream) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    text = {"type": "text", "text": "Describe this image"}
    question = [{"role": "user", "content": [{"type": "image", "source": source}, text]}]

    reply = reply_to(client, question, stream=False)

    assert reply.content[0].text == "A small picture."
    (sent,) = upstream.bodies()
    if surface.is_translated:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        assert sent["messages"] == [{"role": "user", "content": [image, text]}]
    else:
        assert sent["messages"] == question

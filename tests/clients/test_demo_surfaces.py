"""The demo model on the newer and smaller APIs: a first impression with any client, without key or network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from .conftest import CLIENT_KEY
from .prompts import WEATHER_TOOL_OF_MESSAGES, WEATHER_TOOL_OF_RESPONSES, Author, ask

pytestmark = pytest.mark.clients

MODEL = "demo"


@pytest.fixture
def client(demo: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=demo, api_key=CLIENT_KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def claude(demo: str) -> Iterator[anthropic.Anthropic]:
    root = demo.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=CLIENT_KEY, max_retries=0, timeout=20) as client:
        yield client


def test_responses_streamed_and_buffered_agree(client: openai.OpenAI) -> None:
    buffered = client.responses.create(model=MODEL, input="Tell me a story.")
    with client.responses.stream(model=MODEL, input="Tell me a story.") as stream:
        streamed = stream.get_final_response()

    assert buffered.output_text
    assert streamed.output_text == buffered.output_text
    assert streamed.usage == buffered.usage


def test_responses_remember_a_conversation(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="My name is Ada.")
    second = client.responses.create(model=MODEL, input="And again?", previous_response_id=first.id)

    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    assert client.responses.retrieve(second.id).previous_response_id == first.id


def test_responses_call_a_tool_and_use_its_result(client: openai.OpenAI) -> None:
    tools: Any = {"tools": [WEATHER_TOOL_OF_RESPONSES]}
    question = "Use get_weather: what is the weather in Paris?"
    first = client.responses.create(model=MODEL, input=question, tool_choice="required", **tools)
    (call,) = first.output
    assert call.type == "function_call"
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}]

    second = client.responses.create(model=MODEL, input=result, previous_response_id=first.id, **tools)

    assert call.name == "get_weather"
    assert "18 degrees" in second.output_text


def test_responses_fit_a_schema(client: openai.OpenAI) -> None:
    assert isinstance(client.responses.parse(model=MODEL, input="Who?", text_format=Author).output_parsed, Author)


def test_messages_streamed_and_buffered_agree(claude: anthropic.Anthropic) -> None:
    asked: Any = {"model": MODEL, "max_tokens": 256, "messages": ask("Tell me a story.")}
    buffered = claude.messages.create(**asked)
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()

    (whole,), (grown,) = buffered.content, streamed.content
    assert whole.type == grown.type == "text"
    assert whole.text == grown.text
    assert streamed.usage.output_tokens == buffered.usage.output_tokens > 0
    assert streamed.stop_reason == buffered.stop_reason == "end_turn"


def test_messages_call_a_tool_and_use_its_result(claude: anthropic.Anthropic) -> None:
    tools: Any = {"tools": [WEATHER_TOOL_OF_MESSAGES], "tool_choice": {"type": "any"}}
    messages = ask("Use get_weather: what is the weather in Paris?")
    first = claude.messages.create(model=MODEL, max_tokens=256, messages=messages, **tools)
    (call,) = first.content
    assert call.type == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]

    second = claude.messages.create(model=MODEL, max_tokens=256, messages=messages)

    assert (call.name, first.stop_reason) == ("get_weather", "tool_use")
    assert second.content[0].type == "text"
    assert "18 degrees" in second.content[0].text


def test_tokens_are_counted_as_they_are_billed(claude: anthropic.Anthropic) -> None:
    asked: Any = {"model": MODEL, "system": "Be short.", "messages": ask("How many tokens is this?")}

    counted = claude.messages.count_tokens(**asked)
    reply = claude.messages.create(**asked, max_tokens=16)

    assert counted.input_tokens == reply.usage.input_tokens > 0


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_completions_are_made(client: openai.OpenAI, stream: bool) -> None:
    asked: Any = {"model": MODEL, "prompt": "hello", "max_tokens": 64}
    if stream:
        chunks = client.completions.create(**asked, stream=True)
        text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    else:
        text = client.completions.create(**asked).choices[0].text

    assert text


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_are_made(client: openai.OpenAI, encoding: Any) -> None:
    texts = ["a cat sat", "a cat sat", "numbers and stars"]
    reply = client.embeddings.create(model=MODEL, input=texts, dimensions=64, encoding_format=encoding)
    default = client.embeddings.create(model=MODEL, input=texts[0], dimensions=64)

    assert [item.index for item in reply.data] == [0, 1, 2]
    assert reply.data[0].embedding == reply.data[1].embedding != reply.data[2].embedding
    assert reply.usage.prompt_tokens > 0
    if encoding == "float":  # the library leaves what was asked for by name as it is
        assert len(reply.data[0].embedding) == 64
        assert default.data[0].embedding == pytest.approx(reply.data[0].embedding, abs=1e-6)


def test_moderations_are_made(client: openai.OpenAI) -> None:
    reply = client.moderations.create(model=MODEL, input=["I like flowers.", "I will kill you."])

    assert [result.flagged for result in reply.results] == [False, True]
    assert reply.results[1].categories.violence
    assert reply.results[1].category_scores.violence > reply.results[0].category_scores.violence


def test_documents_are_ranked(demo: str) -> None:
    body = {"model": MODEL, "query": "a cat", "documents": ["numbers and stars", "a cat sat"], "top_n": 1}

    reply = httpx.post(f"{demo}/rerank", json=body)

    assert [result["index"] for result in reply.json()["results"]] == [1]

"""langchain-openai: a framework's chat model over the gateway."""

from __future__ import annotations

from typing import Any

import openai
import pydantic
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from .conftest import CLIENT_KEY, Target, Upstream
from .prompts import Author

pytestmark = pytest.mark.clients


@tool
def get_weather(city: str, unit: str = "celsius") -> str:
    """Current weather of a city."""
    return f"18 degrees {unit} in {city}"


@pytest.fixture
def model(target: Target) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=target.base_url, api_key=pydantic.SecretStr(target.api_key), model="gpt-4o", max_retries=0, timeout=20
    )


def test_invoke_returns_text_and_usage(model: ChatOpenAI) -> None:
    reply = model.invoke("hello")

    assert reply.content == "Hello there, friend."
    assert reply.response_metadata["finish_reason"] == "stop"
    assert reply.usage_metadata is not None
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (11, 5)


@pytest.mark.parametrize("stream_usage", [False, True], ids=["no-usage", "usage"])
def test_stream_adds_up_to_the_reply(model: ChatOpenAI, stream_usage: bool) -> None:
    chunks = list(model.stream("hello", stream_usage=stream_usage))

    assert "".join(str(chunk.content) for chunk in chunks) == "Hello there, friend."
    totals = [chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata]
    assert totals == ([16] if stream_usage else [])


async def test_asynchronous_stream_adds_up_to_the_reply(model: ChatOpenAI) -> None:
    texts = [str(chunk.content) async for chunk in model.astream("a long story")]

    assert "".join(texts).endswith("once upon a time a byte left home.")
    assert len(texts) > 50


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_bound_tool_makes_the_round_trip(model: ChatOpenAI, stream: bool) -> None:
    bound = model.bind_tools([get_weather])
    question = HumanMessage("weather in Paris")
    first: Any = _summed(bound, [question]) if stream else bound.invoke([question])
    (call,) = first.tool_calls
    assert (call["id"], call["name"]) == ("call_weather_1", "get_weather")
    assert call["args"] == {"city": "Paris", "unit": "celsius"}

    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    history = [question, first, result]
    second: Any = _summed(bound, history) if stream else bound.invoke(history)

    assert second.content == "It is 18 degrees in Paris."


def test_structured_output_becomes_the_class(model: ChatOpenAI) -> None:
    structured = model.with_structured_output(Author, method="json_schema")

    assert structured.invoke("who wrote the first program") == Author(name="Ada Lovelace", year=1843)


def test_upstream_refusal_is_raised(model: ChatOpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        model.invoke("rate limited")
    with pytest.raises(openai.BadRequestError):
        list(model.stream("bad request"))


def test_unknown_model_is_not_found(table_gateway: str, upstream: Upstream) -> None:
    model = ChatOpenAI(
        base_url=table_gateway, api_key=pydantic.SecretStr(CLIENT_KEY), model="nobody", max_retries=0, timeout=20
    )

    with pytest.raises(openai.NotFoundError):
        model.invoke("hello")
    with pytest.raises(openai.NotFoundError):
        list(model.stream("hello"))


def test_stream_that_breaks_off_is_raised(gateway: str, upstream: Upstream) -> None:
    model = ChatOpenAI(base_url=gateway, api_key=pydantic.SecretStr(CLIENT_KEY), model="gpt-4o", max_retries=0)

    with pytest.raises(openai.APIError):
        list(model.stream("cut off"))


def _summed(bound: Any, messages: list[Any]) -> AIMessageChunk:
    chunks = list(bound.stream(messages))
    whole: AIMessageChunk = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole

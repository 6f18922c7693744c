"""langchain-openai with ``use_responses_api=True``, and langchain's messages in its form of responses."""

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

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@tool
def get_weather(city: str, unit: str = "celsius") -> str:
    """Current weather of a city."""
    return f"18 degrees {unit} in {city}"


def connect(base_url: str, key: str = CLIENT_KEY, **more: Any) -> ChatOpenAI:
    secret = pydantic.SecretStr(key)
    settings: Any = {"model": "gpt-4o", "max_retries": 0, "timeout": 20, "use_responses_api": True, **more}
    return ChatOpenAI(base_url=base_url, api_key=secret, **settings)


@pytest.fixture
def model(surface: Target) -> ChatOpenAI:
    return connect(surface.base_url, surface.api_key)


def test_invoke_returns_text_and_usage(model: ChatOpenAI, surface: Target, upstream: Upstream) -> None:
    reply = model.invoke("hello")

    assert reply.text == "Hello there, friend."
    assert reply.response_metadata["status"] == "completed"
    assert reply.usage_metadata is not None
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (11, 5)
    assert upstream.paths() == ["/v1/chat/completions" if surface.is_translated else "/v1/responses"]


def test_stream_adds_up_to_the_reply(model: ChatOpenAI) -> None:
    chunks = list(model.stream("hello"))

    assert "".join(chunk.text for chunk in chunks) == "Hello there, friend."
    assert [chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata] == [16]


async def test_asynchronous_stream_adds_up_to_the_reply(surface: Target) -> None:
    # without a client of its own langchain keeps one for each address, also when its event loop has gone
    async with openai.DefaultAsyncHttpxClient() as own:
        model = connect(surface.base_url, surface.api_key, http_async_client=own)
        texts = [chunk.text async for chunk in model.astream("a long story")]

    assert "".join(texts).endswith("once upon a time a byte left home.")
    assert len(texts) > 50


@STREAMED
def test_bound_tool_makes_the_round_trip(model: ChatOpenAI, stream: bool) -> None:
    bound = model.bind_tools([get_weather])
    question = HumanMessage("weather in Paris")
    first = answer(bound, [question], stream=stream)
    (call,) = first.tool_calls
    assert (call["id"], call["name"], call["args"]) == (
        "call_weather_1",
        "get_weather",
        {"city": "Paris", "unit": "celsius"},
    )

    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    second = answer(bound, [question, first, result], stream=stream)

    assert second.text == "It is 18 degrees in Paris."


@STREAMED
def test_conversation_is_continued_by_id(served: Target, upstream: Upstream, stream: bool) -> None:
    model = connect(served.base_url, use_previous_response_id=True)
    question = HumanMessage("My name is Ada.")
    first = answer(model, [question], stream=stream)

    second = answer(model, [question, first, HumanMessage("What is my name?")], stream=stream)

    roles = [message["role"] for message in upstream.journal("/v1/")[1]["body"]["messages"]]
    assert second.text == "Your name is Ada."
    assert roles == ["user", "assistant", "user"]


def test_structured_output_is_an_object(model: ChatOpenAI, surface: Target, upstream: Upstream) -> None:
    bound = model.with_structured_output(Author, method="json_schema")

    assert bound.invoke(surface.who) == Author(name="Ada Lovelace", year=1843)
    if surface.is_translated:
        (sent,) = upstream.bodies()
        assert sent["response_format"]["json_schema"]["strict"] is True


@STREAMED
def test_refusal_of_the_upstream_is_raised(model: ChatOpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        answer(model, [HumanMessage("bad request")], stream=stream)

    assert caught.value.code == "invalid_value"


def test_stream_that_breaks_off_is_raised(served: Target) -> None:
    with pytest.raises((openai.APIError, ValueError)):
        list(connect(served.base_url).stream("cut off"))


def answer(model: Any, messages: list[Any], *, stream: bool) -> Any:
    if not stream:
        return model.invoke(messages)
    total: AIMessageChunk | None = None
    for chunk in model.stream(messages):
        total = chunk if total is None else total + chunk
    return total

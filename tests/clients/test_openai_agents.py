"""openai-agents with its default model class, which speaks /v1/responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool

from .conftest import CLIENT_KEY, Target, Upstream
from .prompts import Author, ask

pytestmark = pytest.mark.clients


@function_tool
def get_weather(city: str, unit: str) -> str:
    """Current weather of a city."""
    return f"18 degrees {unit} in {city}"


def through(client: openai.AsyncOpenAI) -> RunConfig:
    """Runs over this client, which tell nobody of themselves."""
    return RunConfig(model_provider=OpenAIProvider(openai_client=client), tracing_disabled=True)


@pytest.fixture
async def config(surface: Target) -> AsyncIterator[RunConfig]:
    async with openai.AsyncOpenAI(base_url=surface.base_url, api_key=surface.api_key, max_retries=0) as client:
        yield through(client)


@pytest.fixture
async def gateway_config(served: Target) -> AsyncIterator[RunConfig]:
    async with openai.AsyncOpenAI(base_url=served.base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        yield through(client)


def agent(**more: Any) -> Agent:
    return Agent(name="reporter", instructions="Be short.", model="gpt-4o", **more)


async def test_run_answers_and_counts_tokens(config: RunConfig, upstream: Upstream) -> None:
    result = await Runner.run(agent(), "hello", run_config=config)

    usage = result.context_wrapper.usage
    (entry,) = upstream.journal("/v1/")
    assert result.final_output == "Hello there, friend."
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (1, 11, 5)
    assert entry["body"]["messages"] == [{"role": "system", "content": "Be short."}, *ask("hello")]


async def test_run_calls_a_function_and_uses_its_result(config: RunConfig, upstream: Upstream) -> None:
    result = await Runner.run(agent(tools=[get_weather]), "weather in Paris", run_config=config)

    first, second = upstream.journal("/v1/")
    assert result.final_output == "It is 18 degrees in Paris."
    assert first["body"]["tools"][0]["function"]["name"] == "get_weather"
    assert second["body"]["messages"][-1]["content"] == "18 degrees celsius in Paris"


async def test_streamed_run_calls_a_function_and_shows_the_text_as_it_comes(config: RunConfig) -> None:
    result = Runner.run_streamed(agent(tools=[get_weather]), "weather in Paris", run_config=config)
    events: list[Any] = [event async for event in result.stream_events()]

    raw = [event.data for event in events if event.type == "raw_response_event"]
    text = "".join(event.delta for event in raw if event.type == "response.output_text.delta")
    items = [event.item.type for event in events if event.type == "run_item_stream_event"]
    assert text == result.final_output == "It is 18 degrees in Paris."
    assert items == ["tool_call_item", "tool_call_output_item", "message_output_item"]


async def test_run_with_an_output_type_gives_an_object(config: RunConfig, surface: Target, upstream: Upstream) -> None:
    result = await Runner.run(agent(output_type=Author), surface.who, run_config=config)

    assert result.final_output == Author(name="Ada Lovelace", year=1843)
    if surface.is_translated:
        (sent,) = upstream.bodies()
        assert sent["response_format"]["json_schema"]["strict"] is True


async def test_run_is_continued_by_the_id_of_the_last_response(gateway_config: RunConfig, upstream: Upstream) -> None:
    first = await Runner.run(agent(), "My name is Ada.", run_config=gateway_config)
    second = await Runner.run(
        agent(), "What is my name?", previous_response_id=first.last_response_id, run_config=gateway_config
    )

    roles = [message["role"] for message in upstream.journal("/v1/")[1]["body"]["messages"]]
    assert second.final_output == "Your name is Ada."
    assert roles == ["system", "user", "assistant", "user"]


async def test_stream_that_breaks_off_fails_the_run(gateway_config: RunConfig) -> None:
    result = Runner.run_streamed(agent(), "cut off", run_config=gateway_config)

    with pytest.raises(openai.APIError) as caught:
        _ = [event async for event in result.stream_events()]

    assert caught.value.message


async def test_refusal_of_the_upstream_fails_the_run(gateway_config: RunConfig) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await Runner.run(agent(), "bad request", run_config=gateway_config)

    assert caught.value.code == "invalid_value"

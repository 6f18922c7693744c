"""pydantic-ai with an ``openai:`` model, which speaks /v1/responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models import infer_model
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.output import NativeOutput
from pydantic_ai.providers.openai import OpenAIProvider

from .conftest import Target, Upstream
from .prompts import Author

pytestmark = pytest.mark.clients


@pytest.fixture
async def provider(surface: Target) -> AsyncIterator[OpenAIProvider]:
    async with openai.AsyncOpenAI(base_url=surface.base_url, api_key=surface.api_key, max_retries=0) as client:
        yield OpenAIProvider(openai_client=client)


def model_of(provider: OpenAIProvider) -> Any:
    """The model that pydantic-ai makes of the name ``openai:gpt-4o``."""
    return infer_model("openai:gpt-4o", provider_factory=lambda _: provider)


async def test_run_answers_and_counts_tokens(provider: OpenAIProvider, surface: Target, upstream: Upstream) -> None:
    model = model_of(provider)
    result = await Agent(model, instructions="Be short.").run("hello")

    assert isinstance(model, OpenAIResponsesModel)
    assert result.output == "Hello there, friend."
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 5)
    assert upstream.paths() == ["/v1/chat/completions" if surface.is_translated else "/v1/responses"]


async def test_streamed_run_shows_the_text_as_it_comes(provider: OpenAIProvider) -> None:
    async with Agent(model_of(provider)).run_stream("a long story") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    assert len(pieces) > 50
    assert "".join(pieces).endswith("once upon a time a byte left home.")


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_tool_is_called_and_its_result_is_used(
    provider: OpenAIProvider, upstream: Upstream, stream: bool
) -> None:
    agent = Agent(model_of(provider))

    @agent.tool_plain
    def get_weather(city: str, unit: str) -> str:
        return f"18 degrees {unit} in {city}"

    if stream:
        async with agent.run_stream("weather in Paris") as result:
            output = await result.get_output()
    else:
        output = (await agent.run("weather in Paris")).output

    first, second = upstream.journal("/v1/")
    assert output == "It is 18 degrees in Paris."
    assert [tool["function"]["name"] for tool in first["body"]["tools"]] == ["get_weather"]
    assert second["body"]["messages"][-1]["content"] == "18 degrees celsius in Paris"


async def test_output_of_a_type_is_an_object(provider: OpenAIProvider, surface: Target, upstream: Upstream) -> None:
    agent: Any = Agent(model_of(provider), output_type=NativeOutput(Author))

    result = await agent.run(surface.who)

    assert result.output == Author(name="Ada Lovelace", year=1843)
    if surface.is_translated:
        (sent,) = upstream.bodies()
        assert sent["response_format"]["json_schema"]["schema"]["required"] == ["name", "year"]


async def test_conversation_goes_on_with_its_history(provider: OpenAIProvider, upstream: Upstream) -> None:
    agent = Agent(model_of(provider))
    first = await agent.run("My name is Ada.")
    second = await agent.run("What is my name?", message_history=first.all_messages())

    roles = [message["role"] for message in upstream.journal("/v1/")[1]["body"]["messages"]]
    assert second.output == "Your name is Ada."
    assert roles == ["user", "assistant", "user"]


async def test_refusal_of_the_upstream_tells_its_status(provider: OpenAIProvider) -> None:
    with pytest.raises(ModelHTTPError) as caught:
        await Agent(model_of(provider)).run("bad request")

    body: Any = caught.value.body
    assert caught.value.status_code == 400
    assert body["code"] == "invalid_value"

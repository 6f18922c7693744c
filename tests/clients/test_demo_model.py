"""The embedded demo model through the official libraries: a first impression without key or network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pydantic
import pytest
from langchain_openai import ChatOpenAI

from .conftest import CLIENT_KEY
from .nodejs import NodeParts
from .prompts import WEATHER_TOOL, Author, ask

pytestmark = pytest.mark.clients


@pytest.fixture
def client(demo: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=demo, api_key=CLIENT_KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def model(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


def stream_choices(client: openai.OpenAI, **body: Any) -> tuple[dict[int, str], dict[int, str], Any]:
    """Text and finish reason by choice index, and the usage."""
    text: dict[int, str] = {}
    finish: dict[int, str] = {}
    usage = None
    with client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}) as stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text[choice.index] = text.get(choice.index, "") + (choice.delta.content or "")
                if choice.finish_reason:
                    finish[choice.index] = choice.finish_reason
    return text, finish, usage


def test_model_can_be_retrieved(client: openai.OpenAI, model: str) -> None:
    assert client.models.retrieve(model).id == model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/at-all")


def test_streamed_and_buffered_reply_agree(client: openai.OpenAI, model: str) -> None:
    buffered = client.chat.completions.create(model=model, messages=ask("Tell me a story."), seed=1)
    text, finish, usage = stream_choices(client, model=model, messages=ask("Tell me a story."), seed=1)

    assert buffered.choices[0].message.content
    assert text == {0: buffered.choices[0].message.content}
    assert finish == {0: buffered.choices[0].finish_reason}
    assert buffered.usage is not None
    assert usage.to_dict() == buffered.usage.to_dict()
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_same_question_gets_the_same_answer(client: openai.OpenAI, model: str) -> None:
    answers = [
        client.chat.completions.create(model=model, messages=ask("And again?"), seed=5).choices[0].message.content
        for _ in range(3)
    ]

    assert len(set(answers)) == 1


def test_two_choices_come_with_their_own_index(client: openai.OpenAI, model: str) -> None:
    reply = client.chat.completions.create(model=model, messages=ask("hello"), n=2)
    text, finish, _ = stream_choices(client, model=model, messages=ask("hello"), n=2)

    assert [choice.index for choice in reply.choices] == [0, 1]
    assert text == {choice.index: choice.message.content for choice in reply.choices}
    assert finish.keys() == {0, 1}


def test_tool_is_called_and_its_result_is_used(client: openai.OpenAI, model: str) -> None:
    question = ask("Use get_weather: what is the weather in Paris?")
    first = client.chat.completions.create(
        model=model, messages=question, tools=[WEATHER_TOOL], tool_choice="required"
    ).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"

    with client.chat.completions.stream(
        model=model, messages=question, tools=[WEATHER_TOOL], tool_choice="required"
    ) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls or []
    assert [each.function.arguments for each in streamed] == [call.function.arguments]

    answered = [*question, first.message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]
    second = client.chat.completions.create(model=model, messages=answered, tools=[WEATHER_TOOL]).choices[0]
    assert second.finish_reason == "stop"
    assert second.message.content


def test_structured_output_fits_the_schema(client: openai.OpenAI, model: str) -> None:
    reply = client.chat.completions.parse(model=model, messages=ask("Who?"), response_format=Author)

    assert isinstance(reply.choices[0].message.parsed, Author)


def test_langchain_runs_on_it(demo: str, model: str) -> None:
    chat = ChatOpenAI(base_url=demo, api_key=pydantic.SecretStr(CLIENT_KEY), model=model, max_retries=0)

    whole = chat.invoke("hello")
    parts = "".join(str(chunk.content) for chunk in chat.stream("hello"))

    assert whole.content
    assert parts == whole.content


def test_node_library_runs_on_it(demo: str, model: str, node_parts: NodeParts) -> None:
    found = node_parts.run_json("openai_client.mjs", demo, CLIENT_KEY, "models", "demo")

    assert model in found["models"]
    assert found["demo"]["buffered"]
    assert found["demo"]["streamed"] == found["demo"]["buffered"]


def test_model_that_is_not_there_is_not_found(client: openai.OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="nobody", messages=ask("hello"), stream=stream)
        assert caught.value.code == "model_not_found"


def test_first_page_answers(demo: str) -> None:
    root = demo.removesuffix("/v1")

    for path in ("/", "/health", "/livez", "/readyz", "/docs", "/redoc", "/schema/openapi.json"):
        assert httpx.get(f"{root}{path}", timeout=20).status_code == 200, path

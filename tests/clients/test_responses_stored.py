"""openai-python and what the gateway keeps: conversations by id, on an upstream that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .conftest import Target, Upstream
from .prompts import WEATHER_TOOL_OF_RESPONSES, ask

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
MOST_LOOKS = 2_000


@pytest.fixture
def client(served: Target) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.base_url, api_key=served.api_key, max_retries=0, timeout=20) as client:
        yield client


@STREAMED
def test_conversation_is_continued_by_id(client: openai.OpenAI, upstream: Upstream, stream: bool) -> None:
    first = respond(client, "My name is Ada.", stream=stream)
    second = respond(client, "What is my name?", stream=stream, previous_response_id=first.id)

    assert (first.output_text, second.output_text) == ("Noted.", "Your name is Ada.")
    assert second.previous_response_id == first.id
    _, entry = upstream.journal("/v1/")
    answer = {"role": "assistant", "content": "Noted."}
    assert entry["body"]["messages"] == [*ask("My name is Ada."), answer, *ask("What is my name?")]
    assert "previous_response_id" not in upstream.bodies()[1]


@STREAMED
def test_call_of_a_tool_is_answered_by_id(client: openai.OpenAI, upstream: Upstream, stream: bool) -> None:
    first = respond(client, "weather in Paris", stream=stream, tools=[WEATHER_TOOL_OF_RESPONSES])
    (call,) = first.output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}

    second = respond(client, [result], stream=stream, previous_response_id=first.id)

    assert second.output_text == "It is 18 degrees in Paris."
    _, entry = upstream.journal("/v1/")
    assert [message["role"] for message in entry["body"]["messages"]] == ["user", "assistant", "tool"]


@STREAMED
def test_response_is_retrieved_with_its_input_and_deleted(client: openai.OpenAI, stream: bool) -> None:
    made = respond(client, "My name is Ada.", stream=stream)

    found = client.responses.retrieve(made.id)
    (item,) = client.responses.input_items.list(made.id)
    client.responses.delete(made.id)

    assert found.to_dict() == made.to_dict()
    assert item.type == "message"
    assert [part.to_dict() for part in item.content] == [{"type": "input_text", "text": "My name is Ada."}]
    for use in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            use(made.id)


@STREAMED
def test_response_that_must_not_be_stored_is_not(client: openai.OpenAI, stream: bool) -> None:
    made = respond(client, "My name is Ada.", stream=stream, store=False)

    assert made.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError) as caught:
        respond(client, "What is my name?", stream=stream, previous_response_id=made.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_response_in_the_background_is_asked_for_until_it_is_there(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-4o", input="My name is Ada.", background=True)
    assert made.status in {"queued", "in_progress"}

    found = next(found for found in looks(client, made.id) if found.status not in {"queued", "in_progress"})

    assert (found.id, found.status, found.output_text) == (made.id, "completed", "Noted.")


def test_response_in_the_background_is_cancelled(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.relay.hold()
    made = client.responses.create(model="gpt-4o", input="My name is Ada.", background=True)
    exchange = upstream.relay.wait_held()

    cancelled = client.responses.cancel(made.id)

    assert cancelled.status == "cancelled"
    assert exchange.caller_left.wait(10)
    assert client.responses.retrieve(made.id).status == "cancelled"


def respond(client: openai.OpenAI, question: Any, *, stream: bool, **more: Any) -> Any:
    asked = {"model": "gpt-4o", "input": question, **more}
    if not stream:
        return client.responses.create(**asked)
    with client.responses.create(**asked, stream=True) as events:
        *_, last = events
    return last.response


def looks(client: openai.OpenAI, response_id: str) -> Iterator[Any]:
    for _ in range(MOST_LOOKS):
        yield client.responses.retrieve(response_id)

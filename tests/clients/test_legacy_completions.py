"""openai-python's ``completions`` of old, over an upstream that speaks chat only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .conftest import CLIENT_KEY, Upstream
from .prompts import ask

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@pytest.fixture
def client(gateway: str, upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway, api_key=CLIENT_KEY, max_retries=0, timeout=20) as client:
        yield client


def complete(client: openai.OpenAI, prompt: Any, *, stream: bool, **more: Any) -> tuple[str, str | None]:
    """Text and finish reason of the one choice."""
    asked = {"model": "gpt-4o", "prompt": prompt, **more}
    if not stream:
        (choice,) = client.completions.create(**asked).choices
        return choice.text, choice.finish_reason
    with client.completions.create(**asked, stream=True) as chunks:
        choices = [choice for chunk in chunks for choice in chunk.choices]
    return "".join(choice.text for choice in choices), choices[-1].finish_reason


@STREAMED
def test_prompt_is_asked_as_a_message(client: openai.OpenAI, upstream: Upstream, stream: bool) -> None:
    found = complete(client, "hello", stream=stream, max_tokens=16, stop=["END"])

    sent = upstream.sent()
    assert found == ("Hello there, friend.", "stop")
    assert sent["messages"] == ask("hello")
    assert (sent["max_tokens"], sent["stop"]) == (16, ["END"])
    assert upstream.paths() == ["/v1/chat/completions"]


def test_completion_arrives_whole(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="gpt-4o", prompt="hello")

    assert (reply.object, reply.model) == ("text_completion", "gpt-4o")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (11, 5, 16)


@pytest.mark.parametrize("asked", [False, True], ids=["no-usage", "usage"])
def test_stream_tells_usage_only_where_asked(client: openai.OpenAI, asked: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if asked else {}
    with client.completions.create(model="gpt-4o", prompt="hello", stream=True, **more) as stream:
        chunks = list(stream)

    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([16] if asked else [])
    assert {chunk.object for chunk in chunks} == {"text_completion"}


@STREAMED
def test_letters_of_every_script_survive(client: openai.OpenAI, stream: bool) -> None:
    text, _ = complete(client, "other letters 🦄 ü", stream=stream)

    assert text == "Grüße aus Köln — 漢字, עברית, 👩‍👩‍👧 and \u2028 a separator."


@STREAMED
def test_finish_reason_is_the_upstreams(client: openai.OpenAI, stream: bool) -> None:
    assert complete(client, "too long", stream=stream) == ("It stops in the mid", "length")


@STREAMED
def test_refusal_of_the_upstream_is_a_bad_request(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, "bad request", stream=stream)

    assert caught.value.code == "invalid_value"


def test_stream_that_breaks_off_raises_api_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        complete(client, "cut off", stream=True)

    assert type(caught.value) is openai.APIError


@pytest.mark.parametrize("prompt", [["hello", "a long story"], [15496, 995]], ids=["several", "tokens"])
def test_what_no_chat_can_answer_is_refused(client: openai.OpenAI, upstream: Upstream, prompt: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, prompt, stream=False)

    assert caught.value.param == "prompt"
    assert upstream.paths() == []

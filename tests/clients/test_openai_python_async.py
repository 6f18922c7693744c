"""openai-python, asyncio: many calls at once, and what the upstream notices when a program leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from .conftest import Target, Upstream
from .prompts import ask

pytestmark = pytest.mark.clients

LEAVE_LIMIT_S = 10


@pytest.fixture
async def client(target: Target) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=target.base_url, api_key=target.api_key, max_retries=0, timeout=20
    ) as client:
        yield client


async def test_buffered_reply_arrives_whole(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model="gpt-4o", messages=ask("hello"))

    assert reply.choices[0].message.content == "Hello there, friend."
    assert reply.usage is not None
    assert reply.usage.total_tokens == 16


async def test_streamed_reply_arrives_whole(client: openai.AsyncOpenAI) -> None:
    options: Any = {"include_usage": True}
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=ask("a long story"), stream=True, stream_options=options
    )
    async with stream:
        chunks = [chunk async for chunk in stream]

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text.startswith("Once upon a time a byte left home.")
    assert text.endswith("once upon a time a byte left home.")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 60


async def test_forty_calls_at_once_are_not_mixed_up(client: openai.AsyncOpenAI) -> None:
    prompts = ["hello", "too long", "a long story", "think first"] * 10
    expected = {"hello": "Hello", "too long": "It st", "a long story": "Once ", "think first": "The a"}

    texts = await asyncio.gather(*[_text(client, prompt, stream=bool(nr % 3)) for nr, prompt in enumerate(prompts)])

    assert [text[:5] for text in texts] == [expected[prompt] for prompt in prompts]


async def test_model_list_pages_asynchronously(client: openai.AsyncOpenAI) -> None:
    assert "gpt-4o" in [model.id async for model in client.models.list()]


async def test_leaving_a_stream_closes_the_upstream(client: openai.AsyncOpenAI, upstream: Upstream) -> None:
    upstream.relay.hold(after=b"Onc")
    stream = await client.chat.completions.create(model="gpt-4o", messages=ask("a long story"), stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content == "Onc":
            break
    assert not upstream.only().caller_left.is_set()

    await stream.close()

    assert await asyncio.to_thread(upstream.only().caller_left.wait, LEAVE_LIMIT_S)


async def test_cancelling_before_the_first_byte_closes_the_upstream(
    client: openai.AsyncOpenAI, upstream: Upstream
) -> None:
    upstream.relay.hold()
    call = asyncio.create_task(
        client.chat.completions.create(model="gpt-4o", messages=ask("a long story"), stream=True)
    )
    exchange = await _held(upstream)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await asyncio.to_thread(exchange.caller_left.wait, LEAVE_LIMIT_S)


async def test_cancelling_a_buffered_call_closes_the_upstream(client: openai.AsyncOpenAI, upstream: Upstream) -> None:
    upstream.relay.hold()
    call = asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=ask("hello")))
    exchange = await _held(upstream)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await asyncio.to_thread(exchange.caller_left.wait, LEAVE_LIMIT_S)


async def test_next_call_works_after_one_was_abandoned(client: openai.AsyncOpenAI, upstream: Upstream) -> None:
    upstream.relay.hold(after=b"Onc")
    stream = await client.chat.completions.create(model="gpt-4o", messages=ask("a long story"), stream=True)
    await anext(aiter(stream))
    await stream.close()
    upstream.relay.release()

    assert await _text(client, "hello", stream=True) == "Hello there, friend."


async def _held(upstream: Upstream) -> Any:
    """The one exchange, once the upstream's answer lies at the relay."""
    exchange = await asyncio.to_thread(upstream.relay.wait_held)
    assert not exchange.caller_left.is_set()
    return exchange


async def _text(client: openai.AsyncOpenAI, prompt: str, *, stream: bool) -> str:
    if not stream:
        reply = await client.chat.completions.create(model="gpt-4o", messages=ask(prompt))
        return reply.choices[0].message.content or ""
    chunks = await client.chat.completions.create(model="gpt-4o", messages=ask(prompt), stream=True)
    async with chunks:
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

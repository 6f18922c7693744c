"""The official libraries read answers that a plugin ended, whether their upstream speaks their API or another."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from chatproxy import ChatResponse, RequestContext, StreamEvent, hookimpl
from chatproxy.testing import Gateway, make_app
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.types import Ending

pytestmark = pytest.mark.clients

Events = AsyncIterator[StreamEvent]
SAID = Said(content="one two three four", calls=(("look", '{"q": "a secret thing"}'),))
BUFFERED = [cell for cell in CELLS if not cell.is_streamed]


class Stopper:
    """Ends an answer at a word; before that it holds back the last characters of each text."""

    chatproxy_name = "stopper"

    def __init__(self, word: str) -> None:
        self._word = word

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        if any(self._word in text.value for text in response.texts()):
            response.filter("Not this.")

    @hookimpl
    async def transform_stream(self, ctx: RequestContext) -> Callable[[Events], Events]:
        ending = Ending(ctx.layout, model=ctx.exchange.model)

        async def stopped(events: Events) -> Events:
            waiting: dict[Any, tuple[StreamEvent, Any, str]] = {}
            async for event in events:
                if any(self._word in text.value for text in event.texts()):
                    for last in ending.filtered("Not this."):
                        yield last
                    return
                for text in event.texts():
                    if not text.is_whole:
                        whole = (waiting[text.channel][2] if text.channel in waiting else "") + text.value
                        text.replace(whole[:-3])
                        waiting[text.channel] = (event, text, whole[-3:])
                for channel in [channel for channel in waiting if event.ends(channel)]:
                    template, text, value = waiting.pop(channel)
                    added = template.again(text, value)
                    ending.take(added)
                    yield added
                ending.take(event)
                yield event

        return stopped


class Bridge(httpx2.AsyncBaseTransport):
    """The gateway in memory for the libraries, whose HTTP client is of another package than the kit's."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content, headers = await request.aread(), list(request.headers.items())
        answer = await self._client.request(request.method, str(request.url), headers=headers, content=content)
        return httpx2.Response(answer.status_code, headers=list(answer.headers.items()), content=answer.content)


def cells_of(surface: str) -> pytest.MarkDecorator:
    cells = [cell for cell in CELLS if cell.is_streamed and cell.surface == surface]
    return pytest.mark.parametrize("cell", cells, ids=str)


def gateway_of(cell: Cell, word: str) -> Gateway:
    said = SAID if cell.upstream_dialect.has_calls and cell.dialect.has_calls else Said(content=SAID.content)
    return make_app(plugins=[Stopper(word)], upstream=cell.upstream(said), upstreams=cell.upstreams)


def client_of(gateway: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=Bridge(gateway.client))


def openai_of(gateway: Gateway) -> openai.AsyncOpenAI:
    client = client_of(gateway)
    return openai.AsyncOpenAI(base_url="http://gateway/v1", api_key="k", max_retries=0, http_client=client)


def anthropic_of(gateway: Gateway) -> anthropic.AsyncAnthropic:
    client = client_of(gateway)
    return anthropic.AsyncAnthropic(base_url="http://gateway", api_key="k", max_retries=0, http_client=client)


async def chunks_of(gateway: Gateway) -> list[Any]:
    messages: Any = [{"role": "user", "content": "hi"}]
    stream: Any = await openai_of(gateway).chat.completions.create(model="m", messages=messages, stream=True)
    return [choice async for chunk in stream for choice in chunk.choices]


async def response_events_of(gateway: Gateway) -> list[Any]:
    async with openai_of(gateway).responses.stream(model="m", input="hi") as stream:
        return [event async for event in stream]


@cells_of("chat")
async def test_chat_stream_ends_with_content_filter(cell: Cell) -> None:
    async with gateway_of(cell, "three") as gateway:
        choices = await chunks_of(gateway)
    assert "".join(choice.delta.content or "" for choice in choices) == "one tNot this."
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["content_filter"]


@cells_of("chat")
async def test_chat_stream_with_a_call_ends_with_content_filter(cell: Cell) -> None:
    async with gateway_of(cell, "secret") as gateway:
        choices = await chunks_of(gateway)
    calls = [call for choice in choices for call in choice.delta.tool_calls or ()]
    assert [call.function.name for call in calls if call.function.name] == ["look"]
    assert "secret" not in "".join(call.function.arguments or "" for call in calls)
    assert choices[-1].finish_reason == "content_filter"


@cells_of("chat")
async def test_chat_stream_helper_raises_its_own_error_for_a_filtered_answer(cell: Cell) -> None:
    async with gateway_of(cell, "three") as gateway:
        asked: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        async with openai_of(gateway).chat.completions.stream(**asked) as stream:
            kinds = [event.type async for event in stream]
            with pytest.raises(openai.ContentFilterFinishReasonError):
                await stream.get_final_completion()
    assert kinds.count("content.done") == 1


@cells_of("completions")
async def test_completion_stream_ends_with_content_filter(cell: Cell) -> None:
    async with gateway_of(cell, "three") as gateway:
        stream: Any = await openai_of(gateway).completions.create(model="m", prompt="hi", stream=True)
        choices = [choice async for chunk in stream for choice in chunk.choices]
    assert "".join(choice.text for choice in choices) == "one tNot this."
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["content_filter"]


@cells_of("responses")
async def test_response_stream_helper_ends_incomplete(cell: Cell) -> None:
    async with gateway_of(cell, "three") as gateway:
        events = await response_events_of(gateway)
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "content_filter"
    assert last.response.output_text == "one tNot this."
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [(item.status, item.content[0].text) for item in done] == [
        ("incomplete", "one t"),
        ("completed", "Not this."),
    ]
    assert [item.id for item in last.response.output] == [item.id for item in done]
    assert [event.text for event in events if event.type == "response.output_text.done"] == ["one t", "Not this."]
    assert [event.sequence_number for event in events] == list(range(len(events)))


@cells_of("responses")
async def test_response_stream_helper_reads_a_call_that_was_cut(cell: Cell) -> None:
    async with gateway_of(cell, "secret") as gateway:
        events = await response_events_of(gateway)
    message, call, said = events[-1].response.output
    assert message.content[0].text == SAID.content
    assert (call.type, call.name, call.status) == ("function_call", "look", "incomplete")
    assert call.arguments == "".join(
        event.delta for event in events if event.type == "response.function_call_arguments.delta"
    )
    assert "secret" not in call.arguments
    assert said.content[0].text == "Not this."
    assert [event.sequence_number for event in events] == list(range(len(events)))


@cells_of("messages")
async def test_message_stream_helper_ends_refused(cell: Cell) -> None:
    async with gateway_of(cell, "three") as gateway:
        asked: Any = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
        async with anthropic_of(gateway).messages.stream(**asked) as stream:
            kinds = [event.type async for event in stream]
            final: Any = await stream.get_final_message()
    assert (final.stop_reason, [block.text for block in final.content]) == ("refusal", ["one t", "Not this."])
    assert kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2


@cells_of("messages")
async def test_message_stream_helper_reads_a_call_that_was_cut(cell: Cell) -> None:
    async with gateway_of(cell, "secret") as gateway:
        asked: Any = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
        async with anthropic_of(gateway).messages.stream(**asked) as stream:
            final: Any = await stream.get_final_message()
    assert final.stop_reason == "refusal"
    assert [block.type for block in final.content] == ["text", "tool_use", "text"]
    assert "secret" not in json.dumps(final.content[1].input)


@pytest.mark.parametrize("cell", BUFFERED, ids=str)
async def test_buffered_answers_are_filtered(cell: Cell) -> None:
    async with gateway_of(cell, "three") as gateway:
        client, messages = openai_of(gateway), [{"role": "user", "content": "hi"}]
        answer: Any
        if cell.surface == "chat":
            (answer,) = (await client.chat.completions.create(model="m", messages=messages)).choices  # type: ignore[arg-type]
            found = (answer.message.content, answer.message.tool_calls, answer.finish_reason)
            assert found == ("Not this.", None, "content_filter")
        elif cell.surface == "completions":
            (answer,) = (await client.completions.create(model="m", prompt="hi")).choices
            assert (answer.text, answer.finish_reason) == ("Not this.", "content_filter")
        elif cell.surface == "responses":
            answer = await client.responses.create(model="m", input="hi")
            assert (answer.output_text, answer.status, len(answer.output)) == ("Not this.", "incomplete", 1)
            assert answer.incomplete_details.reason == "content_filter"
        else:
            asked: Any = {"model": "m", "max_tokens": 99, "messages": messages}
            answer = await anthropic_of(gateway).messages.create(**asked)
            assert ([block.text for block in answer.content], answer.stop_reason) == (["Not this."], "refusal")
        assert cell.surface != "completions" or answer.logprobs is None

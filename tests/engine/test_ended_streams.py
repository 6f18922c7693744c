"""Streams that a plugin lengthens or ends: what clients hear in every cell of the matrix, and what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chatproxy import ChatResponse, RequestContext, StreamEvent, hookimpl
from chatproxy.testing import Fault, Recorder, ScriptedUpstream, make_app, raw_reply, stream_reply
from chatproxy.testing.matrix import CELLS, Cell, Said, cells_with
from chatproxy.testing.matrix.said import Heard, events_in, scripted
from chatproxy.types import Ending, Exchange, Usage

Events = AsyncIterator[StreamEvent]
CALLS = (("look", '{"q": "a long thing"}'), ("find", '{"q": "b"}'))
FILTERED = {**dict.fromkeys(("chat", "completions", "responses"), "content_filter"), "messages": "refusal"}
STREAMED = [cell for cell in CELLS if cell.is_streamed]
NATIVE = [cell for cell in STREAMED if cell.is_native]
SAYING_ALL = [cell for cell in cells_with(calls=True, reasoning=True) if cell.is_streamed]


def said_in(cell: Cell) -> Said:
    if cell in SAYING_ALL:
        return Said(content="one two three four", reasoning="so it is", calls=CALLS)
    return Said(content="one two three four")


class Holder:
    """Holds back the last characters of each running text until the text ends.

    Args:
        drops: leaves out deltas of which nothing is left.
    """

    chatproxy_name = "holder"

    def __init__(self, *, drops: bool = False, held: int = 5) -> None:
        self._drops = drops
        self._held = held

    @hookimpl
    async def transform_stream(self) -> Callable[[Events], Events]:
        return self._hold

    async def _hold(self, events: Events) -> Events:
        waiting: dict[Any, tuple[Any, Any, str]] = {}
        async for event in events:
            pieces = [text for text in event.texts() if not text.is_whole]
            for text in pieces:
                whole = waiting.get(text.channel, ("", "", ""))[2] + text.value
                text.replace(whole[: -self._held])
                waiting[text.channel] = (event, text, whole[-self._held :])
            for channel in [channel for channel in waiting if event.ends(channel)]:
                template, text, value = waiting.pop(channel)
                yield template.again(text, value)
            if not (self._drops and pieces and event.name.endswith("delta") and not any(text.value for text in pieces)):
                yield event
        assert not waiting, "no event said that these texts end"


class Stopper:
    """Ends a stream, or a buffered answer, at the first text that has a word in it."""

    chatproxy_name = "stopper"

    def __init__(self, word: str, message: str = "", usage: Usage | None = None) -> None:
        self._word = word
        self._message = message
        self._usage = usage

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        if any(self._word in text.value for text in response.texts()):
            response.filter(self._message)

    @hookimpl
    async def transform_stream(self, ctx: RequestContext) -> Callable[[Events], Events]:
        ending = Ending(ctx.layout, model=ctx.exchange.model)

        async def stopped(events: Events) -> Events:
            async for event in events:
                if any(self._word in text.value for text in event.texts()):
                    for last in ending.filtered(self._message, self._usage):
                        yield last
                    return
                ending.take(event)
                yield event

        return stopped


def parts_of(cell: Cell, said: Said) -> tuple[bytes, ...]:
    return scripted(cell.upstream_dialect, said, is_streamed=True).parts


def streaming(*parts: bytes, fault: Fault | None = None) -> ScriptedUpstream:
    return ScriptedUpstream(raw_reply(*parts, content_type="text/event-stream", fault=fault))


async def heard_with(cell: Cell, plugin: Any, said: Said) -> tuple[Heard, Exchange]:
    recorder = Recorder()
    upstream = cell.upstream(said)
    plugins = [recorder] if plugin is None else [plugin, recorder]
    async with make_app(plugins=plugins, upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hello")
        await recorder.wait()
        await upstream.wait_closed()
    (exchange,) = recorder.exchanges
    return heard, exchange


@pytest.mark.parametrize("drops", [False, True], ids=["empties", "drops"])
@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_text_that_was_held_arrives_whole(cell: Cell, drops: bool) -> None:
    """Responses' events are numbered one after the other, else reading them fails."""
    said = said_in(cell)
    plain, _ = await heard_with(cell, None, said)
    heard, exchange = await heard_with(cell, Holder(drops=drops), said)
    assert heard == plain
    assert (heard.content, heard.reasoning, len(heard.calls)) == (said.content, said.reasoning, len(said.calls))
    assert (exchange.outcome, exchange.usage and exchange.usage.source) == ("completed", "provider")


@pytest.mark.parametrize("message", ["", "Not this."], ids=["silent", "with-a-message"])
@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_an_answer_is_filtered(cell: Cell, message: str) -> None:
    heard, exchange = await heard_with(cell, Stopper("three", message), Said(content="one two three four"))
    before = "one two " if cell.is_streamed else ""
    assert (heard.status, heard.error, heard.is_complete) == (200, None, True)
    assert (heard.content, heard.finish) == (before + message, FILTERED[cell.surface])
    if heard.whole is not None:
        assert heard.whole.content == before + message
    assert exchange.finish_reasons == ["content_filter"]
    assert (exchange.outcome, exchange.status, exchange.error_code) == ("completed", 200, None)


@pytest.mark.parametrize("cell", SAYING_ALL, ids=str)
async def test_an_answer_is_filtered_in_its_reasoning(cell: Cell) -> None:
    heard, exchange = await heard_with(cell, Stopper("is", "No."), said_in(cell))
    assert (heard.reasoning, heard.content, heard.calls) == ("so it ", "No.", [])
    assert (heard.finish, exchange.finish_reasons) == (FILTERED[cell.surface], ["content_filter"])
    if heard.whole is not None:
        assert (heard.whole.reasoning, heard.whole.content) == ("so it ", "No.")


@pytest.mark.parametrize("cell", SAYING_ALL, ids=str)
async def test_an_answer_is_filtered_in_a_call(cell: Cell) -> None:
    heard, _ = await heard_with(cell, Stopper("long"), Said(content="Look:", calls=CALLS))
    assert heard.is_complete
    assert (heard.content, heard.finish) == ("Look:", FILTERED[cell.surface])
    assert [name for name, _ in heard.calls] == ["look"]
    assert "long" not in heard.calls[0][1]
    if heard.whole is not None:
        assert heard.whole.calls == heard.calls


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_an_answer_is_filtered_before_anything_was_sent(cell: Cell) -> None:
    """A plugin may hold the very first events; then the ending begins the answer too."""

    class AtOnce:
        @hookimpl
        async def transform_stream(self, ctx: RequestContext) -> Callable[[Events], Events]:
            async def ended(events: Events) -> Events:
                async for _ in events:
                    break
                for last in Ending(ctx.layout, model=ctx.exchange.model).filtered("No.", Usage(prompt_tokens=3)):
                    yield last

            return ended

    heard, exchange = await heard_with(cell, AtOnce(), Said(content="one two"))
    assert (heard.content, heard.finish, heard.is_complete) == ("No.", FILTERED[cell.surface], True)
    assert heard.usage == (3, 0)
    assert exchange.finish_reasons == ["content_filter"]


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_the_client_is_told_the_usage_that_the_plugin_gives(cell: Cell) -> None:
    usage = Usage(prompt_tokens=7, completion_tokens=2, total_tokens=9, source="estimated")
    heard, _ = await heard_with(cell, Stopper("three", usage=usage), Said(content="one two three four", usage=(7, 9)))
    assert heard.usage == (7, 2)


async def test_usage_goes_only_to_chat_clients_that_asked_for_it() -> None:
    plugin = Stopper("b", usage=Usage(prompt_tokens=1))
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream(stream_reply(("a", "b")))) as gateway:
        answer = await gateway.chat("hi", stream=True)
    chunks = events_in(answer.content)
    assert chunks[-1] == "[DONE]"
    assert [chunk for chunk in chunks if isinstance(chunk, dict) and chunk.get("usage")] == []


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_a_stalled_upstream_is_left_at_once(cell: Cell) -> None:
    """It is closed as soon as the client has its end, and what it said until then is counted."""
    parts = parts_of(cell, Said(content="one two three four"))
    stalled = streaming(*parts[:-4], fault=Fault.STALL)
    recorder = Recorder()
    async with make_app(plugins=[Stopper("three"), recorder], upstream=stalled, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hello")
        async with asyncio.timeout(1):
            await stalled.wait_closed()
            await recorder.wait()
    (exchange,) = recorder.exchanges
    assert (heard.content, heard.is_complete, stalled.closed_early) == ("one two ", True, 1)
    assert (exchange.outcome, exchange.finish_reasons) == ("completed", ["content_filter"])
    assert exchange.usage is not None
    assert exchange.usage.source == ("provider" if cell.surface == "messages" else "estimated")
    assert 0 < exchange.events < len(parts)


async def test_the_finish_reason_on_record_is_the_one_that_was_told() -> None:
    """Also where the upstream's own came in the same bytes as the text that ended the stream."""
    parts = b"".join(stream_reply(("good ", "bad ")).parts)
    recorder = Recorder()
    upstream = streaming(parts)
    async with make_app(plugins=[Stopper("bad"), recorder], upstream=upstream) as gateway:
        await gateway.chat("hi", stream=True)
        await recorder.wait()
    (exchange,) = recorder.exchanges
    assert (exchange.finish_reasons, exchange.outcome) == (["content_filter"], "completed")


async def test_choices_end_one_by_one() -> None:
    def piece(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    chunks = [piece(0, "fine"), piece(1, "well"), piece(0, "", "stop"), piece(1, "bad"), piece(1, "", "stop")]
    upstream = ScriptedUpstream(stream_reply(chunks, finish_reason="stop"))
    recorder = Recorder()
    async with make_app(plugins=[Stopper("bad", "No."), recorder], upstream=upstream) as gateway:
        answer = await gateway.chat("hi", stream=True, n=2)
        await recorder.wait()
    told = [choice for event in events_in(answer.content) if isinstance(event, dict) for choice in event["choices"]]
    assert [(choice["index"], choice["finish_reason"]) for choice in told if choice["finish_reason"]] == [
        (0, "stop"),
        (1, "content_filter"),
    ]
    assert [choice["delta"]["content"] for choice in told if choice["delta"].get("content")] == ["fine", "well", "No."]
    assert recorder.exchanges[0].finish_reasons == ["stop", "content_filter"]


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_events_may_be_added_after_the_last_one(cell: Cell) -> None:
    class Postscript:
        @hookimpl
        async def transform_stream(self, ctx: RequestContext) -> Callable[[Events], Events]:
            async def longer(events: Events) -> Events:
                said: dict[str, Any] = {}
                async for event in events:
                    said = event.snapshot()
                    yield event
                yield StreamEvent.of({**said, "note": "ps"}, layout=ctx.layout)

            return longer

    upstream = cell.upstream(Said(content="one two"))
    body = {"model": "scripted", "stream": True, "stream_options": {"include_usage": True}}
    async with make_app(plugins=[Postscript()], upstream=upstream, upstreams=cell.upstreams) as gateway:
        question = cell.dialect.question("Hello", earlier=None, result=None)
        answer = await gateway.client.post(cell.dialect.path, json={**body, **question})
    events = [event for event in events_in(answer.content) if isinstance(event, dict)]
    assert [event.get("note") for event in events[-2:]] == [None, "ps"]
    if cell.surface == "responses":
        assert [event["sequence_number"] for event in events] == list(range(len(events)))


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_streams_whose_transforms_add_nothing_keep_their_bytes(cell: Cell) -> None:
    """Also where an upstream numbers its events strangely."""

    class Reader:
        @hookimpl
        async def transform_stream(self) -> Callable[[Events], Events]:
            async def read(events: Events) -> Events:
                async for event in events:
                    list(event.texts())
                    yield event

            return read

    parts = [part.replace(b'number":3', b'number": 33') for part in parts_of(cell, Said(content="one two"))]
    body = {"model": "scripted", "stream": True, "stream_options": {"include_usage": True}}
    async with make_app(plugins=[Reader()], upstream=streaming(*parts), upstreams=cell.upstreams) as gateway:
        question = cell.dialect.question("Hello", earlier=None, result=None)
        answer = await gateway.client.post(cell.dialect.path, json={**body, **question})
    own = [part for part in parts if b'"response":' not in part]  # into those the gateway writes what it stores
    assert b"".join(own) in answer.content
    assert len(own) >= 4


async def test_an_error_after_added_events_has_the_next_number() -> None:
    (cell,) = [cell for cell in NATIVE if cell.surface == "responses"]
    upstream = streaming(*parts_of(cell, Said(content="one two three"))[:6])

    class Doubler:
        @hookimpl
        async def transform_stream(self) -> Callable[[Events], Events]:
            async def doubled(events: Events) -> Events:
                async for event in events:
                    yield event
                    for text in event.texts():
                        if not text.is_whole:
                            yield event.again(text, "!")

            return doubled

    async with make_app(plugins=[Doubler()], upstream=upstream, upstreams=cell.upstreams) as gateway:
        answer = await gateway.client.post(cell.dialect.path, json={"model": "m", "input": "hi", "stream": True})
    events: list[Any] = events_in(answer.content)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "error"
    assert "".join(event["delta"] for event in events if "delta" in event) == "one !two !three!"


async def test_a_filtered_response_is_stored_as_it_was_told() -> None:
    (cell,) = [cell for cell in NATIVE if cell.surface == "responses"]
    upstream = cell.upstream(Said(content="one two three"))
    async with make_app(plugins=[Stopper("three", "No.")], upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "hi")
        stored = (await gateway.client.get("/v1/responses/resp_matrix")).json()
    assert heard.content == "one two No."
    assert (stored["status"], stored["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert [part["text"] for item in stored["output"] for part in item["content"]] == ["one two ", "No."]
    assert [item["status"] for item in stored["output"]] == ["incomplete", "completed"]

"""What a handler may be and may give, on every surface."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from enum import StrEnum
from typing import Any

import pytest
from chatproxy_kit import Context
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from chatproxy.testing import events_of, text_of
from chatproxy.testing.matrix import CELLS, Cell

from .asking import USER, ask, gateway_of, kit_with, said

Json = dict[str, Any]
MESSAGE = {"role": "assistant", "content": "Hello there"}
COMPLETION: Json = {"choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}
NATIVE = [cell for cell in CELLS if cell.is_native]
WITH_CALLS = [cell for cell in NATIVE if cell.dialect.has_calls]


def delta(**said: Any) -> Json:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": None}]}


async def texts(messages: Any, context: Any) -> AsyncIterator[str]:
    yield "Hello "
    yield "there"


async def slow_texts(messages: Any, context: Any) -> AsyncIterator[str]:
    for text in ("Hello ", "", "there"):
        await asyncio.sleep(0)
        yield text


async def chunks(messages: Any, context: Any) -> AsyncIterator[Json]:
    yield delta(role="assistant", content="Hello ")
    yield delta(content="there")


async def both(messages: Any, context: Any) -> AsyncIterator[Json | str]:
    yield "Hello "
    yield delta(content="there")


async def objects(messages: Any, context: Any) -> AsyncIterator[ChatCompletionChunk]:
    for part in ("Hello ", "there"):
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "other"}
        yield ChatCompletionChunk.model_validate({**head, **delta(content=part)})


async def text(messages: Any, context: Any) -> str:
    return "Hello there"


async def mapping(messages: Any, context: Any) -> Json:
    return COMPLETION


async def whole_object(messages: Any, context: Any) -> ChatCompletion:
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "other"}
    return ChatCompletion.model_validate({**head, **COMPLETION})


async def returned_iterator(messages: Any, context: Any) -> AsyncIterator[str]:
    return texts(messages, context)


def plain_text(messages: Any, context: Any) -> str:
    assert threading.current_thread() is not threading.main_thread()
    return "Hello there"


def plain_texts(messages: Any, context: Any) -> Iterator[str]:
    assert threading.current_thread() is not threading.main_thread()
    yield "Hello "
    yield "there"


def returned_generator(messages: Any, context: Any) -> Iterator[str]:
    return iter(("Hello ", "there"))


def returned_coroutine(messages: Any, context: Any) -> Any:
    return text(messages, context)


class Callee:
    async def __call__(self, messages: Any, context: Any) -> str:
        return "Hello there"


KINDS: list[Callable[..., Any]] = [
    texts, slow_texts, chunks, both, objects, text, mapping, whole_object, returned_iterator, plain_text, plain_texts,
    returned_generator, returned_coroutine,
]  # fmt: skip


@pytest.mark.parametrize("cell", NATIVE, ids=str)
@pytest.mark.parametrize("kind", [*KINDS, Callee()], ids=lambda kind: getattr(kind, "__name__", "callable object"))
async def test_every_kind_of_handler_answers_on_every_surface(kind: Callable[..., Any], cell: Cell) -> None:
    async with gateway_of(kit_with(kind)) as gateway:
        heard = await cell.ask(gateway, "Hi", model="chatkit")
    assert (heard.status, heard.content, heard.error, heard.is_complete) == (200, "Hello there", None, True)


async def calling(messages: Any, context: Any) -> AsyncIterator[Json | str]:
    yield "Let me see. "
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    yield delta(tool_calls=[call])
    for part in ('{"at":', '"it"}'):
        yield delta(tool_calls=[{"index": 0, "function": {"arguments": part}}])


async def calling_whole(messages: Any, context: Any) -> Json:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"it"}'}}
    message = {"role": "assistant", "content": "Let me see. ", "tool_calls": [call]}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


@pytest.mark.parametrize("cell", WITH_CALLS, ids=str)
@pytest.mark.parametrize("kind", [calling, calling_whole], ids=["chunks", "mapping"])
async def test_tool_calls_reach_the_client_on_every_surface(kind: Callable[..., Any], cell: Cell) -> None:
    async with gateway_of(kit_with(kind)) as gateway:
        heard = await cell.ask(gateway, "Hi", model="chatkit")
    assert heard.calls == [("look", '{"at":"it"}')]
    assert heard.content == "Let me see. "
    assert heard.finish in {"tool_calls", "tool_use", "completed"}
    assert heard.is_complete


async def test_chunks_of_one_answer_share_one_head() -> None:
    async with gateway_of(kit_with(both)) as gateway:
        answer = await ask(gateway, stream=True, session_id="s1")
    *events, done = events_of(answer.content)
    heads = {
        tuple(event[key] for key in ("id", "object", "created", "model", "system_fingerprint")) for event in events
    }
    assert done == "[DONE]"
    assert len(heads) == 1
    assert next(iter(heads))[3:] == ("chatkit", "s1")
    assert [event["choices"][0]["finish_reason"] for event in events] == [None, None, "stop"]
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"


async def test_chunks_of_another_model_are_told_as_the_kits_own() -> None:
    async with gateway_of(kit_with(objects)) as gateway:
        answer = await ask(gateway, stream=True)
    assert {event["model"] for event in events_of(answer.content)[:-1]} == {"chatkit"}


async def finishing(messages: Any, context: Any) -> AsyncIterator[Json]:
    yield delta(content="cut")
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    yield {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_finish_reason_and_usage_of_the_handler_are_kept(stream: bool) -> None:
    async with gateway_of(kit_with(finishing)) as gateway:
        answer = await ask(gateway, stream=stream, stream_options={"include_usage": True} if stream else None)
    if stream:
        reasons = [c["finish_reason"] for e in events_of(answer.content)[:-1] for c in e["choices"]]
        assert reasons == [None, "length"]
        assert events_of(answer.content)[-2]["usage"]["total_tokens"] == 4
    else:
        assert answer.json()["choices"][0]["finish_reason"] == "length"
        assert answer.json()["usage"]["total_tokens"] == 4


class Word(StrEnum):
    HELLO = "Hello "


class Marked(str):
    __slots__ = ()


async def marked(messages: Any, context: Any) -> AsyncIterator[str]:
    yield Word.HELLO
    yield Marked("there")


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_subclasses_of_text_are_texts(stream: bool) -> None:
    async with gateway_of(kit_with(marked)) as gateway:
        answer = await ask(gateway, stream=stream)
    assert (text_of(answer.content) if stream else said(answer)) == "Hello there"


@pytest.mark.parametrize("returns", [False, True], ids=["yielded", "returned"])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_long_text_comes_in_pieces_that_clients_can_read(stream: bool, returns: bool) -> None:
    long = "ä" * 2_000_000

    async def yielding(messages: Any, context: Any) -> AsyncIterator[str]:
        yield long

    async def returning(messages: Any, context: Any) -> str:
        return long

    async with gateway_of(kit_with(returning if returns else yielding)) as gateway:
        answer = await ask(gateway, stream=stream)
    assert (text_of(answer.content) if stream else said(answer)) == long
    assert not stream or max(map(len, answer.content.splitlines())) < 1 << 20


async def test_own_path_streams_unless_it_is_told_not_to() -> None:
    async with gateway_of(kit_with(texts)) as gateway:
        streamed = await gateway.client.post("/chatkit", json={"messages": [USER]})
        buffered = await gateway.client.post("/chatkit", json={"messages": [USER], "stream": False})
        named = await gateway.client.post("/chatkit", json={"messages": [USER], "model": "demo", "stream": False})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert text_of(streamed.content) == said(buffered) == said(named) == "Hello there"


async def test_handler_gets_the_conversation_as_its_own_copy() -> None:
    seen: list[Any] = []

    async def handler(messages: list[Json], context: Context) -> str:
        seen.append([{"role": "system", "content": "Be brief."}, *(dict(m) for m in messages)])
        messages.append({"role": "user", "content": "changed"})
        messages[0]["content"] = "changed"
        seen.append(context.request["messages"])
        return "ok"

    async with gateway_of(kit_with(handler)) as gateway:
        assert said(await ask(gateway)) == "ok"
    assert seen == [[{"role": "system", "content": "Be brief."}, USER], [USER]]


async def test_context_tells_of_the_exchange() -> None:
    seen: list[Context] = []

    async def handler(messages: Any, context: Context) -> str:
        seen.append(context)
        return "ok"

    async with gateway_of(kit_with(handler)) as gateway:
        answer = await ask(
            gateway, headers={"x-tenant": "blue", "authorization": "Bearer secret"}, metadata={"session_id": "s1"},
            user="ann", temperature=0.5,
        )  # fmt: skip
    (context,) = seen
    assert (context["session_id"], context.session_id, context.get("user_id")) == ("s1", "s1", "ann")
    assert context.request_id == answer.headers["x-request-id"]
    assert context.headers["X-Tenant"] == "blue"
    assert "authorization" not in context.headers
    assert context.request["temperature"] == 0.5
    assert (context.model, context.principal) == ("chatkit", None)
    context.note = "mine"
    assert context["note"] == "mine"
    with pytest.raises(AttributeError, match="no 'tenant'"):
        _ = context.tenant


async def test_context_without_a_user_has_no_such_key() -> None:
    async def handler(messages: Any, context: Context) -> str:
        return f"{context.get('user_id', 'anonymous')} {context.user_id}"

    async with gateway_of(kit_with(handler)) as gateway:
        assert said(await ask(gateway)) == "anonymous None"


async def test_handler_asks_another_model_through_the_gateway() -> None:
    async def handler(messages: list[Json], context: Context) -> str:
        reply = await context.ask({"model": "demo", "messages": messages})
        return "Demo says: " + reply.choices[0]["message"]["content"]

    async with gateway_of(kit_with(handler)) as gateway:
        direct = said(await gateway.chat("Hi", model="demo"))
        assert said(await ask(gateway)) == f"Demo says: {direct}"


async def test_handler_passes_on_a_stream_of_another_model() -> None:
    async def handler(messages: list[Json], context: Context) -> AsyncIterator[Json]:
        async for chunk in context.ask_stream({"model": "demo", "messages": messages}):
            yield chunk

    async with gateway_of(kit_with(handler)) as gateway:
        direct = await gateway.chat("Hi", model="demo", stream=True)
        answer = await ask(gateway, stream=True)
    assert text_of(answer.content) == text_of(direct.content)


@pytest.mark.parametrize(
    "messages", [[], None, "Hi", [3], [{"content": "x"}]], ids=["empty", "null", "text", "number", "no role"]
)
async def test_conversation_that_is_none_is_refused(messages: Any) -> None:
    async with gateway_of(kit_with(texts)) as gateway:
        answer = await ask(gateway, messages=messages)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("messages")


async def test_model_is_listed_with_its_description() -> None:
    async with gateway_of(kit_with(texts, model="team/support", description="Helps.", path=None)) as gateway:
        listed = (await gateway.client.get("/v1/models/team/support")).json()
        assert said(await gateway.chat("Hi", model="team/support")) == "Hello there"
        assert (await ask(gateway)).status_code == 404
    assert (listed["id"], listed["description"]) == ("team/support", "Helps.")


async def test_two_kits_answer_side_by_side() -> None:
    first, second = kit_with(texts, model="one", path="/one"), kit_with(text, model="two", path="/two")
    async with gateway_of(first, second) as gateway:
        for model in ("one", "two"):
            assert said(await ask(gateway, f"/{model}")) == "Hello there"
            assert said(await gateway.chat("Hi", model=model)) == "Hello there"
        listed = [entry["id"] for entry in (await gateway.client.get("/v1/models")).json()["data"]]
    assert listed == ["demo", "one", "two"]

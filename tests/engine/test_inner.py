"""Models that ask models through the gateway: an exchange inside of an exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import pytest

from chatproxy import (
    ChatRequest,
    Completed,
    Exchange,
    Handler,
    Principal,
    Reject,
    Reply,
    RequestContext,
    StreamEvent,
    as_reply,
    hookimpl,
)
from chatproxy.testing import (
    Fault,
    Scripted,
    ScriptedUpstream,
    error_reply,
    events_of,
    make_app,
    reply,
    stream_reply,
    text_of,
)

HELLO = [{"role": "user", "content": "Hello"}]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


class Asking:
    """A model that has another one answer; and a gateway's other plugin, which sees both exchanges."""

    name = "asking"

    def __init__(self, *, model: str = "scripted") -> None:
        self.model = model
        self.seen: list[tuple[int, str, str | None]] = []
        self.ended: list[Exchange] = []
        self.error: BaseException | None = None

    @hookimpl
    def handlers(self) -> Iterable[Handler]:
        return [self]

    @hookimpl
    async def select_handler(self, request: ChatRequest) -> str | None:
        return "asking" if request.model == "outer" else None

    @hookimpl
    async def authenticate(self) -> Principal:
        return Principal(id="ann")

    @hookimpl
    async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
        self.seen.append((ctx.depth, request.model, ctx.principal.id if ctx.principal else None))
        ctx.at_end(self.ended.append)
        if any("forbidden" in text.value for text in request.texts()):
            raise Reject("No.", status=400, code="no")

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        body = {**request, "model": self.model}
        if not request.stream:
            return Completed(await ctx.ask(body))

        async def texts() -> AsyncIterator[str]:
            async with aclosing(ctx.ask_stream(body)) as events:
                async for event in events:
                    for choice in event["choices"]:
                        yield choice["delta"].get("content") or ""

        return await as_reply(texts(), model=request.model, stream=True, name=self.name)


@STREAMED
async def test_inner_exchange_goes_through_the_hooks_and_has_a_record_of_its_own(stream: bool) -> None:
    plugin, upstream = Asking(), ScriptedUpstream(stream_reply("fine") if stream else reply("fine"))
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        answer = await gateway.chat("Hello", model="outer", stream=stream)
    assert answer.status_code == 200
    assert (text_of(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]) == "fine"
    assert plugin.seen == [(0, "outer", "ann"), (1, "scripted", "ann")]
    inner, outer = plugin.ended
    assert (inner.parent_id, outer.parent_id) == (outer.request_id, "")
    assert (inner.outcome, outer.outcome, inner.principal) == ("completed", "completed", "ann")
    assert inner.usage is not None
    assert inner.usage.source == "provider"


@STREAMED
@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        (error_reply(429, "slow down", code="too_fast"), 429, "too_fast"),
        (Scripted(fault=Fault.REFUSE), 502, "upstream_"),
    ],
    ids=["status", "refused"],
)
async def test_failure_of_the_inner_exchange_is_the_outer_ones(
    given: Any, status: int, code: str, stream: bool
) -> None:
    plugin = Asking()
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream(given)) as gateway:
        answer = await gateway.chat("Hello", model="outer", stream=stream)
    assert answer.status_code == status
    assert answer.json()["error"]["code"].startswith(code)
    assert [exchange.outcome for exchange in plugin.ended] == ["failed", "failed"]


async def test_inner_stream_that_breaks_ends_the_outer_one_with_an_error_event() -> None:
    plugin = Asking()
    upstream = ScriptedUpstream(stream_reply(["fi", "ne"], finish_reason=None, done=False, fault=Fault.RESET))
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        answer = await gateway.chat("Hello", model="outer", stream=True)
    *_, last = events_of(answer.content)
    assert text_of(answer.content) == "fine"
    assert last["error"]["code"].startswith("upstream_")
    assert [exchange.outcome for exchange in plugin.ended] == ["failed", "failed"]


async def test_guard_refuses_what_a_model_asks() -> None:
    class Rude(Asking):
        async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
            return Completed(
                await ctx.ask({"model": "scripted", "messages": [{"role": "user", "content": "forbidden"}]})
            )

    plugin, upstream = Rude(), ScriptedUpstream(reply("fine"))
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        answer = await gateway.chat("Hello", model="outer")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no")
    assert upstream.requests == []


async def test_model_that_asks_itself_is_stopped() -> None:
    plugin = Asking(model="outer")
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream()) as gateway:
        answer = await gateway.chat("Hello", model="outer")
    assert (answer.status_code, answer.json()["error"]["code"]) == (508, "loop_detected")
    assert [depth for depth, _, _ in plugin.seen] == list(range(9))
    assert {exchange.outcome for exchange in plugin.ended} == {"failed"}


async def test_inner_exchange_needs_no_place_of_its_own() -> None:
    plugin, upstream = Asking(), ScriptedUpstream(reply("fine"))
    async with make_app(plugins=[plugin], upstream=upstream, max_concurrency=1) as gateway:
        answer = await gateway.chat("Hello", model="outer")
    assert answer.status_code == 200


async def test_stream_left_early_closes_the_inner_upstream() -> None:
    class Impatient(Asking):
        async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
            async with aclosing(ctx.ask_stream({"model": "scripted", "messages": HELLO})) as events:
                first = await anext(events)
            return await as_reply(first["choices"][0]["delta"].get("role", ""), model="outer", stream=False)

    plugin, upstream = Impatient(), ScriptedUpstream(stream_reply("abc"))
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        answer = await gateway.chat("Hello", model="outer")
    assert answer.json()["choices"][0]["message"]["content"] == "assistant"
    assert plugin.ended[0].outcome == "client_disconnected"


async def test_stream_that_nobody_closes_ends_with_the_outer_exchange() -> None:
    upstream = ScriptedUpstream(stream_reply(["fi", "ne"], finish_reason=None, done=False, fault=Fault.STALL))
    kept: list[Any] = []
    over = asyncio.Event()

    class Forgetful(Asking):
        @hookimpl
        async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
            await super().before_request(ctx, request)
            if ctx.depth:
                ctx.at_end(lambda _: over.set())

        async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
            events = ctx.ask_stream({**request, "model": "scripted"})
            kept.append(events)  # whoever holds it keeps the garbage collector from closing it
            await anext(events)
            return await as_reply("enough", model="outer", stream=False)

    plugin = Forgetful()
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        answer = await gateway.chat("Hello", model="outer")
        assert answer.status_code == 200
        await asyncio.wait_for(over.wait(), 5)
        with pytest.raises(StopAsyncIteration):
            await anext(kept[0])
    assert [exchange.outcome for exchange in plugin.ended] == ["completed", "client_disconnected"]


async def test_cancelled_outer_exchange_ends_the_inner_one() -> None:
    class Watched(Asking):
        @hookimpl
        async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: Any) -> Reply:
            if ctx.depth:
                asked.set()
            found: Reply = await call_next(request)
            return found

    asked = asyncio.Event()
    plugin, upstream = Watched(), ScriptedUpstream(Scripted(fault=Fault.STALL_BEFORE))
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        asking = asyncio.create_task(gateway.chat("Hello", model="outer"))
        await asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert [exchange.outcome for exchange in plugin.ended] == ["client_disconnected", "client_disconnected"]


async def test_asking_outside_of_an_exchange_is_refused() -> None:
    class Listing(Asking):
        @hookimpl
        async def models(self, ctx: RequestContext) -> list[Any]:
            try:
                await ctx.ask({"model": "scripted", "messages": HELLO})
            except RuntimeError as error:
                self.error = error
            return []

    plugin = Listing()
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream()) as gateway:
        await gateway.client.get("/v1/models")
    assert "no model can be asked" in str(plugin.error)


async def test_stream_of_an_answer_from_a_cache_is_one_all_the_same() -> None:
    class Cache:
        @hookimpl
        async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: Any) -> Reply:
            found: Reply = await call_next(request) if ctx.depth == 0 else Completed(cached)
            return found

    choice = {"index": 0, "message": {"role": "assistant", "content": "kept"}, "finish_reason": "stop"}
    cached = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    async with make_app(plugins=[Asking(), Cache()], upstream=ScriptedUpstream()) as gateway:
        answer = await gateway.chat("Hello", model="outer", stream=True)
    assert text_of(answer.content) == "kept"


async def test_inner_stream_is_transformed_by_plugins() -> None:
    class Shouting:
        @hookimpl
        async def transform_stream(self, ctx: RequestContext) -> Any:
            if ctx.depth == 0:
                return None

            async def shout(events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
                async for event in events:
                    for text in event.texts():
                        text.replace(text.value.upper())
                    yield event

            return shout

    upstream = ScriptedUpstream(stream_reply("fine"))
    async with make_app(plugins=[Asking(), Shouting()], upstream=upstream) as gateway:
        answer = await gateway.chat("Hello", model="outer", stream=True)
    assert text_of(answer.content) == "FINE"

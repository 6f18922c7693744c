"""``ctx.chat``: workers ask models through the gateway, with everything that its plugins do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chatproxy_graphs import ChatAnswer, Context, Graph, Worker, async_worker

from chatproxy import ChatRequest, Principal, Reject, RequestContext, hookimpl
from chatproxy.testing import Recorder, ScriptedUpstream, stream_reply, text_of, tool_calls_reply

from .workers import Says, chunks_in, line, one, serving, until

FORMS = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


class Asks(Worker):
    """Asks a model for a whole answer."""

    def __init__(self, model: str = "upstream-model", **fields: Any) -> None:
        super().__init__("asks")
        self.model, self.fields = model, fields
        self.answers: list[ChatAnswer] = []

    async def arun(self, ctx: Context) -> None:
        answer = await ctx.chat(ctx.messages, model=self.model, **self.fields)
        self.answers.append(answer)
        ctx.response = answer.text


class Hears(Worker):
    """Hands an answer on while it streams."""

    def __init__(self, model: str = "upstream-model") -> None:
        super().__init__("hears")
        self.model = model

    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        async for text in ctx.chat(ctx.messages, model=self.model):
            yield text


class Guard:
    """Refuses a word, wherever it is asked."""

    chatproxy_name = "guard"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        if any("forbidden" in text.value for text in request.texts()):
            raise Reject("Not that word.", status=403, code="guarded")


@pytest.mark.parametrize("worker", [Asks(), Hears()], ids=["awaited", "iterated"])
@FORMS
async def test_worker_gives_on_what_a_model_says(worker: Worker, stream: bool) -> None:
    upstream = ScriptedUpstream()
    async with serving(graph=worker, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", model="graph", stream=stream)
    text = text_of(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text
    assert (upstream.requests[0].json["model"], upstream.requests[0].json["messages"]) == (
        "upstream-model", [{"role": "user", "content": "Hi"}]
    )  # fmt: skip


async def test_request_to_a_model_has_the_fields_that_were_given() -> None:
    upstream = ScriptedUpstream()

    async def ask(ctx: Context) -> None:
        ctx.response = (await ctx.chat("short", model="m", temperature=0, stop=["x"])).text

    async with serving(graph=ask, upstream=upstream) as gateway:
        await gateway.chat("Hi", model="graph")
    asked = upstream.requests[0].json
    assert (asked["temperature"], asked["stop"], asked["messages"]) == (
        0,
        ["x"],
        [{"role": "user", "content": "short"}],
    )


async def test_answer_has_text_tool_calls_usage_and_the_whole_body() -> None:
    asks = Asks()
    upstream = ScriptedUpstream(tool_calls_reply(("look", '{"x": 1}')))

    async def then(ctx: Context) -> None:
        answer = asks.answers[0]
        ctx.response = f"{answer}{answer.tool_calls[0].name}{answer.tool_calls[0].arguments['x']}{answer.finish_reason}"

    async with serving(graph=asks >> then, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", model="graph")
    assert answer.json()["choices"][0]["message"]["content"] == "look1tool_calls"
    found = asks.answers[0]
    assert (found.body["object"], found.message["role"], found.refusal) == ("chat.completion", "assistant", None)
    assert found.usage is not None


async def test_chunks_can_be_read_as_they_are() -> None:
    kinds: list[str] = []

    async def read(ctx: Context) -> None:
        async for chunk in ctx.chat("Hi", model="demo").events():
            kinds.append(chunk["object"])  # noqa: PERF401 - a worker's loop
        ctx.response = "read"

    async with serving(graph=read) as gateway:
        assert (await gateway.chat("Hi", model="graph")).status_code == 200
    assert set(kinds) == {"chat.completion.chunk"}


@pytest.mark.parametrize("make", [Asks, Hears], ids=["awaited", "iterated"])
@FORMS
async def test_guards_hold_for_what_workers_ask(make: Any, stream: bool) -> None:
    @async_worker
    async def bad(ctx: Context) -> None:
        ctx.messages = [{"role": "user", "content": "forbidden"}]

    async with serving(graph=bad >> make("demo"), plugins=(Guard(),)) as gateway:
        answer = await gateway.chat("Hi", model="graph", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "guarded")


async def test_inner_exchange_has_a_record_of_its_own_and_the_same_principal() -> None:
    recorder = Recorder()

    class Door:
        chatproxy_name = "door"

        @hookimpl
        async def authenticate(self, ctx: RequestContext) -> Principal:
            return Principal(id="ann")

    async with serving(graph=Asks("demo"), plugins=(recorder, Door())) as gateway:
        await gateway.chat("Hi", model="graph")
        await recorder.wait(2)
    inner, outer = recorder.exchanges
    assert (inner.model, outer.model) == ("demo", "graph")
    assert inner.parent_id == outer.request_id
    assert inner.principal == outer.principal == "ann"


@FORMS
async def test_graphs_that_ask_each_other_for_ever_are_stopped(stream: bool) -> None:
    async with serving(ping=Asks("pong"), pong=Hears("ping"), plugins=()) as gateway:
        answer = await gateway.chat("Hi", model="ping", stream=stream)
        again = await gateway.chat("Hi", model="demo")
    assert (answer.status_code, answer.json()["error"]["code"]) == (508, "loop_detected")
    assert again.status_code == 200


async def test_worker_may_catch_what_a_model_answers() -> None:
    async def fallback(ctx: Context) -> None:
        try:
            await ctx.chat("forbidden", model="demo")
        except Reject as error:
            ctx.response = f"guarded: {error.code}"

    async with serving(graph=fallback, plugins=(Guard(),)) as gateway:
        answer = await gateway.chat("Hi", model="graph")
    assert answer.json()["choices"][0]["message"]["content"] == "guarded: guarded"


async def test_stream_that_a_worker_leaves_is_closed() -> None:
    recorder = Recorder()

    async def first(ctx: Context) -> None:
        async for text in ctx.chat("Hi", model="m"):
            ctx.response = text
            break

    upstream = ScriptedUpstream(stream_reply(["one"] * 50))
    async with serving(graph=first, plugins=(recorder,), upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", model="graph")
        await recorder.wait(2)
    assert answer.json()["choices"][0]["message"]["content"] == "one"
    assert [exchange.outcome for exchange in recorder.exchanges] == ["client_disconnected", "completed"]


async def test_stream_that_a_task_of_the_worker_still_reads_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def forgets(ctx: Context) -> None:
        reading = asyncio.Event()

        async def read() -> None:
            async for _ in ctx.chat("Hi", model="graph-hangs"):
                pass

        tasks.append(asyncio.ensure_future(read()))
        for _ in range(20):
            await asyncio.sleep(0)
        reading.set()
        ctx.response = "done"

    async def hangs(ctx: Context) -> None:
        await asyncio.get_running_loop().create_future()

    async with serving(graph=forgets, **{"graph-hangs": hangs}) as gateway:
        answer = await gateway.chat("Hi", model="graph")
        assert answer.status_code == 200
        tasks[0].cancel()
        await until(tasks[0].done)
    assert "still reads" in caplog.text


async def test_graphs_run_by_hand_within_a_worker_ask_through_the_gateway_too() -> None:
    inner = one(Asks("demo"), "inner")

    async def outer(ctx: Context) -> Context:
        return await inner.arun(Context(messages=ctx.messages, outer=ctx) if ctx.lost else ctx.copy())

    async with serving(graph=outer) as gateway:
        answer = await gateway.chat("Hi", model="graph")
    assert answer.status_code == 200


async def test_branches_ask_at_once() -> None:
    met = asyncio.Barrier(2)

    class Meets:
        chatproxy_name = "meets"

        @hookimpl
        async def before_request(self, ctx: RequestContext) -> None:
            if ctx.depth:
                await met.wait()

    class Ask(Worker):
        async def arun(self, ctx: Context) -> None:
            ctx.data[self.name] = (await ctx.chat("Hi", model="demo")).text

    graph = Graph().add_node("begin", Says()).add_node("a", Ask("a")).add_node("b", Ask("b"))
    graph.add_node("join", lambda ctx: setattr(ctx, "response", [bool(ctx.a), bool(ctx.b)])).add_edge("join", "__end__")
    graph.add_parallel("begin", ["a", "b"], "join")
    async with serving(graph=graph, plugins=(Meets(),)) as gateway:
        answer = await gateway.chat("Hi", model="graph")
    assert answer.json()["choices"][0]["message"]["content"] == "[true,true]"


async def test_gateway_shows_headers_and_principal_to_workers() -> None:
    async def look(ctx: Context) -> None:
        assert ctx.gateway is not None
        ctx.response = ctx.gateway.headers["x-team"]

    async with serving(look=look) as gateway:
        body = {"model": "look", "messages": [{"role": "user", "content": "Hi"}]}
        answer = await gateway.client.post("/v1/chat/completions", json=body, headers={"x-team": "blue"})
    assert answer.json()["choices"][0]["message"]["content"] == "blue"


async def test_usage_of_an_answer_can_be_handed_on() -> None:
    async def ask(ctx: Context) -> None:
        answer = await ctx.chat("Hi", model="demo")
        ctx.response, ctx.usage = answer.text, answer.usage

    async with serving(graph=ask, plain=line("a") >> ask) as gateway:
        answer = await gateway.chat("Hi", model="graph")
        streamed = await gateway.chat("Hi", model="plain", stream=True, stream_options={"include_usage": True})
    assert answer.json()["usage"]["total_tokens"] > 0
    assert chunks_in(streamed)[-1]["usage"] == answer.json()["usage"]

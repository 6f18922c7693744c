"""What a run leaves on record: spans of its nodes, events, and a note on the exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chatproxy_graphs import END, Context, Graph, Worker

from chatproxy import App, RequestContext, hookimpl
from chatproxy.testing import Recorder
from chatproxy.types import Exchange, TraceSpan

from .workers import Answers, Append, Says, line, one, serving

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Spans:
    """A tracer that keeps what was recorded."""

    chatproxy_name = "spans"

    def __init__(self) -> None:
        self.spans: list[TraceSpan] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.exchanges: list[tuple[Exchange, str]] = []

    def begin(self, ctx: RequestContext) -> None:
        ctx.trace.adopt(TRACE_ID, SPAN_ID, 1, is_recording=True)
        self.exchanges.append((ctx.exchange, ctx.exchange.traceparent or ""))
        ctx.at_end(lambda exchange: self._take(ctx))

    def _take(self, ctx: RequestContext) -> None:
        self.spans += ctx.trace.spans
        self.events += [(event.name, event.attributes) for event in ctx.trace.events]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.set_tracer(self)
        yield


async def test_each_node_is_a_span_in_the_order_of_its_beginning() -> None:
    spans = Spans()
    graph = Graph("outer").add_node("a", Append("a")).add_node("in", line("x", "y", name="inner"))
    graph.add_edge("a", "in").add_node("z", Answers(response="done")).add_edge("in", "z").add_edge("z", END)
    async with serving(graph=graph, plugins=(spans,)) as gateway:
        await gateway.chat("Hi", model="graph")
    assert [span.name for span in spans.spans] == ["node a", "node in", "node in/x", "node in/y", "node z"]
    a, outer, x, y, _ = spans.spans
    assert (a.parent_id, outer.parent_id, x.parent_id, y.parent_id) == ("", "", outer.span_id, outer.span_id)
    assert y.attributes == {"graphs.graph": "inner", "graphs.node": "in/y", "graphs.step": 2, "graphs.attempts": 1}
    assert all(span.duration_s is not None and span.error_type is None for span in spans.spans)


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_span_of_a_node_that_fails_says_so(stream: bool) -> None:
    spans = Spans()

    async def fails(ctx: Context) -> None:
        raise ValueError("s3cret")

    async with serving(graph=Says("x") >> fails, plugins=(spans,)) as gateway:
        await gateway.chat("Hi", model="graph", stream=stream)
    assert [(span.name, span.error_type) for span in spans.spans] == [
        ("node says", None), ("node fails", "graph_node_failed")
    ]  # fmt: skip


async def test_retries_are_events() -> None:
    spans, left = Spans(), 2

    async def fails(ctx: Context) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ValueError("s3cret")
        ctx.response = "at last"

    async with serving(graph=one(fails, retries=3), plugins=(spans,)) as gateway:
        await gateway.chat("Hi", model="graph")
    place = {"graphs.graph": "test", "graphs.node": "work", "graphs.step": 1, "error.type": "graph_node_failed"}
    assert spans.events == [("graphs.retry", place)] * 2
    assert spans.spans[0].attributes["graphs.attempts"] == 3


async def test_what_a_worker_asks_belongs_to_its_nodes_span() -> None:
    spans = Spans()

    class Asks(Worker):
        async def arun(self, ctx: Context) -> None:
            ctx.response = (await ctx.chat("Hi", model="demo")).text

    async with serving(graph=Asks("asks"), plugins=(spans,)) as gateway:
        await gateway.chat("Hi", model="graph")
    (_, _), (inner, traceparent) = spans.exchanges
    assert inner.model == "demo"
    assert traceparent.split("-")[2] == spans.spans[0].span_id


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_run_is_noted_on_the_exchange(stream: bool) -> None:
    recorder = Recorder()
    async with serving(graph=Says("a") >> Says("b", name="more"), plugins=(recorder,)) as gateway:
        await gateway.chat("Hi", model="graph", stream=stream)
        note = (await recorder.wait()).notes["graphs"]
    assert (note["graph"], note["steps"]) == ("says >> more", 2)
    assert [(node["node"], node["step"]) for node in note["nodes"]] == [("says", 1), ("more", 2)]
    assert all(node["duration_s"] >= 0 for node in note["nodes"])


async def test_long_run_is_noted_in_short() -> None:
    recorder = Recorder()

    async def more(ctx: Context) -> None:
        ctx.response = ctx.n = (ctx.n or 0) + 1

    graph = Graph("long", max_steps=3_000).add_node("more", more)
    graph.add_conditional_edge("more", lambda ctx: ctx.n < 2_000, {True: "more", False: END})
    async with serving(graph=graph, plugins=(recorder,)) as gateway:
        answer = await gateway.chat("Hi", model="graph")
        note = (await recorder.wait()).notes["graphs"]
    assert answer.json()["choices"][0]["message"]["content"] == "2000"
    assert (note["steps"], len(note["nodes"])) == (2_000, 50)


async def test_failed_run_is_noted_too() -> None:
    recorder = Recorder()

    async def fails(ctx: Context) -> None:
        raise ValueError("s3cret")

    async with serving(graph=one(fails, retries=1), plugins=(recorder,)) as gateway:
        await gateway.chat("Hi", model="graph")
        note = (await recorder.wait()).notes["graphs"]
    (node,) = note["nodes"]
    assert (node["attempts"], node["error"]) == (2, "graph_node_failed")

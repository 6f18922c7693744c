"""Telemetry beside graphs: nodes are spans, and what their workers ask of models lies below them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import chatproxy_graphs
import chatproxy_otel
import pytest
from chatproxy_graphs import END, Context, Graph, GraphRegistry, Worker
from chatproxy_graphs.serve import Registered

from chatproxy.testing import ScriptedUpstream, SpanCapture, assert_semconv, make_app

OTEL = {"traces": "none", "metrics": "none", "logs": "none", "log_level": None}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Plan(Worker):
    async def arun(self, ctx: Context) -> None:
        ctx.plan = (await ctx.chat("Plan it", model="planner")).text


class Answer(Worker):
    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        async for text in ctx.chat(ctx.messages, model="writer"):
            yield text


class Fails(Worker):
    async def arun(self, ctx: Context) -> None:
        raise ValueError("s3cret")


def registry() -> GraphRegistry:
    inner = Graph("inner").add_node("answer", Answer()).add_edge("answer", END)
    graph = Graph("outer").add_node("plan", Plan()).add_node("in", inner).add_edge("plan", "in").add_edge("in", END)
    made = GraphRegistry()
    made.register("planned", graph)
    made.register("broken", Graph("broken").add_node("bad", Fails()).add_edge("bad", END))
    return made


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_nodes_are_spans_and_their_questions_lie_below(stream: bool) -> None:
    spans, upstream = SpanCapture(), ScriptedUpstream()
    plugins = [spans, chatproxy_otel, chatproxy_graphs, Registered(registry())]
    async with make_app(plugins=plugins, upstream=upstream, plugin_settings={"otel": OTEL}) as gateway:
        answer = await gateway.chat("Hello", model="planned", stream=stream)
        assert answer.status_code == 200
        tree = await spans.tree()
    inner, writer = tree.find("node in"), tree.find("chat writer")
    assert tree.find("node plan").find("chat planner").kind == "CLIENT"
    assert inner.find("node in/answer").find("chat writer") == writer
    assert inner.attributes == {
        "graphs.graph": "outer", "graphs.node": "in", "graphs.step": 2, "graphs.attempts": 1
    }  # fmt: skip
    assert_semconv(spans.finished)


async def test_failed_node_is_a_failed_span_without_what_was_raised() -> None:
    spans = SpanCapture()
    plugins = [spans, chatproxy_otel, chatproxy_graphs, Registered(registry())]
    async with make_app(plugins=plugins, plugin_settings={"otel": OTEL}) as gateway:
        assert (await gateway.chat("Hello", model="broken")).status_code == 500
        tree = await spans.tree()
    bad = tree.find("node bad")
    assert (bad.status, bad.attributes["error.type"]) == ("ERROR", "graph_node_failed")
    assert "s3cret" not in "".join(span.to_json() for span in spans.finished)

"""Guardrails beside graphs: policies hold for what graphs say, and for what their workers ask of models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import chatproxy_graphs
import chatproxy_guardrails
import pytest
from chatproxy_graphs import END, Context, Graph, GraphRegistry, Worker
from chatproxy_graphs.serve import Registered

from chatproxy.testing import Gateway, ScriptedUpstream, make_app, text_of

MAIL = "erika.mustermann@posteo.de"
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Tells(Worker):
    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        for piece in ("Write to erika.muster", "mann@posteo.de", " at once."):
            yield piece


class Asks(Worker):
    async def arun(self, ctx: Context) -> None:
        ctx.response = (await ctx.chat(f"Who is {MAIL}?", model="far")).text


def guarded(upstream: ScriptedUpstream, **policy: Any) -> Gateway:
    registry = GraphRegistry()
    for worker in (Tells("tells"), Asks("asks")):
        registry.register(worker.name, Graph(worker.name).add_node("work", worker).add_edge("work", END))
    settings = {"guardrails": {"policy": [{"name": "private", "check": "pii", **policy}]}}
    plugins = [chatproxy_guardrails, chatproxy_graphs, Registered(registry)]
    return make_app(plugins=plugins, plugin_settings=settings, upstream=upstream)


@FORMS
async def test_what_a_graph_says_is_checked_across_its_pieces(stream: bool) -> None:
    async with guarded(ScriptedUpstream(), on=["output"], action="redact") as gateway:
        answer = await gateway.chat("Hi", model="tells", stream=stream)
    text = text_of(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == "Write to [REDACTED:email] at once."


@FORMS
async def test_what_a_worker_asks_is_redacted_before_it_leaves(stream: bool) -> None:
    upstream = ScriptedUpstream()
    async with guarded(upstream, on=["input"], action="redact") as gateway:
        answer = await gateway.chat("Hi", model="asks", stream=stream)
    assert answer.status_code == 200
    assert upstream.requests[0].json["messages"] == [{"role": "user", "content": "Who is [REDACTED:email]?"}]


@FORMS
async def test_what_a_worker_asks_is_blocked(stream: bool) -> None:
    upstream = ScriptedUpstream()
    async with guarded(upstream, on=["input"], action="block") as gateway:
        answer = await gateway.chat("Hi", model="asks", stream=stream)
    assert answer.status_code == 400
    assert upstream.requests == []

"""SpanCapture: spans of a gateway under test, as plain trees."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from chatproxy import App, hookimpl
from chatproxy.testing import SpanCapture, SpanEvent, SpanTree, make_app


class Traced:
    """A plugin that makes spans by itself, in the background."""

    chatproxy_name = "traced"

    def __init__(self) -> None:
        self.tracer: Tracer = trace.NoOpTracer()

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        self.tracer = app.plugin(TracerProvider).get_tracer("traced")
        yield

    @hookimpl
    async def after_response(self) -> None:
        exchange(self.tracer)


def exchange(tracer: Tracer, name: str = "POST /v1") -> None:
    """The spans of an exchange; children end before it, the last of them last of all."""
    server = tracer.start_span(name, kind=SpanKind.SERVER, attributes={"list": ["a", "b"]})
    below = trace.set_span_in_context(server)
    late = tracer.start_span("second", below)
    server.add_event("chatproxy.hook", {"n": 1})
    server.set_status(Status(StatusCode.ERROR, "broken"))
    server.end()
    late.end()


def leaf(name: str) -> SpanTree:
    return SpanTree(name, "INTERNAL", {}, [], "UNSET", None, 0, [])


WHOLE = SpanTree(
    name="POST /v1",
    kind="SERVER",
    attributes={"list": ["a", "b"]},
    events=[SpanEvent("chatproxy.hook", {"n": 1})],
    status="ERROR",
    description="broken",
    links=0,
    children=[leaf("second")],
)


async def test_plugin_finds_the_provider_and_the_tree_is_plain_data() -> None:
    spans = SpanCapture()
    async with make_app(plugins=[Traced(), spans]) as gateway:
        await gateway.chat("hi")
        assert await spans.tree() == WHOLE


async def test_tree_waits_for_as_many_exchanges() -> None:
    spans = SpanCapture()
    tracer = spans.provider.get_tracer("test")
    waiting = asyncio.ensure_future(spans.tree(2))
    exchange(tracer, "one")
    await asyncio.wait({waiting}, timeout=0)
    assert not waiting.done()
    exchange(tracer, "two")
    assert (await waiting).name == "two"
    assert [tree.name for tree in await spans.trees(2)] == ["one", "two"]


async def test_tree_waits_for_the_parents_of_spans() -> None:
    spans = SpanCapture()
    tracer = spans.provider.get_tracer("test")
    server = tracer.start_span("server", kind=SpanKind.SERVER)
    middle = tracer.start_span("middle", trace.set_span_in_context(server))
    tracer.start_span("inner", trace.set_span_in_context(middle)).end()
    server.end()
    waiting = asyncio.ensure_future(spans.tree())
    await asyncio.wait({waiting}, timeout=0)
    assert not waiting.done()
    middle.end()
    assert (await waiting).outline() == "SERVER server\n  INTERNAL middle\n    INTERNAL inner"


async def test_spans_of_another_thread_wake_the_test() -> None:
    spans = SpanCapture()
    waiting = asyncio.ensure_future(spans.tree())
    await asyncio.wait({waiting}, timeout=0)
    thread = threading.Thread(target=exchange, args=(spans.provider.get_tracer("test"),))
    thread.start()
    assert await waiting == WHOLE
    thread.join()


async def test_exchange_below_a_clients_span_is_found() -> None:
    spans = SpanCapture()
    tracer = spans.provider.get_tracer("test")
    client = tracer.start_span("chat m", kind=SpanKind.CLIENT)
    tracer.start_span("POST /v1", trace.set_span_in_context(client), kind=SpanKind.SERVER).end()
    client.end()
    assert (await spans.tree()).name == "POST /v1"


async def test_what_does_not_come_is_shown() -> None:
    spans = SpanCapture()
    exchange(spans.provider.get_tracer("test"))
    with pytest.raises(TimeoutError) as caught:
        await spans.tree(2, timeout_s=0.01)
    assert str(caught.value) == "2 exchanges should have ended in 0.01 s:\nSERVER POST /v1\n  INTERNAL second"


async def test_nothing_that_comes_is_said() -> None:
    with pytest.raises(TimeoutError, match=r"0.01 s:\n\(none\)$"):
        await SpanCapture().tree(timeout_s=0.01)


async def test_span_that_does_not_end_is_shown() -> None:
    spans = SpanCapture()
    tracer = spans.provider.get_tracer("test")
    forgotten = tracer.start_span("forgotten")
    exchange(tracer)
    with pytest.raises(TimeoutError, match=r"\nforgotten, which has not ended$"):
        await spans.tree(timeout_s=0.01)
    forgotten.end()
    assert (await spans.tree()).name == "POST /v1"


def test_sampler_decides() -> None:
    spans = SpanCapture(sampler=ALWAYS_OFF)
    exchange(spans.provider.get_tracer("test"))
    assert spans.finished == ()


def test_clear_forgets() -> None:
    spans = SpanCapture()
    exchange(spans.provider.get_tracer("test"))
    assert [span.name for span in spans.finished] == ["POST /v1", "second"]
    spans.clear()
    assert spans.finished == ()


def test_two_captures_do_not_meet_and_nothing_global_is_set() -> None:
    before: Any = trace.get_tracer_provider()
    one, two = SpanCapture(), SpanCapture()
    exchange(one.provider.get_tracer("test"))
    assert len(one.finished) == 2
    assert two.finished == ()
    assert trace.get_tracer_provider() is before


def test_find_and_walk_go_through_the_whole_tree() -> None:
    tree = WHOLE._replace(children=[leaf("a")._replace(children=[leaf("b")]), leaf("c")])
    assert [span.name for span in tree.walk()] == ["POST /v1", "a", "b", "c"]
    assert tree.find("b") == leaf("b")
    with pytest.raises(LookupError, match="no span is called 'd':\nSERVER POST /v1\n  INTERNAL a"):
        tree.find("d")

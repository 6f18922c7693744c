"""Where a trace begins: whose it is, whether it is sampled, and what goes on to the upstream."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import TraceState, get_current_span

from chatproxy import RequestContext, hookimpl
from chatproxy.testing import ScriptedUpstream

from .beside import Clock
from .tracing import PARENT, TRACEPARENT, Traced, traced

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


async def ask(running: Traced, **headers: str) -> None:
    answer = await running.gateway.client.post("/v1/chat/completions", json=CHAT, headers=headers)
    assert answer.status_code == 200


def told(upstream: ScriptedUpstream) -> tuple[str, str, str]:
    """Trace id, parent and flags of the last request to the upstream."""
    match = TRACEPARENT.fullmatch(upstream.requests[-1].headers["traceparent"])
    assert match is not None
    return match[1], match[2], match[3]


async def test_trusted_context_is_continued() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream) as running:
        await ask(running, traceparent=PARENT, tracestate="vendor=1")
        tree = await running.tree()
        root = running.spans.finished[0]
    assert told(upstream)[0] == "a" * 32
    assert told(upstream)[2] == "01"
    assert upstream.requests[0].headers["tracestate"] == "vendor=1"
    assert root.parent is not None
    assert (root.parent.span_id, root.parent.is_remote) == (int("b" * 16, 16), True)
    assert (tree.kind, tree.links) == ("SERVER", 0)


async def test_linked_context_begins_a_trace_of_its_own() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, otel={"context": "link"}) as running:
        await ask(running, traceparent=PARENT, tracestate="vendor=1")
        tree = await running.tree()
        root = running.spans.finished[0]
    assert told(upstream)[0] != "a" * 32
    assert "tracestate" not in upstream.requests[0].headers
    assert (root.parent, tree.links) == (None, 1)
    assert root.links[0].context.trace_id == int("a" * 32, 16)


async def test_ignored_context_leaves_no_mark() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, otel={"context": "ignore"}) as running:
        await ask(running, traceparent=PARENT, tracestate="vendor=1")
        tree = await running.tree()
        root = running.spans.finished[0]
    assert told(upstream)[0] not in {"a" * 32, "0" * 32}
    assert "tracestate" not in upstream.requests[0].headers
    assert (root.parent, tree.links) == (None, 0)


@pytest.mark.parametrize(
    "broken",
    ["00-" + "0" * 32 + "-" + "b" * 16 + "-01", PARENT.upper(), PARENT + "-x", "ff" + PARENT[2:], "a" * 8192, ""],
    ids=["no trace", "upper case", "too long", "version ff", "huge", "empty"],
)
async def test_malformed_context_begins_a_trace_of_its_own(broken: str) -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream) as running:
        await ask(running, traceparent=broken, tracestate="vendor=1")
        await running.tree()
        root = running.spans.finished[0]
    assert (root.parent, root.links) == (None, ())
    assert told(upstream)[0] == f"{root.context.trace_id:032x}"
    assert "tracestate" not in upstream.requests[0].headers


@pytest.mark.parametrize("context", ["trust", "link", "ignore"])
async def test_unsampled_exchange_says_so_and_has_no_spans(context: str) -> None:
    upstream = ScriptedUpstream()
    async with traced(Clock(), upstream=upstream, otel={"context": context}, sampler=ALWAYS_OFF) as running:
        await ask(running, traceparent=PARENT)
        await ask(running)
    assert running.spans.finished == ()
    assert told(upstream)[2] == "00"
    assert told(upstream)[1] not in {"b" * 16, "0" * 16}


@pytest.mark.parametrize(("flags", "count"), [("00", 0), ("01", 3)], ids=["unsampled", "sampled"])
async def test_client_decides_where_it_is_trusted(flags: str, count: int) -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, sampler=ParentBased(TraceIdRatioBased(0.5))) as running:
        await ask(running, traceparent=PARENT[:-2] + flags)
    assert (len(running.spans.finished), told(upstream)[2]) == (count, flags)


async def test_ratio_is_the_same_for_the_whole_trace() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, sampler=TraceIdRatioBased(0.5)) as running:
        for number in range(64):
            trace_id = f"{number * 2**58 + 1:032x}"
            await ask(running, traceparent=f"00-{trace_id}-{'b' * 16}-01")
        traces = {span.context.trace_id for span in running.spans.finished}
    sampled = [
        request.headers["traceparent"] for request in upstream.requests if request.headers["traceparent"][-1] == "1"
    ]
    assert {int(header[3:35], 16) for header in sampled} == traces == {number * 2**58 + 1 for number in range(32)}


class Stating(Sampler):
    """A sampler that writes into the trace state and adds an attribute."""

    def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
        result = ALWAYS_ON.should_sample(*args, **options)
        return SamplingResult(result.decision, {"sampler": "stating"}, TraceState([("ot", "p:8")]))

    def get_description(self) -> str:
        return "Stating"


async def test_sampler_may_add_attributes_and_trace_state() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, sampler=Stating()) as running:
        await ask(running)
        tree = await running.tree()
    assert upstream.requests[0].headers["tracestate"] == "ot=p:8"
    assert tree.attributes["sampler"] == "stating"


class Failing(Sampler):
    def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
        raise ValueError("no idea")

    def get_description(self) -> str:
        return "Failing"


async def test_failing_sampler_costs_the_spans_and_not_the_request() -> None:
    async with traced(sampler=Failing()) as running:
        await ask(running)
        await ask(running)
    assert running.spans.finished == ()


BAGGAGE = "team=blue%20sky,secret=s3cr3t,tier=gold;property=1"


async def test_baggage_stays_here_unless_its_keys_are_configured() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream) as running:
        await ask(running, baggage=BAGGAGE)
        tree = await running.tree()
    assert "baggage" not in upstream.requests[0].headers
    assert "blue" not in repr(tree)


async def test_configured_baggage_becomes_attributes_and_goes_on() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, otel={"baggage": ["team", "tier", "absent"]}) as running:
        await ask(running, baggage=BAGGAGE)
        tree = await running.tree()
    assert upstream.requests[0].headers["baggage"] == "team=blue%20sky,tier=gold"
    assert (tree.attributes["team"], tree.attributes["tier"]) == ("blue sky", "gold")
    assert "s3cr3t" not in repr(tree)


@pytest.mark.parametrize(
    "header",
    ["team=" + "x" * 9000, "team", "=;,=", "team=%zz%ff", "team=a\u00e9b".encode().decode("latin-1")],
    ids=repr,
)
async def test_baggage_of_any_kind_does_no_harm(header: str) -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, otel={"baggage": ["team"]}) as running:
        answer = await running.gateway.client.post(
            "/v1/chat/completions", json=CHAT, headers={"baggage": header.encode("latin-1")}
        )
        tree = await running.tree()
    assert answer.status_code == 200
    assert len(upstream.requests[0].headers.get("baggage", "")) < 1000
    assert len(tree.attributes.get("team", "")) <= 256


class Teller:
    """A plugin that says something about the exchange."""

    chatproxy_name = "teller"

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.trace.set("teller.team", "blue")
        ctx.trace.set("teller.numbers", [1, 2])
        ctx.trace.event("teller.looked", {"teller.count": 3})


async def test_plugins_add_attributes_and_events_without_opentelemetry() -> None:
    async with traced(Teller()) as running:
        await ask(running)
        tree = await running.tree()
    assert (tree.attributes["teller.team"], tree.attributes["teller.numbers"]) == ("blue", [1, 2])
    assert ("teller.looked", {"teller.count": 3}) in [(event.name, event.attributes) for event in tree.events]


async def test_exchanges_that_run_at_the_same_time_keep_their_own_traces() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream) as running:
        await running.gateway.chat("one")
        await running.gateway.chat("two")
        trees = await running.spans.trees(2)
    traces = {span.context.trace_id for span in running.spans.finished}
    assert len(trees) == 2
    assert {int(request.headers["traceparent"][3:35], 16) for request in upstream.requests} == traces


async def test_span_that_is_open_around_the_gateway_is_the_parent() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream) as running:
        tracer = running.spans.provider.get_tracer("framework")
        with tracer.start_as_current_span("around") as around:
            await ask(running, traceparent=PARENT)
            assert get_current_span() is around
        (server,) = [span for span in running.spans.finished if span.name.startswith("POST /")]
    assert server.parent == around.get_span_context()
    assert told(upstream)[0] == f"{around.get_span_context().trace_id:032x}"


async def test_nothing_is_left_in_the_task_after_an_exchange() -> None:
    async with traced() as running:
        for stream in (False, True):
            await running.gateway.chat("hi", stream=stream)
            assert not get_current_span().get_span_context().is_valid

"""What goes upstream of a trace, with and without a tracer, and for which exchanges a tracer is asked."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from chatproxy import ToolCall, ToolResult, UpstreamError
from chatproxy.errors import StartupError
from chatproxy.testing import (
    Fault,
    Recorder,
    Scripted,
    ScriptedUpstream,
    error_reply,
    make_app,
    raw_reply,
    reply,
    stream_reply,
)
from chatproxy.testing.upstream import SeenRequest
from chatproxy.types import Exchange
from tests.engine.tracing import CLIENT, CLIENT_SPAN, CLIENT_TRACE, OWN_SPAN, Tracing
from tests.hooks.cases import Plugin, gateway
from tests.surfaces.passthrough_cases import UPSTREAMS

FRESH = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def seen_with(
    *plugins: object, headers: dict[str, str], upstream: ScriptedUpstream | None = None, **fields: Any
) -> tuple[list[SeenRequest], Exchange]:
    """What the upstream was asked for one chat request, and the exchange's record."""
    recorder, upstream = Recorder(), upstream or ScriptedUpstream()
    async with make_app(plugins=[*plugins, recorder], upstream=upstream) as app:
        await app.client.post("/v1/chat/completions", json={**BODY, **fields}, headers=headers)
        return upstream.requests, await recorder.wait()


# ── without a tracer ──


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_clients_context_goes_on_as_it_came(stream: bool) -> None:
    (seen,), exchange = await seen_with(headers=CLIENT, stream=stream)
    assert seen.headers["traceparent"] == CLIENT["traceparent"] == exchange.traceparent
    assert seen.headers["tracestate"] == CLIENT["tracestate"]
    assert "baggage" not in seen.headers
    assert [attempt.span_id for attempt in exchange.attempts] == [""]


@pytest.mark.parametrize("header", [None, "x", CLIENT["traceparent"].upper(), f"00-{'0' * 32}-{CLIENT_SPAN}-01"])
async def test_trace_of_its_own_begins_where_none_came(header: str | None) -> None:
    """The state that came with a broken parent belongs to another trace."""
    headers = {"tracestate": "vendor=1", **({} if header is None else {"traceparent": header})}
    (seen,), exchange = await seen_with(headers=headers)
    assert FRESH.fullmatch(seen.headers["traceparent"])
    assert seen.headers["traceparent"] == exchange.traceparent
    assert "tracestate" not in seen.headers


async def test_state_in_several_headers_is_one() -> None:
    headers = [("traceparent", CLIENT["traceparent"]), ("tracestate", "a=1"), ("tracestate", "b=2")]
    async with make_app() as app:
        await app.client.post("/v1/chat/completions", json=BODY, headers=headers)
        (seen,) = app.upstream.requests  # type: ignore[attr-defined]
    assert seen.headers["tracestate"] == "a=1,b=2"


async def test_nothing_that_plugins_set_is_kept_without_a_tracer() -> None:
    kept: list[Any] = []

    async def before_request(ctx: Any) -> None:
        ctx.trace.set("p.key", "value")
        ctx.trace.event("p.event", {"p.key": 1})
        ctx.trace.hide("secret")
        kept.extend(
            [dict(ctx.trace.attributes), list(ctx.trace.events), dict(ctx.trace.hidden), ctx.trace.is_recording]
        )

    await seen_with(Plugin("p", before_request=before_request), headers=CLIENT)
    assert kept == [{}, [], {}, False]


async def test_wrong_attribute_is_the_plugins_failure_without_a_tracer_too() -> None:
    async def before_request(ctx: Any) -> None:
        ctx.trace.set("p.key", object())

    async with gateway(Plugin("p", before_request=before_request)) as app:
        answer = await app.chat("hi")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "plugin_failed")


# ── with a tracer ──


@pytest.mark.parametrize("flags", [0, 1], ids=["unsampled", "sampled"])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_upstream_is_told_a_span_of_its_own(flags: int, stream: bool) -> None:
    tracing = Tracing(flags=flags, is_recording=bool(flags))
    (seen,), exchange = await seen_with(tracing, headers=CLIENT, stream=stream)
    (attempt,) = exchange.attempts
    assert seen.headers["traceparent"] == attempt.traceparent == f"00-{CLIENT_TRACE}-{attempt.span_id}-0{flags}"
    assert attempt.span_id not in {CLIENT_SPAN, ""}
    assert (attempt.span_id == OWN_SPAN) is (flags == 0)  # where nothing is recorded, no span would stand for it
    assert exchange.traceparent == f"00-{CLIENT_TRACE}-{OWN_SPAN}-0{flags}"
    assert tracing.remote == [(CLIENT_TRACE, CLIENT_SPAN, True)]


async def test_each_attempt_is_told_another_span() -> None:
    async def retry(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except UpstreamError:
            return await call_next(request)

    upstream = ScriptedUpstream(error_reply(503), reply())
    seen, exchange = await seen_with(
        Tracing(), Plugin("p", around_execute=retry), headers=CLIENT, upstream=upstream
    )  # fmt: skip
    spans = [attempt.span_id for attempt in exchange.attempts]
    assert len(set(spans) - {OWN_SPAN, CLIENT_SPAN}) == 2
    assert [request.headers["traceparent"] for request in seen] == [f"00-{CLIENT_TRACE}-{span}-01" for span in spans]


@pytest.mark.parametrize("state", ["", "ours=1,vendor=1"], ids=["none", "some"])
async def test_state_is_what_the_tracer_says(state: str) -> None:
    (seen,), _ = await seen_with(Tracing(tracestate=state), headers=CLIENT)
    assert seen.headers.get("tracestate", "") == state


@pytest.mark.parametrize("baggage", ["", "team=search"], ids=["none", "some"])
async def test_baggage_is_what_the_tracer_says(baggage: str) -> None:
    (seen,), _ = await seen_with(Tracing(baggage=baggage), headers=CLIENT)
    assert seen.headers.get("baggage", "") == baggage


async def test_client_without_a_trace_is_told_apart_from_one_with() -> None:
    tracing = Tracing()
    await seen_with(tracing, headers={})
    await seen_with(tracing, headers={"traceparent": "broken", "tracestate": "vendor=1"})
    assert [remote for _, _, remote in tracing.remote] == [False, False]
    assert [ctx.trace.tracestate for ctx in tracing.begun] == ["", ""]


async def test_plugins_fill_the_exchanges_span() -> None:
    async def before_request(ctx: Any) -> None:
        ctx.trace.set("p.key", "value")
        ctx.trace.event("p.event")
        ctx.trace.hide("secret", "[gone]")

    async def after_response(ctx: Any) -> None:
        ctx.trace.set("p.late", True)

    tracing = Tracing()
    plugin = Plugin("p", before_request=before_request, after_response=after_response)
    _, exchange = await seen_with(plugin, tracing, headers=CLIENT)
    (trace,) = [ctx.trace for ctx in tracing.begun]
    assert dict(trace.attributes) == {"p.key": "value", "p.late": True}
    assert dict(trace.hidden) == {"secret": "[gone]"}
    (event,) = trace.events
    assert event.name == "p.event"
    assert 0 <= event.at_s <= exchange.duration_s


# ── tools ──


class Tools:
    """Runs two tools before every request; `told` is what their runner was told."""

    def __init__(self) -> None:
        self.told: list[ToolCall] = []

    async def run(self, call: ToolCall) -> ToolResult:
        self.told.append(call)
        call.details["mcp.session.id"] = f"s-{len(self.told)}"
        return ToolResult(content="done", is_error=call.name == "find")

    async def around_execute(self, ctx: Any, request: Any, call_next: Any) -> Any:
        for name in ("look", "find"):
            await ctx.call_tool(ToolCall(id=f"c-{name}", name=name, arguments={"q": "x"}, server="s"), self.run)
        return await call_next(request)


async def made_anew(call: ToolCall) -> ToolCall:
    """`before_tool_call` of a plugin that gives another call back."""
    return ToolCall(id=call.id, name=call.name, arguments={"q": "other"}, server=call.server)


@pytest.mark.parametrize("hooks", [{}, {"before_tool_call": made_anew}], ids=["no hooks", "call made anew"])
async def test_each_tool_call_is_told_a_span_of_its_own(hooks: Any) -> None:
    tools = Tools()
    plugins = [Tracing(), Plugin("runner", around_execute=tools.around_execute), Plugin("hooks", **hooks)]
    _, exchange = await seen_with(*plugins, headers=CLIENT)
    look, find = exchange.tool_calls
    spans = {look.span_id, find.span_id, exchange.attempts[0].span_id}
    assert len(spans - {OWN_SPAN, CLIENT_SPAN, ""}) == 3
    assert [call.traceparent for call in tools.told] == [
        f"00-{CLIENT_TRACE}-{call.span_id}-01" for call in (look, find)
    ]
    assert [call.details for call in (look, find)] == [{"mcp.session.id": "s-1"}, {"mcp.session.id": "s-2"}]
    assert [(call.ok, call.error_type) for call in (look, find)] == [(True, None), (False, "tool_error")]
    assert 0 <= look.started_s <= look.started_s + look.duration_s <= find.started_s


async def test_tools_without_a_tracer_are_told_the_clients_context() -> None:
    tools = Tools()
    _, exchange = await seen_with(Plugin("runner", around_execute=tools.around_execute), headers=CLIENT)
    assert [call.traceparent for call in tools.told] == [CLIENT["traceparent"]] * 2
    assert [call.span_id for call in exchange.tool_calls] == ["", ""]


# ── which exchanges ──


async def refuse() -> None:
    """`authenticate` that knows nobody."""


@pytest.mark.parametrize(
    ("hooks", "settings", "options", "status"),
    [
        ({"authenticate": refuse}, {}, {"json": BODY}, 401),
        ({}, {"models": {"known": {}}}, {"json": BODY}, 404),
        ({}, {}, {"content": b"{"}, 400),
        ({}, {}, {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({}, {}, {"content": b"{}", "headers": {"x-chatproxy-hops": "9"}}, 508),
    ],
    ids=["401", "404 model", "400", "415", "508"],
)
async def test_tracer_is_asked_once_for_what_is_refused(hooks: Any, settings: Any, options: Any, status: int) -> None:
    tracing, recorder = Tracing(), Recorder()
    async with make_app(plugins=[tracing, Plugin("p", **hooks), recorder], **settings) as app:
        answer = await app.client.post("/v1/chat/completions", **options)
        exchange = await recorder.wait()
    assert answer.status_code == status
    assert [ctx.exchange for ctx in tracing.begun] == [exchange]
    assert (exchange.status, exchange.attempts) == (status, [])


async def test_tracer_is_not_asked_for_what_never_becomes_an_exchange() -> None:
    tracing = Tracing()
    async with make_app(plugins=[tracing], max_body_bytes=100) as app:
        too_large = await app.client.post("/v1/chat/completions", content=b"x" * 200)
        nowhere = await app.client.get("/v1/nothing")
        ready = await app.client.get("/readyz")
        missing = await app.client.get("/v1/responses/resp_1")
    assert [answer.status_code for answer in (too_large, nowhere, ready, missing)] == [413, 404, 200, 404]
    assert tracing.begun == []


async def test_list_of_models_is_asked_for_with_the_clients_own_context() -> None:
    """It is no exchange, so that no span of ours would ever be its parent."""
    tracing, upstream = Tracing(), ScriptedUpstream()
    async with make_app(plugins=[tracing], upstream=upstream) as app:
        assert (await app.client.get("/v1/models", headers=CLIENT)).status_code == 200
    (seen,) = upstream.requests
    assert seen.headers["traceparent"] == CLIENT["traceparent"]
    assert tracing.begun == []


async def test_tracer_is_asked_only_for_exchanges_that_are_admitted() -> None:
    tracing, recorder, upstream = Tracing(), Recorder(), ScriptedUpstream(Scripted(fault=Fault.STALL_BEFORE))
    async with make_app(plugins=[tracing, recorder], upstream=upstream, max_concurrency=1) as app:
        asked = asyncio.ensure_future(app.chat("hi"))
        await upstream.wait_asked()
        assert (await app.chat("hi")).status_code == 503
        asked.cancel()
        exchange = await recorder.wait()
    assert [ctx.exchange for ctx in tracing.begun] == [exchange]


async def test_second_tracer_stops_the_start() -> None:
    other = Tracing()
    other.chatproxy_name = "other"
    with pytest.raises(StartupError, match="traces are begun by Tracing already"):
        async with make_app(plugins=[Tracing(), other]):
            raise AssertionError("it has started")


async def test_background_response_is_an_exchange_of_its_own() -> None:
    tracing, recorder = Tracing(), Recorder()
    body = {"model": "m", "input": "hi", "background": True}
    async with make_app(plugins=[tracing, recorder]) as app:
        queued = await app.client.post("/v1/responses", json=body, headers=CLIENT)
        exchanges = [await recorder.wait(), await recorder.wait(2)]
    assert queued.status_code == 200
    assert [ctx.exchange for ctx in tracing.begun] == exchanges
    assert [len(exchange.attempts) for exchange in exchanges] == [0, 1]
    assert len({ctx.request_id for ctx in tracing.begun}) == 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/v1/audio/speech", b'{"model":"m"}'), ("GET", "/v1/files", b""), ("GET", "/v1/files/file-1", b"")],
)
async def test_what_passes_through_has_a_span_too(method: str, path: str, body: bytes) -> None:
    tracing, recorder, upstream = Tracing(baggage="team=search"), Recorder(), ScriptedUpstream(raw_reply(b"{}"))
    async with make_app(plugins=[tracing, recorder], upstream=upstream, upstreams=UPSTREAMS) as app:
        assert (await app.client.request(method, path, content=body, headers=CLIENT)).status_code == 200
        exchange = await recorder.wait()
    (attempt,), (seen,) = exchange.attempts, upstream.requests
    assert seen.headers["traceparent"] == attempt.traceparent == f"00-{CLIENT_TRACE}-{attempt.span_id}-01"
    assert seen.headers["baggage"] == "team=search"
    assert len(tracing.begun) == 1


async def test_streams_are_the_same_bytes_with_a_tracer() -> None:
    sent = []
    for plugins in ([], [Tracing()]):
        async with make_app(plugins=plugins, upstream=ScriptedUpstream(stream_reply())) as app:
            sent.append((await app.chat("hi", stream=True)).content)
    assert sent[0] == sent[1]

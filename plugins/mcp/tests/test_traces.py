"""The trace that a server is told of, over the wire of the SDK, with and without a tracer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from opentelemetry.context import attach
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from chatproxy import App, RequestContext, hookimpl
from chatproxy.testing import Recorder, ScriptedUpstream, reply, tool_calls_reply

from .asking import clock_config, gateway_of
from .servers import SdkServer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "team=blue"}


class Traces:
    """A tracer whose own span is the current one of OpenTelemetry in the exchange's task."""

    chatproxy_name = "traces"

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.set_tracer(self)
        yield

    def begin(self, ctx: RequestContext) -> None:
        ctx.trace.adopt(ctx.trace.trace_id, "00000000000000aa", 1, tracestate="a=1", is_recording=True)
        ctx.trace.baggage = "team=blue"
        own = SpanContext(int(ctx.trace.trace_id, 16), 0xAA, is_remote=False, trace_flags=TraceFlags(1))
        attach(set_span_in_context(NonRecordingSpan(own)))


async def told(server: SdkServer, *plugins: object, protocol: str = "auto") -> tuple[dict[str, Any], list[str]]:
    """What the server is told of the trace, and the span ids on record."""
    upstream, recorder = ScriptedUpstream(tool_calls_reply(("clock__echo", "{}")), reply("Done.")), Recorder()
    body = {"model": "scripted", "messages": [{"role": "user", "content": "Hi"}]}
    async with gateway_of(
        upstream, clock_config(server, server_protocol=protocol), plugins=(*plugins, recorder)
    ) as gateway:
        answer: httpx.Response = await gateway.client.post("/v1/chat/completions", json=body, headers=HEADERS)
        exchange = await recorder.wait()
    assert answer.status_code == 200
    (meta,) = server.metas
    names = ("traceparent", "tracestate", "baggage")
    return {name: meta[name] for name in names if name in meta}, [call.span_id for call in exchange.tool_calls]


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_the_parent_of_a_server_is_the_span_of_its_own_call(sdk_server: SdkServer, protocol: str) -> None:
    meta, (span_id,) = await told(sdk_server, Traces(), protocol=protocol)
    assert span_id not in {"", "00000000000000aa"}
    assert meta == {"traceparent": f"{PARENT[:36]}{span_id}-01", "tracestate": "a=1", "baggage": "team=blue"}


async def test_without_a_tracer_the_clients_trace_goes_on_and_its_baggage_does_not(sdk_server: SdkServer) -> None:
    meta, ids = await told(sdk_server)
    assert ids == [""]
    assert meta["traceparent"].split("-")[1] == PARENT.split("-")[1]
    assert "baggage" not in meta

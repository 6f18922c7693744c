"""Tracing: a call's place in a distributed trace, as its server is told.

Rule: where somebody traces the gateway, the server's parent is the span of this one call. The SDK (mcp 2.3) puts the
current span of OpenTelemetry into ``_meta``, over what stands there, so that the call's span has to be the current one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chatproxy.types import RequestContext, ToolCall


@contextmanager
def traced(ctx: RequestContext, call: ToolCall) -> Iterator[dict[str, str]]:
    """The trace context for ``_meta``, by the names that MCP reserves for it (SEP-414); the call is made within."""
    trace, traceparent = ctx.trace, call.traceparent or ctx.traceparent
    if not traceparent:
        yield {}
        return
    meta = {"traceparent": traceparent, "tracestate": trace.tracestate, "baggage": trace.baggage}
    meta = {name: value for name, value in meta.items() if value}
    if not trace.is_traced:
        yield meta
        return
    token = attach(TraceContextTextMapPropagator().extract(meta, get_current()))
    try:
        yield meta
    finally:
        detach(token)

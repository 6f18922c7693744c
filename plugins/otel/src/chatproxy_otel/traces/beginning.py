"""Beginning: which trace an exchange belongs to, and whether it is recorded. All that happens on the request path.

Rule: neither waits nor raises; ids and a decision, no spans.
Source: W3C Trace Context, sections 3.2 and 4.2; W3C Baggage, section 3.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from urllib.parse import quote

from opentelemetry import context as contexts
from opentelemetry.baggage import get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from chatproxy import RequestContext
from chatproxy.types import Trace
from chatproxy_otel.config import PLUGIN, Config
from chatproxy_otel.content.content import Content
from chatproxy_otel.names import Names

MAX_BAGGAGE_VALUE = 256

_logger = logging.getLogger("chatproxy.plugins.otel")
_NOWHERE = Context()
_DROPPED = SamplingResult(Decision.DROP)
_SAMPLED, _RANDOM = TraceFlags.SAMPLED, 0x02


class Kept:
    """What the plugin keeps of an exchange that is recorded, from its beginning to its end.

    Attributes:
        parent: the client's span, where it is trusted; ``link``, where it is only linked to.
        sampling: what the sampler said.
        content: what was said, where that is captured.
    """

    __slots__ = ("content", "link", "parent", "sampling")

    def __init__(self, parent: SpanContext | None, link: SpanContext | None, sampling: SamplingResult) -> None:
        self.parent = parent
        self.link = link
        self.sampling = sampling
        self.content: Content | None = None


class _Origin(NamedTuple):
    """The client's context by the configured policy."""

    parent: SpanContext | None
    link: SpanContext | None


_UNKNOWN = _Origin(None, None)


class _Current(NonRecordingSpan):
    """An exchange's span as others find it in the exchange's task; few look, so ids become numbers only then."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def get_span_context(self) -> SpanContext:
        trace = self._trace
        flags = TraceFlags(trace.flags)
        return SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote=False, trace_flags=flags)

    def __repr__(self) -> str:
        return f"_Current({self._trace.traceparent})"


class Beginning:
    """The plugin's `chatproxy.types.Tracer`.

    Args:
        sampler: None: traces are off, and contexts of clients go on as they came.
        base: what the contexts of exchanges are made of, which logs and other instrumentations find in their tasks.
    """

    def __init__(self, config: Config, names: Names, sampler: Sampler | None, base: Context = _NOWHERE) -> None:
        self._base = base
        self._config = config
        self._names = names
        self._is_off = sampler is None
        self._sampler = None if sampler is ALWAYS_OFF else sampler
        self._baggage = W3CBaggagePropagator()
        self._has_failed = False

    def begin(self, ctx: RequestContext) -> Callable[[], None]:
        """Take over the trace of an exchange; see `chatproxy.types.Tracer.begin`."""
        trace, exchange = ctx.trace, ctx.exchange
        exchange.is_detailed = True
        parent, link = self._origin(ctx)
        number, span_id, tracestate = trace.trace_id, trace.span_id, ""
        if parent is not None:
            number = f"{parent.trace_id:032x}"
        elif trace.is_remote:
            number = f"{random.getrandbits(128) or 1:032x}"
        if trace.is_remote:  # else the ids are new ones
            span_id = f"{random.getrandbits(64) or 1:016x}"
        sampling = self._sample(ctx, number, parent, link)
        is_recording = sampling.decision is not Decision.DROP
        flags = _SAMPLED if sampling.decision is Decision.RECORD_AND_SAMPLE else 0
        if self._is_off:  # no span will stand between those before us and those behind us, who decide for themselves
            flags = _SAMPLED if parent is None else parent.trace_flags & _SAMPLED
            span_id = span_id if parent is None else f"{parent.span_id:016x}"
        if parent is not None:
            flags |= parent.trace_flags & _RANDOM
            tracestate = parent.trace_state.to_header() if parent.trace_state else ""
        if sampling.trace_state:
            tracestate = sampling.trace_state.to_header()
        trace.adopt(number, span_id, flags, tracestate=tracestate, is_recording=is_recording)
        if is_recording:
            exchange.keeps_mutations = self._config.mutations
            ctx.state[PLUGIN] = Kept(parent, link, sampling)
        if self._config.baggage:
            self._take_baggage(ctx)
        return partial(contexts.detach, contexts.attach(set_span_in_context(_Current(trace), self._base)))

    def _origin(self, ctx: RequestContext) -> _Origin:
        """The parent: a span that is open in this task, as an instrumentation around us makes it, else the client's.

        That of an exchange inside of another one is what the outer one says.
        """
        trace, current = ctx.trace, contexts.get_current()
        if ctx.depth:
            return _Origin(_parent_of(trace, is_remote=False), None)
        if current and (around := get_current_span(current).get_span_context()).is_valid:
            return _Origin(around, None)
        if not trace.is_remote or self._config.context == "ignore":
            return _UNKNOWN
        theirs = _parent_of(trace, is_remote=True)
        return _Origin(theirs, None) if self._config.context == "trust" else _Origin(None, theirs)

    def _sample(
        self, ctx: RequestContext, trace_id: str, parent: SpanContext | None, link: SpanContext | None
    ) -> SamplingResult:
        if self._sampler is None:
            return _DROPPED
        exchange, names = ctx.exchange, self._names
        known = {names.http_method: exchange.method, names.url_path: exchange.path, names.url_scheme: exchange.scheme}
        name, kind = f"{exchange.method} {exchange.path}", SpanKind.SERVER
        if ctx.depth:  # its model is not known yet
            known, name, kind = {}, "ask", SpanKind.INTERNAL
        context = _NOWHERE if parent is None else set_span_in_context(NonRecordingSpan(parent), _NOWHERE)
        links = None if link is None else [Link(link)]
        try:
            return self._sampler.should_sample(context, int(trace_id, 16), name, kind, known, links)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                _logger.exception("the sampler failed; nothing is sampled where it does")
            return _DROPPED

    def _take_baggage(self, ctx: RequestContext) -> None:
        header = ctx.headers.get("baggage")
        if not header:
            return
        found = get_all(self._baggage.extract({"baggage": header}, _NOWHERE))
        values = {key: str(found[key]).partition(";")[0].strip() for key in self._config.baggage if key in found}
        allowed = {key: value[:MAX_BAGGAGE_VALUE] for key, value in values.items()}
        ctx.trace.baggage = ",".join(f"{key}={quote(value)}" for key, value in allowed.items())
        for key, value in allowed.items():
            ctx.trace.set(key, value)  # which is cleaned when it is exported


def _parent_of(trace: Trace, *, is_remote: bool) -> SpanContext:
    """The span that a trace's header names."""
    return SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(trace.flags),
        trace_state=TraceState.from_header([trace.tracestate]) if trace.tracestate else None,
    )

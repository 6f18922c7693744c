"""Spans: the SDK's own, made after the fact, with the ids that were told to others while the exchange ran.

A tracer of the SDK asks its id generator and its sampler; this one answers with what was decided at the beginning. So
processors, limits and resources of whatever provider is in use work as with any other span.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceState, set_span_in_context
from opentelemetry.util.types import Attributes, AttributeValue
from typing_extensions import override

_NOWHERE = Context()


class _KnownIds(IdGenerator):
    """Gives the ids of the span that is made next."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Decided(Sampler):
    """Gives the decision that was made at the exchange's beginning."""

    def __init__(self) -> None:
        self.result: SamplingResult | None = None

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        result = self.result
        if result is None:
            raise RuntimeError("a span was made before its exchange was sampled")
        return SamplingResult(result.decision, attributes, result.trace_state)

    def get_description(self) -> str:
        return "DecidedSampler"


class SpanMaker:
    """Makes the spans of one exchange after another, on one thread.

    Args:
        tracer: of an SDK provider; it stays as it is.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer = copy.copy(tracer)  # a provider gives everybody the same for a name
        self._ids = tracer.id_generator = _KnownIds()
        self._decided = tracer.sampler = _Decided()
        self._ends: list[tuple[Span, int]] = []

    def begin(self, trace_id: str, sampling: SamplingResult) -> None:
        """From now on spans belong to this trace; what is left of one that could not be finished is let go."""
        self._ends.clear()
        self._ids.trace_id = int(trace_id, 16)
        self._decided.result = sampling

    def start(
        self,
        name: str,
        kind: SpanKind,
        *,
        parent: SpanContext | None,
        start_ns: int,
        attributes: Mapping[str, AttributeValue],
        span_id: str = "",
        link: SpanContext | None = None,
    ) -> Span:
        """Start a span.

        Args:
            start_ns: Unix time.
            span_id: 16 hexadecimal digits, where the span was announced; empty: a new one.
        """
        self._ids.span_id = int(span_id, 16) if span_id else random.getrandbits(64) or 1
        context = _NOWHERE if parent is None else set_span_in_context(NonRecordingSpan(parent), _NOWHERE)
        links = () if link is None else (Link(link),)
        return self._tracer.start_span(name, context, kind, attributes, links, start_ns)

    def end(self, span: Span, end_ns: int) -> None:
        """Say when a span ended, in Unix time; `finish` ends it."""
        self._ends.append((span, end_ns))

    def finish(self) -> None:
        """End the spans, in the order in which `end` named them, once all have started: a trace is never half there."""
        ends, self._ends = self._ends, []
        for span, end_ns in ends:
            span.end(end_ns)

"""The plugin's encoding of spans means the same as OpenTelemetry's, for every span."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from chatproxy_otel.export.spans import SpanEncoder
from chatproxy_otel.export.wire import Attributes
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

RESOURCE = Resource({"service.name": "test", "process.pid": 7}, "https://schema.test/resource")
SCOPE = InstrumentationScope("test", "1.0", "https://schema.test/scope", {"team": "core"})
NS = st.integers(0, 2**64 - 1)
TEXTS = st.text(max_size=300)
SCALARS = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = SCALARS | st.lists(TEXTS) | st.lists(st.booleans()) | st.tuples(st.integers(-5, 5)) | st.lists(st.floats(0, 1))
ATTRIBUTES = st.dictionaries(TEXTS, VALUES, max_size=6)
STATES = st.dictionaries(st.sampled_from(["a", "b@c", "vendor"]), st.text("abc1", min_size=1), max_size=3)
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.just(TraceFlags(1)),
    STATES.map(lambda state: TraceState(list(state.items()))),
)
SPANS = st.builds(
    ReadableSpan,
    name=TEXTS,
    context=CONTEXTS,
    parent=st.none() | CONTEXTS,
    resource=st.sampled_from([RESOURCE, Resource({})]),
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(Event, TEXTS, ATTRIBUTES, NS), max_size=3),
    links=st.lists(st.builds(Link, CONTEXTS, ATTRIBUTES), max_size=3),
    kind=st.sampled_from(SpanKind),
    status=st.sampled_from([Status(), Status(StatusCode.OK), Status(StatusCode.ERROR, "gone\nwrong")]),
    start_time=NS,
    end_time=NS,
    instrumentation_scope=st.sampled_from([None, SCOPE, InstrumentationScope("other")]),
)


def ungrouped(request: Any) -> list[Any]:
    """Each span with its resource and scope; how they are grouped means nothing."""
    return sorted(
        (
            span.SerializeToString(deterministic=True),
            of_resource.resource.SerializeToString(deterministic=True),
            of_resource.schema_url,
            of_scope.scope.SerializeToString(deterministic=True),
            of_scope.schema_url,
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    )


def assert_same(spans: Sequence[ReadableSpan], encoder: SpanEncoder) -> None:
    ours = ExportTraceServiceRequest.FromString(encoder(spans))
    assert ungrouped(ours) == ungrouped(encode_spans(spans))


def span(attributes: Any, name: Any = "span") -> ReadableSpan:
    context = SpanContext(1, 2, is_remote=False)
    return ReadableSpan(name, context, resource=RESOURCE, attributes=attributes, start_time=1, end_time=2)


@given(st.lists(SPANS, max_size=5))
def test_any_spans_are_encoded_as_opentelemetry_does(spans: list[ReadableSpan]) -> None:
    assert_same(spans, SpanEncoder())


@given(SPANS)
def test_ours_needs_no_help_for_what_spans_usually_hold(one: ReadableSpan) -> None:
    assert SpanEncoder()._group([one])


class Word(StrEnum):
    ONE = "one"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "value",
    [None, b"\x00bytes", {"a": {"b": [1, "x", None]}}, 2**63, -(2**63) - 1, "\ud800", object(), Word.ONE, Number.ONE,
     [Word.ONE, None], [[1, 2], ["x"]], float("inf"), -1, -0.0, "", [], ()],
    ids=repr,
)  # fmt: skip
def test_unusual_values_are_encoded_as_opentelemetry_does(value: Any) -> None:
    assert_same([span({"before": 1, "value": value, "after": "x"}), span({"other": True})], SpanEncoder())


def test_counts_of_what_was_left_out_are_told() -> None:
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider

    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1, max_event_attributes=1, max_link_attributes=1)
    tracer = TracerProvider(span_limits=limits, shutdown_on_exit=False).get_tracer("test")
    links = [Link(SpanContext(3, 4, is_remote=True), {"a": 1, "b": 2})] * 3
    made = tracer.start_span("span", attributes={"a": 1, "b": 2, "c": 3}, links=links)
    for _ in range(4):
        made.add_event("event", {"a": 1, "b": 2})
    made.end()
    assert isinstance(made, ReadableSpan)
    assert_same([made], SpanEncoder())
    (encoded,) = ungrouped(ExportTraceServiceRequest.FromString(SpanEncoder()([made])))
    assert b"\x50\x02" in encoded[0]


def test_an_encoder_tells_resources_and_scopes_apart() -> None:
    encoder = SpanEncoder()
    spans = []
    for number in range(6):
        scope = InstrumentationScope(f"scope {number % 2}")
        resource = Resource({"number": number % 3})
        made = ReadableSpan(
            f"span {number}", SpanContext(1, number + 1, is_remote=False), resource=resource,
            instrumentation_scope=scope, start_time=1, end_time=2,
        )  # fmt: skip
        spans.append(made)
        assert_same([made], encoder)
    assert_same(spans, encoder)
    assert_same(list(reversed(spans)), encoder)


def test_names_are_remembered_within_a_bound() -> None:
    attributes = Attributes()
    for number in range(3000):
        assert attributes.encode(b"\x0a", {f"name {number}": 1}) == attributes.encode(b"\x0a", {f"name {number}": 1})
    assert len(attributes._names) == Attributes.MAX_NAMES

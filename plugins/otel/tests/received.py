"""Received: OTLP messages as plain dicts, as tests compare them; used by `sink`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _spans(message: Any) -> Iterator[dict[str, Any]]:
    for group in message.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield {
                    "name": span.name,
                    "kind": _kind(span.kind),
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_id": span.parent_span_id.hex(),
                    "trace_state": span.trace_state,
                    "start_ns": span.start_time_unix_nano,
                    "end_ns": span.end_time_unix_nano,
                    "attributes": _attributes(span.attributes),
                    "events": [
                        {"name": event.name, "at_ns": event.time_unix_nano, "attributes": _attributes(event.attributes)}
                        for event in span.events
                    ],
                    "links": [{"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links],
                    "status": {0: "UNSET", 1: "OK", 2: "ERROR"}[span.status.code],
                    "status_message": span.status.message,
                    "scope": scope.scope.name,
                    "schema_url": scope.schema_url,
                    "resource": resource,
                }


def _kind(number: int) -> str:
    return ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")[number]


def _logs(message: Any) -> Iterator[dict[str, Any]]:
    for group in message.resource_logs:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_logs:
            for record in scope.log_records:
                yield {
                    "event_name": record.event_name,
                    "body": _value(record.body),
                    "severity": record.severity_text,
                    "severity_number": record.severity_number,
                    "attributes": _attributes(record.attributes),
                    "trace_id": record.trace_id.hex(),
                    "span_id": record.span_id.hex(),
                    "at_ns": record.time_unix_nano,
                    "scope": scope.scope.name,
                    "resource": resource,
                }


def _metrics(message: Any) -> Iterator[dict[str, Any]]:
    for group in message.resource_metrics:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                for point in data.data_points:
                    yield {
                        "name": metric.name,
                        "unit": metric.unit,
                        "kind": kind,
                        "temporality": {0: "", 1: "delta", 2: "cumulative"}[
                            getattr(data, "aggregation_temporality", 0)
                        ],
                        "attributes": _attributes(point.attributes),
                        "scope": scope.scope.name,
                        "resource": resource,
                        **_point(kind, point),
                    }


def _point(kind: str, point: Any) -> dict[str, Any]:
    exemplars = [
        {"trace_id": one.trace_id.hex(), "span_id": one.span_id.hex()} for one in getattr(point, "exemplars", ())
    ]
    if kind == "histogram":
        return {
            "count": point.count,
            "sum": point.sum,
            "bounds": list(point.explicit_bounds),
            "buckets": list(point.bucket_counts),
            "exemplars": exemplars,
        }
    if kind in {"sum", "gauge"}:
        return {"value": getattr(point, point.WhichOneof("value")), "exemplars": exemplars}
    return {"count": point.count, "sum": point.sum, "exemplars": exemplars}


READERS: dict[str, Callable[[Any], Iterator[dict[str, Any]]]] = {"traces": _spans, "metrics": _metrics, "logs": _logs}

"""Readings: metrics, collected and exported by the SDK's periodic reader in a thread of its own.

Rule: a collection that cannot be exported is not kept: the next one holds its sums (with cumulative temporality, the
default). Within its deadline it is tried again; never while the process ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from chatproxy_otel.export.outcome import Outcome, Sender, Verdict
from chatproxy_otel.export.retry import Retry
from chatproxy_otel.export.slices import encode_in_slices
from chatproxy_otel.export.variables import Variables

MAX_POINTS = 8
"""Of one metric, encoded together; see `slices`."""
Piece = tuple[ResourceMetrics, ScopeMetrics, Metric]


class Readings(MetricExporter):
    """Sends what the periodic reader collects; connects in its thread."""

    def __init__(
        self,
        connect: Callable[[], Sender],
        encode: Callable[[Sequence[Piece]], bytes],
        timeout_s: float,
        variables: Variables,
    ) -> None:
        """Does not connect yet.

        Raises:
            ConfigError: a variable of the metrics exporter holds another word than it may.
        """
        super().__init__(preferred_temporality=temporality_of(variables), preferred_aggregation=_aggregation(variables))
        self._connect = connect
        self._encode = encode
        self._timeout_s = timeout_s
        self._sender: Sender | None = None
        self._pid = os.getpid()
        self._retry = Retry("metrics")
        self._ending = threading.Event()
        self._busy = threading.Lock()
        self._is_over = False

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: object) -> MetricExportResult:
        """Send a collection; called by the reader, one at a time."""
        deadline = time.monotonic() + min(self._timeout_s, timeout_millis / 1000)
        with self._busy:
            if self._sender is None or self._pid != os.getpid():  # a forked child leaves its parent's connection alone
                self._sender, self._pid = self._connect(), os.getpid()
            try:
                return self._export(self._sender, _pieces(metrics_data), deadline)
            finally:
                if self._is_over:
                    self._sender.close()

    def _export(self, sender: Sender, pieces: list[Piece], deadline: float) -> MetricExportResult:
        while pieces:
            batch = encode_in_slices(pieces, self._encode, at_once=1)
            if self._deliver(sender, batch.payload, deadline).verdict is not Verdict.SENT:
                return MetricExportResult.FAILURE
            pieces = pieces[batch.size :]
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return True

    def end(self) -> None:
        """Try what is left only once; from any thread."""
        self._ending.set()

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        """Close the connection, or cut off what is being sent."""
        self.end()
        self._is_over = True
        if self._sender is None:
            return
        if self._busy.acquire(blocking=False):
            self._sender.close()
            self._busy.release()
        else:
            self._sender.interrupt()

    def _deliver(self, sender: Sender, payload: bytes, deadline: float) -> Outcome:
        while True:
            outcome = sender.send(payload, max(0.05, deadline - time.monotonic()))
            if outcome.verdict is Verdict.SENT:
                self._retry.succeeded(outcome, 0)
                return outcome
            if self._is_over:
                return outcome
            self._retry.failed(outcome)
            wait_s = self._retry.wait_s(outcome)
            if outcome.verdict is Verdict.REFUSED or self._ending.is_set() or time.monotonic() + wait_s >= deadline:
                return outcome
            self._ending.wait(wait_s)


def metrics_to_protobuf(pieces: Sequence[Piece]) -> bytes:
    """``ExportMetricsServiceRequest``; each piece by itself, for the encoder keeps one group for each resource only."""
    return b"".join(encode_metrics(_alone(*piece)).SerializeToString() for piece in pieces)


def metrics_to_lines(pieces: Sequence[Piece]) -> bytes:
    """A line of JSON for each metric."""
    return "".join(f"{metric.to_json(indent=None)}\n" for _, _, metric in pieces).encode()


def temporality_of(variables: Variables) -> dict[type, AggregationTemporality]:
    """What ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`` means for each kind of instrument."""
    cumulative, delta = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    preference = variables.choice(["cumulative", "delta", "lowmemory"], name) or "cumulative"
    return {
        Counter: cumulative if preference == "cumulative" else delta,
        Histogram: cumulative if preference == "cumulative" else delta,
        ObservableCounter: delta if preference == "delta" else cumulative,
        UpDownCounter: cumulative,
        ObservableUpDownCounter: cumulative,
        ObservableGauge: cumulative,
    }


def _aggregation(variables: Variables) -> dict[type, Aggregation]:
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    kind = variables.choice(["explicit_bucket_histogram", "base2_exponential_bucket_histogram"], name)
    if kind == "base2_exponential_bucket_histogram":
        return {Histogram: ExponentialBucketHistogramAggregation()}
    return {Histogram: ExplicitBucketHistogramAggregation()}


def _pieces(data: MetricsData) -> list[Piece]:
    return [
        (resource, scope, piece)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for piece in _split(metric)
    ]


def _split(metric: Metric) -> list[Metric]:
    data: Any = metric.data  # one of four kinds, with points of its own kind
    points = data.data_points
    starts = range(0, len(points), MAX_POINTS)
    return [replace(metric, data=replace(data, data_points=points[start : start + MAX_POINTS])) for start in starts]


def _alone(resource: ResourceMetrics, scope: ScopeMetrics, metric: Metric) -> MetricsData:
    of_scope = ScopeMetrics(scope=scope.scope, metrics=[metric], schema_url=scope.schema_url)
    of_resource = ResourceMetrics(resource=resource.resource, scope_metrics=[of_scope], schema_url=resource.schema_url)
    return MetricsData(resource_metrics=[of_resource])

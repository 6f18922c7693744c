"""Metrics of the HTTP requests that went to upstreams: each attempt has its own, those that were tried again included.

Source: HTTP conventions, "HTTP client"; they require the metric wherever there are spans of such requests.
"""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from chatproxy.types import Attempt
from chatproxy_otel.labels import OTHER, Labels
from chatproxy_otel.metrics.instruments import Attributes, Series, attributes, histogram
from chatproxy_otel.names import HTTP_DURATION_BUCKETS, Names
from chatproxy_otel.traces.faults import error_type


class RequestKey(NamedTuple):
    """What tells the series of HTTP requests apart."""

    method: str
    address: str | None
    port: int | None
    status: int | None
    error: str | None

    def blurred(self) -> RequestKey:
        """Without what comes from outside."""
        return self._replace(error=self.error and OTHER)


class UpstreamMetrics:
    """Records requests to upstreams."""

    def __init__(self, meter: Meter, names: Names, labels: Labels) -> None:
        self._labels = labels
        self._duration = histogram(
            meter, names.http_client_duration_metric, "s", HTTP_DURATION_BUCKETS,
            "How long a request to an upstream took.",
        )  # fmt: skip
        keys = (names.http_method, names.server_address, names.server_port, names.http_status, names.error_type)
        self._requests: Series[RequestKey, Attributes] = Series(lambda key: attributes(keys, key), RequestKey.blurred)

    def record(self, attempt: Attempt, context: Context | None) -> None:
        """Record one attempt, if it left the process; see `ModelMetrics.record` for ``context``."""
        if attempt.url is None:
            return
        status, error = attempt.status, attempt.error_type
        if status is not None and status >= 400:
            error = str(status)
        elif error is not None:
            error = self._labels.of("error", error_type(error))
        key = RequestKey(attempt.method, attempt.address, attempt.port, status, error)
        self._duration.record(attempt.duration_s or 0.0, self._requests.of(key), context)

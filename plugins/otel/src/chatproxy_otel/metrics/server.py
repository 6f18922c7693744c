"""Metrics of what the gateway answers: a GenAI server to its clients, and an HTTP server.

A client that leaves is no error: its exchange has a duration without ``error.type``, and the counter of outcomes tells.
The first token is that of a stream, since nobody knows when a whole answer had its first; it is there when the first
bytes are out. Tokens are timed only where one call of a model made the whole stream: between rounds a client waits for
tools, not for tokens.
Source: GenAI conventions, "Generative AI model server metrics"; HTTP conventions, "HTTP server".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from chatproxy.types import Exchange
from chatproxy_otel.calls import OPERATIONS, ModelCall
from chatproxy_otel.labels import OTHER, Labels
from chatproxy_otel.metrics.instruments import Attributes, Series, attributes, histogram
from chatproxy_otel.metrics.models import was_answered
from chatproxy_otel.metrics.tokens import known_usage
from chatproxy_otel.names import (
    DURATION_BUCKETS,
    FIRST_TOKEN_BUCKETS,
    HTTP_DURATION_BUCKETS,
    OUTPUT_TOKEN_BUCKETS,
    Names,
)
from chatproxy_otel.traces.faults import error_type

NOBODY = "chatproxy"
"""The provider of what no model was asked for."""
BARE = "upstream_status"
"""The code of an upstream's error that has none; its status says more."""


class AnswerKey(NamedTuple):
    """What tells the series of answers apart."""

    operation: str
    provider: str
    request_model: str | None
    response_model: str | None
    user: str | None
    error: str | None

    def blurred(self) -> AnswerKey:
        """Without what comes from outside."""
        user, error = self.user and OTHER, self.error and OTHER
        return self._replace(request_model=OTHER, response_model=None, user=user, error=error)


class RouteKey(NamedTuple):
    """What tells the series of HTTP answers apart."""

    method: str
    scheme: str
    route: str
    status: int | None
    error: str | None

    def blurred(self) -> RouteKey:
        """Without what comes from outside."""
        return self._replace(route=OTHER, error=self.error and OTHER)


class ServerMetrics:
    """Records exchanges as their clients see them."""

    def __init__(self, meter: Meter, names: Names, labels: Labels) -> None:
        self._labels = labels
        self._duration = histogram(
            meter,
            names.server_duration_metric,
            "s",
            DURATION_BUCKETS,
            "Time from a request to the last byte of its answer.",
        )
        self._first_token = histogram(
            meter, names.server_first_tokens_metric, "s", FIRST_TOKEN_BUCKETS, "Time to the first event of a stream."
        )
        self._output_token = histogram(
            meter, names.server_output_tokens_metric, "s", OUTPUT_TOKEN_BUCKETS, "Mean time of a token after the first."
        )
        self._http = histogram(
            meter, names.http_server_duration_metric, "s", HTTP_DURATION_BUCKETS, "How long it took to serve a request."
        )
        keys = (names.operation, names.provider, names.request_model, names.response_model, names.user_id,
                names.error_type)  # fmt: skip
        self._answers: Series[AnswerKey, Attributes] = Series(lambda key: attributes(keys, key), AnswerKey.blurred)
        http = (names.http_method, names.url_scheme, names.http_route, names.http_status, names.error_type)
        self._routes: Series[RouteKey, Attributes] = Series(lambda key: attributes(http, key), RouteKey.blurred)

    def record(self, exchange: Exchange, calls: Sequence[ModelCall], user: str | None, context: Context | None) -> None:
        """Record one exchange; see `ModelMetrics.record` for ``user`` and ``context``."""
        self._http.record(exchange.duration_s, self._routes.of(self._route_key(exchange)), context)
        if not exchange.model and exchange.surface not in OPERATIONS:
            return  # files and batches: no model is asked
        found = self._answers.of(self._answer_key(exchange, calls, user))
        self._duration.record(exchange.duration_s, found, context)
        if exchange.stream and exchange.outcome == "completed" and exchange.first_byte_s is not None:
            self._first_token.record(exchange.first_byte_s, found, context)
            self._record_tokens(exchange, exchange.first_byte_s, calls, found)

    def _record_tokens(self, exchange: Exchange, first_s: float, calls: Sequence[ModelCall], found: Attributes) -> None:
        usage = known_usage(calls[0]) if len(calls) == 1 else None
        if usage is not None and usage.completion_tokens > 1 and exchange.duration_s >= first_s:
            self._output_token.record((exchange.duration_s - first_s) / (usage.completion_tokens - 1), found)

    def _answer_key(self, exchange: Exchange, calls: Sequence[ModelCall], user: str | None) -> AnswerKey:
        labels, last = self._labels, calls[-1] if calls else None
        answered = None if last is None else last.last.response_model
        is_answered = last is not None and was_answered(last)
        return AnswerKey(
            OPERATIONS.get(exchange.surface, exchange.surface),
            NOBODY if last is None else last.provider,
            labels.of("model", exchange.model, admits=is_answered) if exchange.model else None,
            labels.of("response_model", answered) if answered else None,
            user,
            self._error(exchange),
        )

    def _route_key(self, exchange: Exchange) -> RouteKey:
        status: int | None = exchange.status or None
        if status == 499 and exchange.outcome == "client_disconnected":
            status = None  # the client was gone before any was sent
        error: str | None = None
        if status is not None and status >= 500:
            error = str(status)
        elif status is None or status < 400:  # a refusal is the client's fault, and no error of a server
            error = self._error(exchange)
        route = self._labels.of("route", exchange.route or exchange.path)
        return RouteKey(exchange.method, exchange.scheme, route, status, error)

    def _error(self, exchange: Exchange) -> str | None:
        if exchange.outcome not in {"failed", "rejected"}:
            return None
        is_bare = exchange.error_code == BARE and exchange.status
        return self._labels.of("error", error_type(str(exchange.status) if is_bare else exchange.error_code))

"""Metrics: what one ended exchange adds to every instrument, sampled or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from chatproxy import App, RequestContext
from chatproxy.types import Exchange, Trace
from chatproxy_otel.calls import ModelCall
from chatproxy_otel.config import Config
from chatproxy_otel.labels import Labels
from chatproxy_otel.metrics.gateway import GatewayMetrics, PipeStats
from chatproxy_otel.metrics.inside import InsideMetrics
from chatproxy_otel.metrics.models import ModelMetrics
from chatproxy_otel.metrics.server import ServerMetrics
from chatproxy_otel.metrics.upstreams import UpstreamMetrics
from chatproxy_otel.names import Names

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOWHERE = Context()


class Metrics:
    """All instruments of one application.

    Args:
        meter: of any provider.
        pipes: the ways to the collector, for what they tell of themselves.
    """

    def __init__(
        self, meter: Meter, names: Names, config: Config, app: App, pipes: Callable[[], Sequence[PipeStats]]
    ) -> None:
        self._labels = Labels(config.max_models, models=configured_models(app.settings), redact=app.redact)
        self._tells_users = config.user_metrics
        self._models = ModelMetrics(meter, names, self._labels)
        self._upstreams = UpstreamMetrics(meter, names, self._labels)
        self._server = ServerMetrics(meter, names, self._labels)
        self._inside = InsideMetrics(meter, names, self._labels)
        self._gateway = GatewayMetrics(meter, names, app.stats, pipes)

    def record(self, ctx: RequestContext, exchange: Exchange, calls: Sequence[ModelCall]) -> None:
        """Record an exchange that has ended; never waits.

        Args:
            calls: of this exchange, as `model_calls` makes them.
        """
        context = _exemplar_context(ctx.trace)
        user = self._user(exchange)
        for call in calls:
            self._models.record(call, user, context)
        for attempt in exchange.attempts:
            self._upstreams.record(attempt, context)
        if not ctx.depth:  # what a model asks inside of an exchange came from no client
            self._server.record(exchange, calls, user, context)
        self._inside.record(exchange, context)

    def close(self) -> None:
        """Let go of the application; a global provider outlives it."""
        self._gateway.close()

    def _user(self, exchange: Exchange) -> str | None:
        if not self._tells_users or exchange.principal is None:
            return None
        return self._labels.of("user", exchange.principal)


def configured_models(settings: Mapping[str, Any]) -> set[str]:
    """The names of models that a configuration spells out: what clients ask for, and what upstreams are asked for."""
    models: Mapping[str, Mapping[str, Any]] = settings.get("models") or {}
    sent = {model.get("upstream_model") for model in models.values()}
    return {name for name in (*models, *sent, settings.get("default_model")) if name}


def _exemplar_context(trace: Trace) -> Context | None:
    """The exchange's span as a context, for exemplars; None where it is not sampled, for then there are none."""
    if not trace.is_traced or not trace.flags & _SAMPLED:
        return None
    own = SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote=False, trace_flags=_SAMPLED)
    return set_span_in_context(NonRecordingSpan(own), _NOWHERE)

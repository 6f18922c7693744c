"""Metering: the plugin's metrics over a gateway in memory, with a real meter provider, read as plain data."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from chatproxy_otel.calls import model_calls
from chatproxy_otel.config import Config
from chatproxy_otel.metrics.gateway import PipeStats
from chatproxy_otel.metrics.metrics import Metrics
from chatproxy_otel.names import STABLE_NAMES, Names
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric, MetricsData

from chatproxy import App, RequestContext, hookimpl
from chatproxy.types import Exchange


class Pipe(NamedTuple):
    """What the way of a signal tells of itself."""

    signal: str
    waiting: int = 0
    capacity: int = 0
    exported: int = 0
    dropped: int = 0


class Metering:
    """A plugin that records every exchange.

    Attributes:
        exchanges: those that have ended.
        contexts: theirs.
    """

    chatproxy_name = "metering"

    def __init__(
        self,
        *,
        names: Names = STABLE_NAMES,
        is_sampled: bool = False,
        pipes: Sequence[PipeStats] = (),
        **config: Any,
    ) -> None:
        self._config = Config(**config)
        self._names = names
        self._flags = int(is_sampled)
        self._pipes = pipes
        self._reader = InMemoryMetricReader()
        self._ended = asyncio.Event()
        self.exchanges: list[Exchange] = []
        self.contexts: list[RequestContext] = []
        self.metrics: Metrics | None = None

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        provider = MeterProvider([self._reader], shutdown_on_exit=False)
        meter = provider.get_meter("chatproxy", schema_url=self._names.schema_url)
        self.metrics = Metrics(meter, self._names, self._config, app, lambda: self._pipes)
        app.set_tracer(self)
        yield

    def begin(self, ctx: RequestContext) -> None:
        """As the plugin's own tracer does: a place in a trace, and all details."""
        ctx.exchange.is_detailed = True
        trace_id, span_id = f"{random.getrandbits(128):032x}", f"{random.getrandbits(64):016x}"
        ctx.trace.adopt(trace_id, span_id, self._flags, is_recording=bool(self._flags))

    @hookimpl(trylast=True)
    async def after_response(self, ctx: RequestContext) -> None:
        self._end(ctx)

    @hookimpl(trylast=True)
    async def on_error(self, ctx: RequestContext) -> None:
        self._end(ctx)

    async def wait(self, exchanges: int = 1) -> Exchange:
        """Wait until that many exchanges are recorded; the last of them."""
        while len(self.exchanges) < exchanges:
            self._ended.clear()
            await self._ended.wait()
        return self.exchanges[exchanges - 1]

    def read(self) -> dict[str, Metric]:
        """What is exported now, by name; exemplars are exported once."""
        return found_in(self._reader.get_metrics_data())

    def metric(self, name: str) -> Metric | None:
        """An instrument as it is exported; None where it has no data."""
        return self.read().get(name)

    def points(self, name: str) -> list[dict[str, Any]]:
        """Attributes of an instrument's data points, each with its ``value``; of a histogram, ``count`` and ``sum``."""
        metric = self.metric(name)
        return [] if metric is None else [_plain(point) for point in metric.data.data_points]

    def counts(self, name: str, *attributes: str) -> dict[Any, float]:
        """Values, or counts of a histogram, by the values of these attributes; of a single one, not as a tuple."""
        found = {}
        for point in self.points(name):
            key = tuple(point.get(attribute) for attribute in attributes)
            found[key[0] if len(key) == 1 else key] = point.get("count", point.get("value"))
        return found

    def names(self) -> set[str]:
        """The instruments that have data."""
        return set(self.read())

    def _end(self, ctx: RequestContext) -> None:
        if self.metrics is None:
            raise RuntimeError("an exchange ended outside the application's life")
        self.metrics.record(ctx, ctx.exchange, model_calls(ctx.exchange, self._config.providers))
        self.exchanges.append(ctx.exchange)
        self.contexts.append(ctx)
        self._ended.set()


def found_in(data: MetricsData | None) -> dict[str, Metric]:
    """Instruments by name."""
    if data is None:
        return {}
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    return {metric.name: metric for scope in scopes for metric in scope.metrics}


def _plain(point: Any) -> dict[str, Any]:
    if isinstance(point, HistogramDataPoint):
        return {**(point.attributes or {}), "count": point.count, "sum": point.sum}
    return {**(point.attributes or {}), "value": point.value}

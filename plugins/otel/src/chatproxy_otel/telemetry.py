"""Telemetry: the plugin's parts in one running application, and what becomes of an exchange that has ended."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.trace import SpanContext

from chatproxy import ApiError, App, ChatRequest, ChatResponse, RequestContext, ToolCall, ToolResult
from chatproxy.types import StreamTransform
from chatproxy_otel.calls import model_calls
from chatproxy_otel.config import PLUGIN, Config
from chatproxy_otel.content.content import new_content
from chatproxy_otel.content.mode import Mode, mode_of
from chatproxy_otel.export.providers import Providers, open_providers
from chatproxy_otel.logs.bridge import bridge
from chatproxy_otel.logs.events import LogEvents, wants_details
from chatproxy_otel.metrics.metrics import Metrics
from chatproxy_otel.names import Names, names_of
from chatproxy_otel.traces.beginning import Beginning, Kept
from chatproxy_otel.traces.faults import error_type
from chatproxy_otel.traces.spans import SpanMaker
from chatproxy_otel.traces.tree import Ended, Tree

SCOPE = "chatproxy"


class Telemetry:
    """What the hooks use; one for each application.

    Args:
        base: the context that contexts of exchanges are made of.
    """

    def __init__(
        self, app: App, config: Config, environ: Mapping[str, str], providers: Providers, base: Context
    ) -> None:
        self._config = config
        self._names: Names = names_of(config.latest_names, environ)
        self._mode: Mode = mode_of(config, environ)
        self._tells_details = wants_details(environ, captures=self._mode.in_events)
        tracer = _tracer(providers, app.version, self._names)
        self.beginning = Beginning(config, self._names, None if tracer is None else tracer.sampler, base)
        self._tree: Tree | None = None
        if tracer is not None:
            self._tree = Tree(SpanMaker(tracer), self._names, app.redact, hook_spans=config.hook_spans)
        self._metrics: Metrics | None = None
        schema = self._names.schema_url
        if providers.meter_provider is not None:
            meter = providers.meter_provider.get_meter(
                SCOPE, app.version, schema_url=schema, attributes=_apart(providers, self._names)
            )
            self._metrics = Metrics(meter, self._names, config, app, lambda: providers.pipes)
        self._events: LogEvents | None = None
        if providers.logger_provider is not None:
            logger = providers.logger_provider.get_logger(SCOPE, app.version, schema_url=schema)
            self._events = LogEvents(logger, self._names, app.redact)

    def keep(self, ctx: RequestContext, request: ChatRequest) -> None:
        """Note what is asked, when every plugin has seen it."""
        kept = _kept(ctx)
        if kept is None:
            return
        kept.content = new_content(self._config, self._mode, self._names, ctx)
        if kept.content is not None:
            kept.content.take_request(request)

    def transform(self, ctx: RequestContext) -> StreamTransform | None:
        """What notes a stream's content on its way; None where nobody wants it."""
        kept = _kept(ctx)
        return None if kept is None or kept.content is None else kept.content.transform()

    def hear(self, ctx: RequestContext, response: ChatResponse) -> None:
        """Note a whole reply's content."""
        kept = _kept(ctx)
        if kept is not None and kept.content is not None:
            kept.content.take_response(response)

    def hear_tool(self, ctx: RequestContext, call: ToolCall, result: ToolResult) -> None:
        """Note the content of a tool's call."""
        kept = _kept(ctx)
        if kept is not None and kept.content is not None:
            kept.content.take_tool(call, result)

    async def end(self, ctx: RequestContext, error: ApiError | None) -> None:
        """Write down an exchange that is over."""
        calls = model_calls(ctx.exchange, self._config.providers)
        if self._metrics is not None:
            self._metrics.record(ctx, ctx.exchange, calls)
        kept = _kept(ctx)
        if kept is not None and kept.content is not None:
            if ctx.trace.hides_all:
                kept.content = None
            else:
                await kept.content.prepare()
        if kept is not None and self._tree is not None:
            ended = Ended(ctx, kept, calls, error)
            spans = self._tree.write(ended)
            if self._events is not None and calls:
                self._tell(self._tree, self._events, ended, spans)

    def close(self) -> None:
        """Let go of what a provider that outlives the application keeps of it."""
        if self._metrics is not None:
            self._metrics.close()

    def _tell(self, tree: Tree, events: LogEvents, ended: Ended, spans: list[SpanContext]) -> None:
        """The log events of an exchange's model calls."""
        content = ended.kept.content
        for number, (call, span) in enumerate(zip(ended.calls, spans, strict=True)):
            at_ns = ended.ns(call.started_s + call.duration_s)
            if call.error_type is None and not self._tells_details:
                continue
            attributes = tree.operation(ended, number)
            if call.error_type is not None:
                events.exception(span, at_ns, error_type=error_type(call.error_type), attributes=attributes)
            if self._tells_details:
                is_last = number == len(spans) - 1
                said = None if content is None else content.event_attributes(is_first=number == 0, is_last=is_last)
                events.operation(span, at_ns, attributes, said)


def health(providers: Providers) -> dict[str, Any]:
    """What ``/readyz`` says of the ways to the collector: counts of items, by signal."""
    return {
        pipe.signal: {"waiting": pipe.waiting, "exported": pipe.exported, "dropped": pipe.dropped}
        for pipe in providers.pipes
    }


def _kept(ctx: RequestContext) -> Kept | None:
    kept: Kept | None = ctx.state.get(PLUGIN)
    return kept


def _apart(providers: Providers, names: Names) -> dict[str, str] | None:
    """Attributes of the scope of metrics, where others may use the provider under the same name, or did before.

    A meter of the SDK asks only those who came first about an instrument, even when they have gone.
    """
    return None if providers.has_own_meters else {names.gateway: f"{random.getrandbits(32):08x}"}


def _tracer(providers: Providers, version: str, names: Names) -> Tracer | None:
    if providers.tracer_provider is None:
        return None
    tracer = providers.tracer_provider.get_tracer(SCOPE, version, schema_url=names.schema_url)
    return tracer if isinstance(tracer, Tracer) else None  # `OTEL_SDK_DISABLED`


@asynccontextmanager
async def opened(app: App, config: Config, environ: Mapping[str, str]) -> AsyncIterator[Telemetry]:
    """Telemetry for the life of an application; what still waits at the end is sent within the configured time."""
    async with AsyncExitStack() as stack:
        providers = open_providers(config, environ, app)
        stack.push_async_callback(providers.aclose, config.flush_timeout_s)
        logs = stack.enter_context(bridge(providers.logger_provider, config.log_level, app.redact))
        telemetry = Telemetry(app, config, environ, providers, logs.mark(Context()))
        app.set_tracer(telemetry.beginning)
        app.report_health(PLUGIN, lambda: health(providers))
        stack.callback(telemetry.close)
        # once more, and first: while the gateway can still be looked at, for the last metrics
        stack.push_async_callback(providers.aclose, config.flush_timeout_s)
        yield telemetry

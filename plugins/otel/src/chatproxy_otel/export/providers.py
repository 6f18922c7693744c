"""Providers: which ones the plugin uses, and how ours are made.

Rule: for each signal, another plugin's provider (as the test kit's) comes before the process's global one, and this
before our own. Globals are never set. Nothing connects and no thread starts here, except the reader of metrics.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    ExemplarFilter,
    MeterProvider,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from chatproxy.errors import ConfigError
from chatproxy.types import App
from chatproxy_otel.config import Config
from chatproxy_otel.export import encoders, readings
from chatproxy_otel.export.closing import Providers, Readers
from chatproxy_otel.export.console import ConsoleSender
from chatproxy_otel.export.otlp_http import HttpSender, check_tls
from chatproxy_otel.export.outcome import Sender
from chatproxy_otel.export.pipe import Limits, Pipe
from chatproxy_otel.export.processors import LogPipe, SpanPipe
from chatproxy_otel.export.resource import resource_of
from chatproxy_otel.export.sampling import log_limits_of, sampler_of, span_limits_of
from chatproxy_otel.export.spans import SpanEncoder
from chatproxy_otel.export.target import DEFAULT_TIMEOUT_S, Signal, Target, exporters_of, target_of
from chatproxy_otel.export.variables import Variables

P = TypeVar("P")

__all__ = ["Providers", "open_providers"]

DEFAULT_QUEUE = 2048
DEFAULT_BATCH = 512
DEFAULT_METRICS_INTERVAL_S = 60.0
DEFAULT_METRICS_TIMEOUT_S = 30.0
FILTERS: Mapping[str, type[ExemplarFilter]] = {
    "always_on": AlwaysOnExemplarFilter,
    "always_off": AlwaysOffExemplarFilter,
    "trace_based": TraceBasedExemplarFilter,
}

logger = logging.getLogger("chatproxy_otel")


class Setup(NamedTuple):
    """What all signals are made of."""

    config: Config
    variables: Variables
    resource: Resource
    app: App


def open_providers(config: Config, environ: Mapping[str, str], app: App) -> Providers:
    """The providers of this process; call it where the exchanges will be handled, after any fork.

    Args:
        environ: of the process; the SDK itself looks at ``os.environ`` for the rare settings that are not read here.

    Raises:
        ConfigError: a key or variable holds what cannot be used.
    """
    variables = Variables(environ)
    if variables.flag("OTEL_SDK_DISABLED"):
        return Providers()
    setup = Setup(config, variables, resource_of(config, variables, app.version), app)
    owned: list[Pipe[ReadableSpan] | Pipe[ReadableLogRecord]] = []
    tracers = _existing(TracerProvider, "traces", trace.get_tracer_provider, setup)
    if tracers is None and (exporters := exporters_of("traces", config, variables)):
        span_pipes = [_span_pipe(exporter, setup) for exporter in exporters]
        tracers = _tracer_provider(span_pipes, setup)
        owned += span_pipes
    records = _existing(LoggerProvider, "logs", _logs.get_logger_provider, setup)
    if records is None and (exporters := exporters_of("logs", config, variables)):
        log_pipes = [_log_pipe(exporter, setup) for exporter in exporters]
        records = _logger_provider(log_pipes, setup)
        owned += log_pipes
    readers = None
    meters = _existing(MeterProvider, "metrics", metrics.get_meter_provider, setup)
    if meters is None and (exporters := exporters_of("metrics", config, variables)):
        readers = _readers(exporters, setup)
        meters = readers.provider
    return Providers(
        tracer_provider=tracers, meter_provider=meters, logger_provider=records, owned=owned, readers=readers
    )


def _existing(kind: type[P], signal: Signal, current: Callable[[], object], setup: Setup) -> P | None:
    try:
        return setup.app.plugin(kind)
    except LookupError:
        pass
    if setup.config.global_provider == "ignore" or getattr(setup.config, signal) == "none":
        return None
    found = current()
    if isinstance(found, kind):
        return found
    if "Proxy" not in type(found).__name__:  # the API's stand-in for none
        logger.warning(
            "%s: the global provider is %s.%s, not one of OpenTelemetry's SDK; it is passed over",
            signal,
            type(found).__module__,
            type(found).__qualname__,
        )
    return None


def _tracer_provider(pipes: list[Pipe[ReadableSpan]], setup: Setup) -> TracerProvider:
    provider = TracerProvider(
        sampler=sampler_of(setup.config, setup.variables),
        resource=setup.resource,
        shutdown_on_exit=False,
        span_limits=span_limits_of(setup.config, setup.variables),
    )
    for pipe in pipes:
        provider.add_span_processor(SpanPipe(pipe))
    return provider


def _logger_provider(pipes: list[Pipe[ReadableLogRecord]], setup: Setup) -> LoggerProvider:
    provider = LoggerProvider(
        resource=setup.resource,
        shutdown_on_exit=False,
        log_record_limits=log_limits_of(setup.config, setup.variables),
    )
    for pipe in pipes:
        provider.add_log_record_processor(LogPipe(pipe))
    return provider


def _readers(exporters: list[str], setup: Setup) -> Readers:
    variables = setup.variables
    interval_s = (
        setup.config.metrics_interval_s
        or variables.milliseconds("OTEL_METRIC_EXPORT_INTERVAL")
        or DEFAULT_METRICS_INTERVAL_S
    )
    timeout_s = variables.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT") or DEFAULT_METRICS_TIMEOUT_S
    exemplars = variables.choice(list(FILTERS), "OTEL_METRICS_EXEMPLAR_FILTER") or "trace_based"
    made = [_readings(exporter, setup) for exporter in exporters]
    provider = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(one, interval_s * 1000, timeout_s * 1000) for one in made],
        resource=setup.resource,
        exemplar_filter=FILTERS[exemplars](),
        shutdown_on_exit=False,
    )
    return Readers(provider, made)


def _readings(exporter: str, setup: Setup) -> readings.Readings:
    if exporter == "console":
        encode, timeout_s = readings.metrics_to_lines, DEFAULT_TIMEOUT_S
        return readings.Readings(ConsoleSender, encode, timeout_s, setup.variables)
    target = target_of("metrics", setup.config, setup.variables)
    return readings.Readings(
        _connector(target, setup.app), readings.metrics_to_protobuf, target.timeout_s, setup.variables
    )


def _span_pipe(exporter: str, setup: Setup) -> Pipe[ReadableSpan]:
    if exporter == "console":
        limits = _limits("BSP", 5.0, DEFAULT_TIMEOUT_S, setup)
        return Pipe("traces", limits, encoders.spans_to_lines, ConsoleSender)
    target = target_of("traces", setup.config, setup.variables)
    limits = _limits("BSP", 5.0, target.timeout_s, setup)
    return Pipe("traces", limits, SpanEncoder(), _connector(target, setup.app))


def _log_pipe(exporter: str, setup: Setup) -> Pipe[ReadableLogRecord]:
    if exporter == "console":
        limits = _limits("BLRP", 1.0, DEFAULT_TIMEOUT_S, setup)
        return Pipe("logs", limits, encoders.logs_to_lines, ConsoleSender)
    target = target_of("logs", setup.config, setup.variables)
    limits = _limits("BLRP", 1.0, target.timeout_s, setup)
    return Pipe("logs", limits, encoders.logs_to_protobuf, _connector(target, setup.app))


def _limits(prefix: str, delay_s: float, timeout_s: float, setup: Setup) -> Limits:
    config, variables = setup.config, setup.variables
    size_name = f"OTEL_{prefix}_MAX_EXPORT_BATCH_SIZE"
    capacity = config.queue_size or variables.count(f"OTEL_{prefix}_MAX_QUEUE_SIZE", least=1) or DEFAULT_QUEUE
    asked = config.batch_size or variables.count(size_name, least=1)
    if asked is not None and asked > capacity:
        key = "plugins.otel.batch_size" if config.batch_size else size_name
        raise ConfigError(f"{key}: {asked} is more than the queue holds ({capacity})")
    return Limits(
        capacity=capacity,
        batch_size=asked or min(DEFAULT_BATCH, capacity),
        delay_s=config.delay_s or variables.milliseconds(f"OTEL_{prefix}_SCHEDULE_DELAY") or delay_s,
        timeout_s=min(timeout_s, variables.milliseconds(f"OTEL_{prefix}_EXPORT_TIMEOUT") or timeout_s),
    )


def _connector(target: Target, app: App) -> Callable[[], Sender]:
    """How a thread connects; what can be wrong with it is found out here."""
    rejected = encoders.rejected_of(target.signal)
    agent = f"chatproxy/{app.version}"
    check_tls(target)
    if target.protocol == "http/protobuf":
        return lambda: HttpSender(target, rejected, agent)
    if importlib.util.find_spec("grpc") is None:
        raise ConfigError("plugins.otel.protocol: grpc needs the package grpcio, which is not installed")

    def connect() -> Sender:
        from chatproxy_otel.export.otlp_grpc import GrpcSender  # noqa: PLC0415 - 10 MB that HTTP does not need

        return GrpcSender(target, rejected, agent)

    return connect

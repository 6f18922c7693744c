"""Sampling and limits of spans and log records.

Source: OpenTelemetry specification, "Environment Variable Specification": general SDK configuration, attribute limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from opentelemetry.sdk._logs import LogRecordLimits
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)

from chatproxy.errors import ConfigError
from chatproxy_otel.config import Config
from chatproxy_otel.export.variables import Variables

DEFAULT_SAMPLER = "parentbased_always_on"
GROUP = "opentelemetry_traces_sampler"
FIXED: Mapping[str, Sampler] = {
    "always_on": ALWAYS_ON,
    "always_off": ALWAYS_OFF,
    "parentbased_always_on": DEFAULT_ON,
    "parentbased_always_off": DEFAULT_OFF,
}
RATIOS: Mapping[str, Callable[[float], Sampler]] = {
    "traceidratio": TraceIdRatioBased,
    "parentbased_traceidratio": ParentBasedTraceIdRatio,
}
LEAST_LENGTH_LIMIT = 65_536


def sampler_of(config: Config, variables: Variables) -> Sampler:
    """The sampler by its name: OpenTelemetry's own, or one that an installed package registers.

    Raises:
        ConfigError: there is none of this name, or it does not take the argument.
    """
    key, name = "plugins.otel.sampler", config.sampler or ""
    if not name:
        key, name = variables.found("OTEL_TRACES_SAMPLER")
    arg_key, arg = "plugins.otel.sampler_arg", config.sampler_arg
    if arg is None:
        arg_key, arg = "OTEL_TRACES_SAMPLER_ARG", variables.text("OTEL_TRACES_SAMPLER_ARG")
    name = name.lower() or DEFAULT_SAMPLER
    if name in FIXED:
        return FIXED[name]
    if name in RATIOS:
        return RATIOS[name](_ratio(arg_key, arg))
    return _registered(key, name, arg)


def _registered(key: str, name: str, arg: float | str | None) -> Sampler:
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        known = ", ".join(sorted({*FIXED, *RATIOS, *(entry.name for entry in entry_points(group=GROUP))}))
        raise ConfigError(f"{key}: no sampler is called {name!r:.80}; there are {known}")
    try:
        sampler = found.load()(arg)
    except (TypeError, ValueError, ImportError, AttributeError) as exc:
        raise ConfigError(f"{key}: the sampler {name!r} cannot be made with {arg!r:.80}: {exc}") from exc
    if not isinstance(sampler, Sampler):
        raise ConfigError(f"{key}: {name!r} makes a {type(sampler).__qualname__}, which is no sampler")
    return sampler


def span_limits_of(config: Config, variables: Variables) -> SpanLimits:
    """How much a span may hold. Lengths are limited even where no variable says so, above all that we put in."""
    attributes = variables.count("OTEL_ATTRIBUTE_COUNT_LIMIT")
    length = _length(config, variables)
    return SpanLimits(
        max_attributes=attributes,
        max_events=variables.count("OTEL_SPAN_EVENT_COUNT_LIMIT"),
        max_links=variables.count("OTEL_SPAN_LINK_COUNT_LIMIT"),
        max_span_attributes=variables.count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
        max_event_attributes=variables.count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
        max_link_attributes=variables.count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
        max_attribute_length=length,
        max_span_attribute_length=variables.count("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    )


def log_limits_of(config: Config, variables: Variables) -> LogRecordLimits:
    """How much a log record may hold; see `span_limits_of`."""
    return LogRecordLimits(
        max_attributes=variables.count("OTEL_ATTRIBUTE_COUNT_LIMIT"),
        max_attribute_length=_length(config, variables),
        max_log_record_attributes=variables.count("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"),
        max_log_record_attribute_length=variables.count("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    )


def _length(config: Config, variables: Variables) -> int:
    limit = variables.count("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    return max(LEAST_LENGTH_LIMIT, 4 * config.max_content_bytes) if limit is None else limit


def _ratio(key: str, arg: float | str | None) -> float:
    if arg is None:
        return 1.0
    try:
        ratio = float(arg)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ConfigError(f"{key}: wanted a ratio from 0 to 1, found {arg!r:.80}")
    return ratio

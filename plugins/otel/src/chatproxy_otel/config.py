"""Config: what ``[plugins.otel]`` may hold.

Rule: every key that OpenTelemetry has an environment variable for is None by default; the variable decides then, and
where it is not set either, what OpenTelemetry's specification says.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Exporter = Literal["otlp", "console", "none"]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


PLUGIN = "otel"


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Settings of the plugin.

    Attributes:
        service_name: ``OTEL_SERVICE_NAME``, else ``chatproxy``.
        resource: more resource attributes; they win over ``OTEL_RESOURCE_ATTRIBUTES``.
        context: what a client's ``traceparent`` means: ``trust`` makes it the parent, ``link`` begins a trace of our
            own that has a link to it, ``ignore`` does not look at it.
        baggage: keys of the client's ``baggage`` that become attributes and go on to upstreams and tools; no others do.
        global_provider: ``use`` one that the process has configured, or ``ignore`` it.
        sampler: ``OTEL_TRACES_SAMPLER``, else ``parentbased_always_on``.
        sampler_arg: ``OTEL_TRACES_SAMPLER_ARG``.
        hook_spans: a span for each call of a plugin's hook, else an event.
        mutations: say which fields of a request or reply each plugin changed.
        capture_content: ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``, else ``no_content``.
        max_content_bytes: of the messages of one exchange, each way.
        latest_names: the newer draft's names; None: whether ``OTEL_SEMCONV_STABILITY_OPT_IN`` says so.
        traces: ``OTEL_TRACES_EXPORTER``, else ``otlp``; ``metrics`` and ``logs`` likewise.
        endpoint: ``OTEL_EXPORTER_OTLP_ENDPOINT``; ``protocol``, ``headers``, ``timeout_s``, ``compression`` likewise.
        queue_size: spans, and log records, that wait for the collector at most; ``OTEL_BSP_MAX_QUEUE_SIZE`` and
            ``OTEL_BLRP_MAX_QUEUE_SIZE``. Further ones are dropped and counted.
        batch_size: of one export; ``OTEL_BSP_MAX_EXPORT_BATCH_SIZE``.
        delay_s: between exports; ``OTEL_BSP_SCHEDULE_DELAY``.
        metrics_interval_s: ``OTEL_METRIC_EXPORT_INTERVAL``, else 60.
        flush_timeout_s: at the end, for all that still waits.
        max_models: different models, and the like, that metrics tell apart; further ones are ``_OTHER``.
        user_metrics: tell users apart in metrics as well.
        providers: by the name of an upstream, what ``gen_ai.provider.name`` says of it.
        log_level: of the Python logs that are exported; None: none are.
    """

    service_name: str | None = None
    resource: dict[str, str] = msgspec.field(default_factory=dict)
    context: Literal["trust", "link", "ignore"] = "trust"
    baggage: list[str] = msgspec.field(default_factory=list)
    global_provider: Literal["use", "ignore"] = "use"
    sampler: str | None = None
    sampler_arg: float | str | None = None
    hook_spans: bool = False
    mutations: bool = True
    capture_content: Literal["no_content", "span_only", "event_only", "span_and_event"] | None = None
    max_content_bytes: Count = 16_384
    latest_names: bool | None = None
    traces: Exporter | None = None
    metrics: Exporter | None = None
    logs: Exporter | None = None
    endpoint: str | None = None
    protocol: Literal["http/protobuf", "grpc"] | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    timeout_s: Seconds | None = None
    compression: Literal["gzip", "none"] | None = None
    queue_size: Count | None = None
    batch_size: Count | None = None
    delay_s: Seconds | None = None
    metrics_interval_s: Seconds | None = None
    flush_timeout_s: Seconds = 5.0
    max_models: Count = 200
    user_metrics: bool = False
    providers: dict[str, str] = msgspec.field(default_factory=dict)
    log_level: Literal["debug", "info", "warning", "error"] | None = "info"

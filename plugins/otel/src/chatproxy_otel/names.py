"""Names: every attribute, span event, log event and metric of ours, in one table.

Rule: a name of telemetry stands here and nowhere else in the package. A default is what is sent without any switch, the
semantic conventions of release `CONVENTIONS`; ``""`` means that this vocabulary has no such name.
Sources: open-telemetry/semantic-conventions, ``docs/`` of that release, for what a comment names by a file; for
`LATEST_NAMES` the draft in open-telemetry/semantic-conventions-genai, ``docs/gen-ai/``.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

CONVENTIONS = "1.41.1"
"""The last release that holds GenAI and MCP; 1.42.0 moved them to a repository that has not released anything."""
OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
OPT_IN_LATEST = "gen_ai_latest_experimental"

DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Seconds. Source: gen-ai-metrics.md, for ``*.duration``, the two of chunks, and the draft's own."""
FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
"""Seconds. Source: gen-ai-metrics.md, ``gen_ai.server.time_to_first_token``."""
OUTPUT_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
"""Seconds. Source: gen-ai-metrics.md, ``gen_ai.server.time_per_output_token``."""
TOKEN_BUCKETS = tuple(4**power for power in range(14))
"""Tokens, 1 to 67,108,864. Source: gen-ai-metrics.md, ``gen_ai.client.token.usage``."""
HTTP_DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds. Source: http-metrics.md, ``http.server.request.duration``."""
MCP_DURATION_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds. Source: mcp.md, ``mcp.client.operation.duration``."""
HOOK_DURATION_BUCKETS = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
"""Seconds; ours: a hook takes 10 µs where it only looks, its deadline is 10 s."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """A vocabulary; a field's name says what its value names.

    Attributes:
        schema_url: of tracers, meters and loggers; empty where the vocabulary has not been released.
    """

    schema_url: str = f"https://opentelemetry.io/schemas/{CONVENTIONS}"

    # GenAI: the operation and what was asked. Source: gen-ai-spans.md, "Inference" and "Embeddings".
    operation: str = "gen_ai.operation.name"
    provider: str = "gen_ai.provider.name"
    conversation_id: str = "gen_ai.conversation.id"
    output_type: str = "gen_ai.output.type"
    request_model: str = "gen_ai.request.model"
    request_stream: str = "gen_ai.request.stream"
    request_choice_count: str = "gen_ai.request.choice.count"
    request_max_tokens: str = "gen_ai.request.max_tokens"
    request_temperature: str = "gen_ai.request.temperature"
    request_top_p: str = "gen_ai.request.top_p"
    request_top_k: str = "gen_ai.request.top_k"
    request_frequency_penalty: str = "gen_ai.request.frequency_penalty"
    request_presence_penalty: str = "gen_ai.request.presence_penalty"
    request_stop_sequences: str = "gen_ai.request.stop_sequences"
    request_seed: str = "gen_ai.request.seed"
    request_encoding_formats: str = "gen_ai.request.encoding_formats"
    request_reasoning_level: str = ""
    request_previous_response: str = ""
    embeddings_dimensions: str = "gen_ai.embeddings.dimension.count"

    # GenAI: what was answered. Source: the same.
    response_id: str = "gen_ai.response.id"
    response_model: str = "gen_ai.response.model"
    response_finish_reasons: str = "gen_ai.response.finish_reasons"
    response_first_chunk: str = "gen_ai.response.time_to_first_chunk"
    usage_input: str = "gen_ai.usage.input_tokens"
    usage_output: str = "gen_ai.usage.output_tokens"
    usage_cache_read: str = "gen_ai.usage.cache_read.input_tokens"
    usage_cache_write: str = "gen_ai.usage.cache_creation.input_tokens"
    usage_reasoning: str = "gen_ai.usage.reasoning.output_tokens"

    # OpenAI's own. Source: openai.md.
    openai_api_type: str = "openai.api.type"
    openai_request_service_tier: str = "openai.request.service_tier"
    openai_response_service_tier: str = "openai.response.service_tier"
    openai_response_fingerprint: str = "openai.response.system_fingerprint"

    # Content of messages, where it is captured. Source: gen-ai-spans.md, "Capturing instructions, inputs, and outputs".
    input_messages: str = "gen_ai.input.messages"
    output_messages: str = "gen_ai.output.messages"
    system_instructions: str = "gen_ai.system_instructions"
    tool_definitions: str = "gen_ai.tool.definitions"
    tool_arguments: str = "gen_ai.tool.call.arguments"
    tool_result: str = "gen_ai.tool.call.result"

    # Tools. Source: gen-ai-spans.md, "Execute tool span"; mcp.md, "Client".
    tool_name: str = "gen_ai.tool.name"
    tool_type: str = "gen_ai.tool.type"
    tool_call_id: str = "gen_ai.tool.call.id"
    mcp_method: str = "mcp.method.name"
    mcp_protocol_version: str = "mcp.protocol.version"
    rpc_status: str = "rpc.response.status_code"

    # HTTP, both sides. Source: http-spans.md, general/attributes.md, general/recording-errors.md.
    http_method: str = "http.request.method"
    http_method_original: str = "http.request.method_original"
    http_resend_count: str = "http.request.resend_count"
    http_status: str = "http.response.status_code"
    http_route: str = "http.route"
    url_full: str = "url.full"
    url_path: str = "url.path"
    url_scheme: str = "url.scheme"
    server_address: str = "server.address"
    server_port: str = "server.port"
    client_address: str = "client.address"
    network_transport: str = "network.transport"
    user_agent: str = "user_agent.original"
    user_id: str = "user.id"
    error_type: str = "error.type"

    # Exceptions, on spans and in logs. Source: exceptions/exceptions-spans.md.
    exception_event: str = "exception"
    exception_type: str = "exception.type"
    exception_message: str = "exception.message"
    exception_stacktrace: str = "exception.stacktrace"

    # Log events. Source: gen-ai-events.md, gen-ai-exceptions.md.
    details_event: str = "gen_ai.client.inference.operation.details"
    failure_event: str = "gen_ai.client.operation.exception"

    # Metrics of the model's side. Source: gen-ai-metrics.md, "client metrics"; the last seven: gen-ai-token-metrics.md.
    duration_metric: str = "gen_ai.client.operation.duration"
    embeddings_duration_metric: str = "gen_ai.client.operation.duration"
    first_chunk_metric: str = "gen_ai.client.operation.time_to_first_chunk"
    output_chunk_metric: str = "gen_ai.client.operation.time_per_output_chunk"
    tokens_metric: str = "gen_ai.client.token.usage"
    embeddings_tokens_metric: str = "gen_ai.client.token.usage"
    input_tokens_metric: str = ""
    output_tokens_metric: str = ""
    used_input_metric: str = ""
    used_output_metric: str = ""
    used_cache_read_metric: str = ""
    used_cache_write_metric: str = ""
    used_reasoning_metric: str = ""
    tokens_type: str = "gen_ai.token.type"
    tokens_modality: str = ""

    # Metrics of our side, and of tools. Source: gen-ai-metrics.md, "model server metrics" and, since 1.42, "tool
    # metrics"; mcp.md, "Metrics"; http-metrics.md.
    server_duration_metric: str = "gen_ai.server.request.duration"
    server_first_tokens_metric: str = "gen_ai.server.time_to_first_token"
    server_output_tokens_metric: str = "gen_ai.server.time_per_output_token"
    tool_duration_metric: str = "gen_ai.execute_tool.duration"
    mcp_duration_metric: str = "mcp.client.operation.duration"
    http_server_duration_metric: str = "http.server.request.duration"
    http_client_duration_metric: str = "http.client.request.duration"

    # Attributes of our own, on the exchange's span and on attempts.
    request_id: str = "chatproxy.request_id"
    client_request_id: str = "chatproxy.client_request_id"
    surface: str = "chatproxy.surface"
    gateway: str = "chatproxy.gateway.id"
    handler: str = "chatproxy.handler"
    upstream: str = "chatproxy.upstream"
    upstream_request_id: str = "chatproxy.upstream_request_id"
    outcome: str = "chatproxy.outcome"
    error_code: str = "chatproxy.error_code"
    client_disconnected: str = "chatproxy.client_disconnected"
    stream_events: str = "chatproxy.stream.events"
    usage_source: str = "chatproxy.usage.source"
    translated_to: str = "chatproxy.translated_to"
    translation_losses: str = "chatproxy.translation.losses"
    tool_server: str = "chatproxy.tool.server"

    # Calls of hooks and what they changed: events, or spans where that is set.
    hook_event: str = "chatproxy.hook"
    mutation_event: str = "chatproxy.mutation"
    plugin: str = "chatproxy.plugin"
    hook: str = "chatproxy.hook.name"
    hook_outcome: str = "chatproxy.hook.outcome"
    hook_duration: str = "chatproxy.hook.duration_s"
    mutation_added: str = "chatproxy.mutation.added"
    mutation_changed: str = "chatproxy.mutation.changed"
    mutation_removed: str = "chatproxy.mutation.removed"

    # Verdicts of guardrails: events.
    guardrail_event: str = "chatproxy.guardrail"
    guardrail_policy: str = "chatproxy.guardrail.policy"
    guardrail_check: str = "chatproxy.guardrail.check"
    guardrail_target: str = "chatproxy.guardrail.target"
    guardrail_action: str = "chatproxy.guardrail.action"
    guardrail_mode: str = "chatproxy.guardrail.mode"
    guardrail_outcome: str = "chatproxy.guardrail.outcome"
    guardrail_findings: str = "chatproxy.guardrail.findings"

    # Metrics of the gateway itself; signal: traces, metrics or logs.
    in_flight_metric: str = "chatproxy.exchanges.in_flight"
    in_flight_limit_metric: str = "chatproxy.exchanges.limit"
    exchanges_metric: str = "chatproxy.exchanges.ended"
    draining_metric: str = "chatproxy.draining"
    hook_duration_metric: str = "chatproxy.hook.duration"
    plugin_calls_metric: str = "chatproxy.plugin.calls"
    plugin_failures_metric: str = "chatproxy.plugin.failures"
    plugin_skipped_metric: str = "chatproxy.plugin.skipped"
    plugin_abandoned_metric: str = "chatproxy.plugin.abandoned"
    plugin_quarantined_metric: str = "chatproxy.plugin.quarantined"
    background_waiting_metric: str = "chatproxy.background.waiting"
    background_dropped_metric: str = "chatproxy.background.dropped"
    loop_blocked_metric: str = "chatproxy.loop.blocked"
    guardrail_verdicts_metric: str = "chatproxy.guardrail.verdicts"
    queue_length_metric: str = "chatproxy.telemetry.queue.length"
    queue_capacity_metric: str = "chatproxy.telemetry.queue.capacity"
    exported_metric: str = "chatproxy.telemetry.exported"
    dropped_metric: str = "chatproxy.telemetry.dropped"
    signal: str = "chatproxy.telemetry.signal"


STABLE_NAMES = Names()
"""As released, `CONVENTIONS`; what receivers understand today."""
LATEST_NAMES = Names(
    schema_url="",
    request_reasoning_level="gen_ai.request.reasoning.level",
    request_previous_response="gen_ai.request.previous_response.id",
    usage_cache_write="gen_ai.usage.cache_write.input_tokens",
    duration_metric="gen_ai.client.inference.duration",
    embeddings_duration_metric="gen_ai.client.embeddings.duration",
    first_chunk_metric="gen_ai.client.inference.time_to_first_chunk",
    output_chunk_metric="gen_ai.client.inference.time_per_output_chunk",
    tokens_metric="",
    embeddings_tokens_metric="gen_ai.client.embeddings.operation.input_tokens",
    input_tokens_metric="gen_ai.client.inference.operation.input_tokens",
    output_tokens_metric="gen_ai.client.inference.operation.output_tokens",
    used_input_metric="gen_ai.client.inference.usage.input_tokens",
    used_output_metric="gen_ai.client.inference.usage.output_tokens",
    used_cache_read_metric="gen_ai.client.inference.usage.cache_read.input_tokens",
    used_cache_write_metric="gen_ai.client.inference.usage.cache_write.input_tokens",
    used_reasoning_metric="gen_ai.client.inference.usage.reasoning.output_tokens",
    tokens_type="",
    tokens_modality="gen_ai.token.modality",
)
"""The draft as of September 2026: one histogram of tokens became histograms and counters, one for each kind."""


def names_of(latest: bool | None, environ: Mapping[str, str]) -> Names:
    """The vocabulary to speak.

    Args:
        latest: as configured; None: where `OPT_IN`, a list with commas, holds `OPT_IN_LATEST`.
    """
    if latest is None:
        latest = OPT_IN_LATEST in {item.strip() for item in environ.get(OPT_IN, "").split(",")}
    return LATEST_NAMES if latest else STABLE_NAMES

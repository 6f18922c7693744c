"""What OpenTelemetry's semantic conventions know: attributes with their types, and kinds of spans with what they need.

Rule: tables only, written down from the conventions and from nothing of chatproxy's, so that they can judge it.
Sources: semantic-conventions 1.41.1 (``docs/gen-ai``, ``docs/http``, ``docs/registry/attributes``), and the draft in
semantic-conventions-genai, September 2026, for what `LATEST_ONLY` lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Type = Literal["string", "int", "double", "boolean", "string[]", "any"]

RESERVED = (
    "gen_ai.", "openai.", "http.", "url.", "server.", "client.", "network.", "error.", "mcp.", "jsonrpc.",
    "user_agent.", "exception.",
)  # fmt: skip
"""Beginnings of names that only the conventions give away."""
TEMPLATES = ("http.request.header.", "http.response.header.", "gen_ai.prompt.variable.")
"""Beginnings that may be followed by any name."""

STRINGS = (
    "gen_ai.agent.description", "gen_ai.agent.id", "gen_ai.agent.name", "gen_ai.agent.version",
    "gen_ai.conversation.id", "gen_ai.data_source.id", "gen_ai.operation.name", "gen_ai.output.type",
    "gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.provider.name", "gen_ai.request.model",
    "gen_ai.request.reasoning.level", "gen_ai.request.previous_response.id", "gen_ai.request.stream_cursor",
    "gen_ai.response.id", "gen_ai.response.model", "gen_ai.response.status", "gen_ai.retrieval.query.text",
    "gen_ai.token.type", "gen_ai.token.modality", "gen_ai.tool.call.id", "gen_ai.tool.description", "gen_ai.tool.name",
    "gen_ai.tool.type", "gen_ai.workflow.name", "gen_ai.evaluation.name", "gen_ai.evaluation.explanation",
    "gen_ai.evaluation.score.label",
    "openai.api.type", "openai.request.service_tier", "openai.response.service_tier",
    "openai.response.system_fingerprint",
    "mcp.method.name", "mcp.protocol.version", "mcp.resource.uri", "mcp.session.id",
    "jsonrpc.protocol.version", "jsonrpc.request.id", "rpc.response.status_code",
    "http.request.method", "http.request.method_original", "http.route", "http.connection.state",
    "url.domain", "url.extension", "url.fragment", "url.full", "url.original", "url.path", "url.query",
    "url.registered_domain", "url.scheme", "url.subdomain", "url.template", "url.top_level_domain",
    "server.address", "client.address",
    "network.carrier.icc", "network.carrier.mcc", "network.carrier.mnc", "network.carrier.name",
    "network.connection.state", "network.connection.subtype", "network.connection.type", "network.interface.name",
    "network.io.direction", "network.local.address", "network.peer.address", "network.protocol.name",
    "network.protocol.version", "network.transport", "network.type",
    "user_agent.name", "user_agent.original", "user_agent.os.name", "user_agent.os.version",
    "user_agent.synthetic.type", "user_agent.version",
    "error.type", "error.message", "exception.message", "exception.stacktrace", "exception.type",
    "user.id", "session.id", "enduser.id",
)  # fmt: skip
BY_MODALITY = tuple(
    f"gen_ai.usage.{modality}.{count}_tokens"
    for modality in ("text", "image", "audio")
    for count in ("input", "output", "cache_read.input")
)
INTS = (
    "gen_ai.embeddings.dimension.count", "gen_ai.request.choice.count", "gen_ai.request.max_tokens",
    "gen_ai.request.seed", "gen_ai.request.top_k", "gen_ai.retrieval.top_k", "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.reasoning.output_tokens",
    *BY_MODALITY,
    "http.request.body.size", "http.request.resend_count", "http.request.size", "http.response.body.size",
    "http.response.size", "http.response.status_code", "server.port", "client.port", "network.local.port",
    "network.peer.port", "url.port",
)  # fmt: skip
DOUBLES = (
    "gen_ai.evaluation.score.value", "gen_ai.request.frequency_penalty", "gen_ai.request.presence_penalty",
    "gen_ai.request.temperature", "gen_ai.request.top_p", "gen_ai.response.time_to_first_chunk",
)  # fmt: skip
BOOLEANS = ("gen_ai.request.stream", "gen_ai.conversation.compacted", "exception.escaped")
LISTS = ("gen_ai.request.encoding_formats", "gen_ai.request.stop_sequences", "gen_ai.response.finish_reasons")
CONTENT = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.retrieval.documents",
)  # fmt: skip
"""Structures, which a span holds as JSON text."""
JSON_LISTS = frozenset(CONTENT[:4])

TYPES: Mapping[str, Type] = {
    **dict.fromkeys(STRINGS, "string"),
    **dict.fromkeys(INTS, "int"),
    **dict.fromkeys(DOUBLES, "double"),
    **dict.fromkeys(BOOLEANS, "boolean"),
    **dict.fromkeys(LISTS, "string[]"),
    **dict.fromkeys(CONTENT, "string"),
}

METHODS = frozenset({
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE", "_OTHER",
})  # fmt: skip
VALUES: Mapping[str, frozenset[str]] = {
    "http.request.method": METHODS,
    "network.transport": frozenset({"pipe", "quic", "tcp", "udp", "unix"}),
    "network.type": frozenset({"ipv4", "ipv6"}),
    "url.scheme": frozenset({"http", "https"}),
    "openai.api.type": frozenset({"chat_completions", "responses"}),
    "gen_ai.output.type": frozenset({"text", "json", "image", "speech"}),
    "gen_ai.token.type": frozenset({"input", "output"}),
    "gen_ai.tool.type": frozenset({"function", "extension", "datastore"}),
}
"""All that an attribute may say."""
SPELLINGS: Mapping[str, frozenset[str]] = {
    "gen_ai.operation.name": frozenset({
        "chat", "create_agent", "embeddings", "execute_tool", "generate_content", "invoke_agent", "invoke_workflow",
        "retrieval", "text_completion", "fetch_response", "plan",
    }),
    "gen_ai.provider.name": frozenset({
        "anthropic", "aws.bedrock", "azure.ai.inference", "azure.ai.openai", "cohere", "deepseek", "gcp.gemini",
        "gcp.gen_ai", "gcp.vertex_ai", "groq", "ibm.watsonx.ai", "mistral_ai", "moonshot_ai", "openai", "perplexity",
        "x_ai",
    }),
}  # fmt: skip
"""Well-known values that must be spelt like this; others are allowed beside them."""

STABLE_ONLY = frozenset({"gen_ai.usage.cache_creation.input_tokens", "gen_ai.token.type"})
LATEST_ONLY = frozenset({
    *BY_MODALITY, "gen_ai.usage.cache_write.input_tokens", "gen_ai.request.reasoning.level",
    "gen_ai.request.previous_response.id", "gen_ai.request.stream_cursor", "gen_ai.response.status",
    "gen_ai.conversation.compacted", "gen_ai.token.modality", "gen_ai.prompt.version", "gen_ai.retrieval.top_k",
})  # fmt: skip


class SpanType(NamedTuple):
    """A kind of span that the conventions describe.

    Attributes:
        name: what it is called in messages of faults.
        kinds: of which a span of it may be.
        required: attributes that no span of it may lack.
    """

    name: str
    kinds: frozenset[str]
    required: tuple[str, ...]


SERVER = SpanType("HTTP server", frozenset({"SERVER"}), ("http.request.method", "url.path", "url.scheme"))
CLIENT = SpanType(
    "HTTP client", frozenset({"CLIENT"}), ("http.request.method", "server.address", "server.port", "url.full")
)
INFERENCE = SpanType(
    "GenAI inference", frozenset({"CLIENT", "INTERNAL"}), ("gen_ai.operation.name", "gen_ai.provider.name")
)
EMBEDDINGS = SpanType("GenAI embeddings", frozenset({"CLIENT"}), ("gen_ai.operation.name", "gen_ai.provider.name"))
TOOL = SpanType("GenAI execute_tool", frozenset({"INTERNAL", "CLIENT"}), ("gen_ai.operation.name", "gen_ai.tool.name"))
AGENT = SpanType("GenAI agent", frozenset({"CLIENT", "INTERNAL"}), ("gen_ai.operation.name",))
MCP = SpanType("MCP", frozenset({"CLIENT", "SERVER"}), ("mcp.method.name",))
OTHER = SpanType("other", frozenset({"INTERNAL", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"}), ())

AGENT_OPERATIONS = frozenset({"create_agent", "invoke_agent", "invoke_workflow", "plan", "retrieval"})
"""Operations whose spans are no calls of a model."""

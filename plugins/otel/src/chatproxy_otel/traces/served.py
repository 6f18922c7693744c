"""What is known of an exchange, of an answer, of an attempt and of a tool call, as attributes of their spans.

Rule: texts of clients and upstreams are cut and cleaned; queries, headers and credentials are never read.
Source: HTTP conventions, "HTTP spans"; GenAI conventions, "Inference" and "Execute tool span".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from chatproxy import RequestContext
from chatproxy.types import Attempt, Exchange, ToolCallRecord
from chatproxy_otel.calls import ModelCall
from chatproxy_otel.fitting import Fitter
from chatproxy_otel.labels import OTHER
from chatproxy_otel.names import Names
from chatproxy_otel.traces.faults import error_type

Attributes = dict[str, AttributeValue]

MAX_TEXT = 256
MAX_URL = 1_024
MAX_ITEMS = 64
METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_API_TYPES = {"chat": "chat_completions", "responses": "responses"}


class Served:
    """Reads records; one for the application.

    Args:
        fitter: takes secrets out of texts, and cuts them.
    """

    def __init__(self, names: Names, fitter: Fitter) -> None:
        self._names = names
        self._fitter = fitter

    def attributes(self, ctx: RequestContext) -> Attributes:
        """The server's span; that of an exchange inside of another one has no client of its own."""
        own = self._exchange(ctx.exchange)
        return own if ctx.depth else {**self._http(ctx), **own}

    def _http(self, ctx: RequestContext) -> Attributes:
        """What came over the wire."""
        exchange, names = ctx.exchange, self._names
        host, port = _host_and_port(ctx.headers.get("host", ""), exchange.scheme)
        was_answered = exchange.status and exchange.status != 499
        return _known(
            {
                names.http_method: exchange.method if exchange.method in METHODS else OTHER,
                names.http_method_original: None if exchange.method in METHODS else self._text(exchange.method),
                names.http_route: self._text(exchange.route or exchange.path),
                names.http_status: exchange.status if was_answered else None,
                names.url_path: self._text(exchange.path),
                names.url_scheme: exchange.scheme,
                names.server_address: self._text(host),
                names.server_port: port,
                names.client_address: self._text(exchange.client),
                names.user_agent: self._text(ctx.headers.get("user-agent")),
            }
        )

    def _exchange(self, exchange: Exchange) -> Attributes:
        """What the gateway made of it."""
        names = self._names
        return _known(
            {
                names.user_id: self._text(exchange.principal),
                names.request_id: exchange.request_id,
                names.client_request_id: self._text(exchange.client_request_id),
                names.surface: exchange.surface,
                names.handler: exchange.handler,
                names.upstream: exchange.upstream,
                names.outcome: exchange.outcome,
                names.error_code: error_type(exchange.error_code, self._fitter) if exchange.error_code else None,
                names.client_disconnected: True if exchange.outcome == "client_disconnected" else None,
                names.translated_to: exchange.translated_to,
                names.translation_losses: [
                    self._cut(f"{loss.action} {loss.field}") for loss in exchange.translation_losses[:MAX_ITEMS]
                ],
            }
        )

    def answered(self, call: ModelCall) -> Attributes:
        """What a model's answer says of itself."""
        names, last = self._names, call.last
        before_s = last.started_s - call.started_s
        first_s = None if last.first_chunk_s is None else before_s + last.first_chunk_s
        is_openai = call.provider == "openai"
        return _known(
            {
                names.response_id: self._text(last.response_id),
                names.response_model: self._text(last.response_model),
                names.response_finish_reasons: [self._cut(reason) for reason in last.finish_reasons[:MAX_ITEMS]],
                names.response_first_chunk: first_s,
                names.server_address: last.address,
                names.server_port: last.port,
                names.handler: last.handler,
                names.stream_events: last.events or None,
                names.openai_api_type: _API_TYPES.get(last.surface) if is_openai else None,
                names.openai_response_service_tier: self._text(last.service_tier) if is_openai else None,
                names.openai_response_fingerprint: self._text(last.system_fingerprint) if is_openai else None,
                **self._usage(call),
            }
        )

    def sent(self, attempt: Attempt) -> Attributes:
        """One request to an upstream."""
        names = self._names
        return _known(
            {
                names.http_method: attempt.method,
                names.http_status: attempt.status,
                names.url_full: None if attempt.url is None else self._fitter.text(attempt.url, MAX_URL),
                names.server_address: attempt.address,
                names.server_port: attempt.port,
                names.upstream: attempt.upstream,
                names.upstream_request_id: self._text(attempt.upstream_request_id),
            }
        )

    def tool(self, tool: ToolCallRecord) -> Attributes:
        """A tool that the gateway ran; ``details`` are its runner's own attributes."""
        names = self._names
        found: Mapping[str, Any] = {
            **self._fitter.items(tool.details),
            names.operation: "execute_tool",
            names.tool_name: self._text(tool.name),
            names.tool_type: "function" if tool.server is None else "extension",
            names.tool_call_id: self._text(tool.call_id),
            names.tool_server: tool.server,
        }
        return _known(found)

    def _usage(self, call: ModelCall) -> dict[str, Any]:
        usage, names = call.usage, self._names
        if usage is None:
            return {}
        return {
            names.usage_input: usage.prompt_tokens,
            names.usage_output: None if call.operation == "embeddings" else usage.completion_tokens,
            names.usage_cache_read: usage.cached_tokens or None,
            names.usage_cache_write: usage.cache_write_tokens or None,
            names.usage_reasoning: usage.reasoning_tokens or None,
            names.usage_source: None if usage.source == "provider" else usage.source,
        }

    def _text(self, value: str | None) -> str | None:
        return self._cut(value) if value else None

    def _cut(self, value: str) -> str:
        return self._fitter.text(value, MAX_TEXT)


def _known(found: Mapping[str, Any]) -> Attributes:
    return {name: value for name, value in found.items() if name and value is not None and value != []}


def _host_and_port(header: str, scheme: str) -> tuple[str, int | None]:
    """Where the client thinks that we are."""
    host, colon, port = header.rpartition(":")
    if colon and port.isdigit() and not host.endswith(":"):
        return host.strip("[]"), int(port[:6])
    return header.strip("[]"), {"http": 80, "https": 443}.get(scheme) if header else None

"""ModelCall: the attempts of an exchange, grouped into what GenAI conventions call an operation.

Rule: reads the exchange's record and nothing else; traces and metrics are made of the same calls.
Source: OpenTelemetry GenAI conventions, "Spans": retries belong to the span of the operation that was retried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chatproxy.types import Attempt, Exchange, Usage

OPERATIONS: Mapping[str, str] = {
    "chat": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
"""By surface; further ones are named after themselves."""
PROVIDERS: tuple[tuple[str, str], ...] = (
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".inference.ai.azure.com", "azure.ai.inference"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    (".amazonaws.com", "aws.bedrock"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.perplexity.ai", "perplexity"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
)
"""Ends of host names, and the well-known value of ``gen_ai.provider.name``."""


class ModelCall(NamedTuple):
    """One operation of a model: a request, or a round of a tool loop, with its retries.

    Attributes:
        operation: ``gen_ai.operation.name``.
        provider: ``gen_ai.provider.name``.
        model: as it was sent.
        started_s: from the exchange's start.
        error_type: None where the last attempt did not fail.
        attempts: at least one; all but the last failed.
    """

    operation: str
    provider: str
    model: str
    started_s: float
    duration_s: float
    error_type: str | None
    attempts: tuple[Attempt, ...]

    @property
    def last(self) -> Attempt:
        """The attempt whose answer counts."""
        return self.attempts[-1]

    @property
    def usage(self) -> Usage | None:
        """Token counts of the answer."""
        return self.last.usage


def model_calls(exchange: Exchange, providers: Mapping[str, str]) -> list[ModelCall]:
    """The operations of an exchange, in order.

    Args:
        providers: by the name of an upstream, from the configuration.
    """
    calls: list[ModelCall] = []
    group: list[Attempt] = []
    for attempt in exchange.attempts:
        if not (attempt.model or exchange.model):
            continue  # files and batches: no model is asked
        group.append(attempt)
        if attempt.error_type is None:
            calls.append(_call(exchange, group, providers))
            group = []
    if group:
        calls.append(_call(exchange, group, providers))
    return calls


def provider_of(attempt: Attempt, providers: Mapping[str, str]) -> str:
    """Who answered: as configured, else by the host, else by the API that was spoken."""
    if attempt.upstream is not None and attempt.upstream in providers:
        return providers[attempt.upstream]
    host = attempt.address or ""
    for end, provider in PROVIDERS:
        if host == end or (end.startswith(".") and host.endswith(end)) or host.endswith(f"-{end}"):
            return provider
    if attempt.upstream is None:
        return f"chatproxy.{attempt.handler}"
    return "anthropic" if attempt.surface in {"messages", "count_tokens"} else "openai"


def _error_type(attempt: Attempt) -> str | None:
    """The code of a failure; where the upstream gave none, its status says more than that it was a status."""
    is_bare = attempt.error_type == "upstream_status" and attempt.status is not None
    return str(attempt.status) if is_bare else attempt.error_type


def _call(exchange: Exchange, group: Sequence[Attempt], providers: Mapping[str, str]) -> ModelCall:
    first, last = group[0], group[-1]
    end_s = last.started_s + (last.duration_s or 0.0)
    return ModelCall(
        operation=OPERATIONS.get(last.surface, last.surface),
        provider=provider_of(last, providers),
        model=last.model or exchange.model,
        started_s=first.started_s,
        duration_s=end_s - first.started_s,
        error_type=_error_type(last),
        attempts=tuple(group),
    )

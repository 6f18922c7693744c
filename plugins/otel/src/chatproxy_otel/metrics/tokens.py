"""Metrics of tokens, in each of the two vocabularies.

Only counts that an upstream gave or a tokenizer made are recorded. An estimate is none: the conventions forbid to
report usage that is not known, and a sum of both would be neither; it stands on spans, labelled as such. A failed call
has no tokens, or 0 where the vocabulary wants a value of every call.
Source: GenAI conventions, ``gen_ai.client.token.usage``; for the draft, "Inference token metrics".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentelemetry.metrics import Histogram, Meter

from chatproxy.types import Usage
from chatproxy_otel.calls import ModelCall
from chatproxy_otel.metrics.instruments import Attributes, Counts, histogram
from chatproxy_otel.names import TOKEN_BUCKETS, Names

if TYPE_CHECKING:
    from chatproxy_otel.metrics.models import CallKey

EMBEDDINGS = "embeddings"
INFERENCE = frozenset({"chat", "text_completion"})
MAX_TOKENS = 1 << 32
"""An upstream may send any number; sums of larger ones would not fit into what is exported."""

_UNIT = "{token}"
_NONE = Usage()


class Tokens(Protocol):
    """Records the tokens of operations."""

    def record(self, call: ModelCall, key: CallKey, found: Attributes) -> None:
        """Record those of one operation, whose series is ``found``."""


def new_tokens(meter: Meter, names: Names) -> Tokens:
    """The metrics of the vocabulary."""
    return TypedTokens(meter, names) if names.tokens_metric else SplitTokens(meter, names)


def known_usage(call: ModelCall) -> Usage | None:
    """The counts of an operation that succeeded; None where they are not known."""
    usage = call.usage
    if usage is None or usage.source == "estimated" or call.error_type is not None:
        return None
    read, written = usage.cached_tokens, usage.cache_write_tokens
    counts = (usage.prompt_tokens, usage.completion_tokens, read, written, usage.reasoning_tokens)
    return usage if all(0 <= count <= MAX_TOKENS for count in counts) else None


class TypedTokens:
    """One histogram, in which an attribute tells input from output."""

    def __init__(self, meter: Meter, names: Names) -> None:
        self._input: Attributes = {names.tokens_type: "input"}
        self._output: Attributes = {names.tokens_type: "output"}
        self._used = histogram(meter, names.tokens_metric, _UNIT, TOKEN_BUCKETS, "Tokens of an operation of a model.")

    def record(self, call: ModelCall, key: CallKey, found: Attributes) -> None:
        """See `Tokens.record`."""
        usage = known_usage(call)
        if usage is None:
            return
        self._used.record(usage.prompt_tokens, found | self._input)
        if key.operation != EMBEDDINGS:
            self._used.record(usage.completion_tokens, found | self._output)


class SplitTokens:
    """A histogram of each kind by operation, and counters of what was used; the draft's."""

    def __init__(self, meter: Meter, names: Names) -> None:
        def sizes(name: str, what: str) -> Histogram:
            return histogram(meter, name, _UNIT, TOKEN_BUCKETS, f"{what} tokens of an operation of a model.")

        keys = (names.operation, names.provider, names.request_model, names.response_model, names.server_address,
                names.server_port, names.user_id, names.tokens_modality)  # fmt: skip

        def used(name: str, what: str) -> Counts:
            return Counts(meter, name, _UNIT, f"{what} tokens used.", names=keys)

        self._embedded = sizes(names.embeddings_tokens_metric, "Input")
        self._input = sizes(names.input_tokens_metric, "Input")
        self._output = sizes(names.output_tokens_metric, "Output")
        self._used_input = used(names.used_input_metric, "Input")
        self._used_output = used(names.used_output_metric, "Output")
        self._used_cached = used(names.used_cache_read_metric, "Cached input")
        self._used_written = used(names.used_cache_write_metric, "Input, written into a cache,")
        self._used_reasoning = used(names.used_reasoning_metric, "Reasoning")

    def record(self, call: ModelCall, key: CallKey, found: Attributes) -> None:
        """See `Tokens.record`; 0 is what the draft wants where nothing is known."""
        usage = known_usage(call) or _NONE
        if key.operation == EMBEDDINGS:
            self._embedded.record(usage.prompt_tokens, found)
            return
        self._input.record(usage.prompt_tokens, found)
        self._output.record(usage.completion_tokens, found)
        used = (*key[:-1], "unknown")
        self._used_input.add(used, usage.prompt_tokens)
        self._used_output.add(used, usage.completion_tokens)
        self._used_cached.add(used, usage.cached_tokens)
        self._used_written.add(used, usage.cache_write_tokens)
        self._used_reasoning.add(used, usage.reasoning_tokens)

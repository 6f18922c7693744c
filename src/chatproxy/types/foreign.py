"""Texts and parameters that belong to another surface than the one a request came by.

Rule: servers read each other's fields, so that a guard looks at them on every surface; a model's entry in the
configuration serves several surfaces, so that parameters of one must not reach another that refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatproxy.types.text import Origin, Text
from chatproxy.types.walk import Rule, TopField, message_texts, top_texts

_FIELDS = (
    TopField("system", "system", "instructions", Rule.MESSAGE),
    TopField("instructions", "system", "instructions", Rule.MESSAGE),
    TopField("instruction", "system", "instructions", Rule.MESSAGE),
    TopField("chat_template", "system", "instructions", Rule.ALL),
    TopField("tools", "developer", "instructions", Rule.SCHEMA),
    TopField("functions", "developer", "instructions", Rule.SCHEMA),
    TopField("response_format", "developer", "instructions", Rule.SCHEMA),
    TopField("output_format", "developer", "instructions", Rule.SCHEMA),
    TopField("output_config", "developer", "instructions", Rule.SCHEMA),
    TopField("query", "user", "content", Rule.MESSAGE),
    TopField("documents", "user", "content", Rule.ALL),
    TopField("prompt", "user", "content", Rule.MESSAGE),
    TopField("input", "user", "content", Rule.MESSAGE),
    TopField("suffix", "user", "content", Rule.MESSAGE),
    TopField("prediction", "assistant", "content", Rule.MESSAGE),
)

GENERATION = frozenset({
    "audio", "best_of", "echo", "frequency_penalty", "ignore_eos", "length_penalty", "logit_bias", "logprobs",
    "max_completion_tokens", "max_output_tokens", "max_tokens", "min_p", "min_tokens", "modalities", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "reasoning", "reasoning_effort", "repetition_penalty",
    "response_format", "seed", "stop", "stop_sequences", "stop_token_ids", "store", "stream_options", "temperature",
    "thinking", "tool_choice", "top_a", "top_k", "top_logprobs", "top_p", "typical_p", "verbosity",
    "web_search_options",
})  # fmt: skip
"""Parameters that say how a model writes; a surface on which none writes has no use for them."""


def fields_but(*own: str) -> tuple[TopField, ...]:
    """The top-level fields that hold text on some surface, but for a surface's own ones."""
    return tuple(field for field in _FIELDS if field.key not in own)


def foreign_texts(body: Any, fields: tuple[TopField, ...]) -> Iterator[Text]:
    """Texts of a conversation in ``messages`` and of other fields, on a surface that has neither."""
    yield from entry_texts(body, "messages")
    yield from top_texts(body, fields)


def entry_texts(body: Any, key: str) -> Iterator[Text]:
    """Texts of a field that is a text, a message or a list of them; an entry's place is its index."""
    value = body.get(key)
    if isinstance(value, list):
        for index, entry in enumerate(value):
            yield from message_texts(value, index, entry, (key,), index=index)
    elif isinstance(value, str):
        yield Text(body, (key,), "content", Origin("user"))
    elif isinstance(value, dict):
        yield from message_texts(body, key, value, (), index=0)

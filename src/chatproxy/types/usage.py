"""Token counts and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

UsageSource = Literal["provider", "counted", "estimated"]


class Usage(msgspec.Struct, kw_only=True, frozen=True):
    """Tokens of one exchange.

    Attributes:
        cached_tokens: of the prompt, read from the provider's cache; ``cache_write_tokens`` of it were written there.
        reasoning_tokens: of the completion.
        source: ``provider`` (the upstream said so), ``counted`` (by a tokenizer) or ``estimated`` (from characters).

    Source: OpenAI API reference, object ``CompletionUsage``; ``cache_creation_tokens``, as other gateways call what was
    written to a cache: LiteLLM.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    source: UsageSource = "provider"


def usage_of_chat(value: Any) -> Usage | None:
    """Read the ``usage`` object of a chat completion; None where it is absent or not an object.

    A field ``estimated`` that is true, as models of the gateway's own may set it, says that nobody counted.
    """
    if not isinstance(value, Mapping):
        return None
    prompt, completion = _count(value, "prompt_tokens"), _count(value, "completion_tokens")
    details = value.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=_count(value, "total_tokens") or prompt + completion,
        cached_tokens=_count(details, "cached_tokens"),
        cache_write_tokens=_count(details, "cache_write_tokens") or _count(details, "cache_creation_tokens"),
        reasoning_tokens=_count(value.get("completion_tokens_details"), "reasoning_tokens"),
        source="estimated" if value.get("estimated") is True else "provider",
    )


def estimate_tokens(characters: int) -> int:
    """Tokens in a text of that many characters, by the rule of thumb of four characters a token."""
    return (characters + 3) // 4


def _count(value: Any, key: str) -> int:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if type(found) is int and found >= 0 else 0

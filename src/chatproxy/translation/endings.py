"""How an answer ended and what it cost, in the words of each surface.

Rule: tables and counts alone. Chat counts what was read from and written to the cache with the prompt, Messages beside.
Source: OpenAI API reference, "The chat completion object" and "The response object"; Anthropic API reference,
``Message``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.translation.base import Json

MESSAGES_TO_CHAT: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
CHAT_TO_MESSAGES: Mapping[str, str] = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}
# Of a response that is incomplete.
RESPONSES_TO_CHAT: Mapping[str, str] = {"max_output_tokens": "length", "content_filter": "content_filter"}
CHAT_TO_RESPONSES: Mapping[str, str] = {
    **dict.fromkeys(("length", "max_tokens", "model_length"), "max_output_tokens"),
    "content_filter": "content_filter",
}
CHAT_TO_COMPLETIONS: Mapping[str, str] = {"tool_calls": "stop", "function_call": "stop"}

# Service tiers of replies.
TIER_TO_CHAT: Mapping[str, str] = {"standard": "default", "priority": "priority"}
TIER_TO_MESSAGES: Mapping[str, str] = {"default": "standard", "priority": "priority", "fast": "priority"}

_USAGE = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)


def usage_from_messages(usage: Any) -> Json | None:
    """A message's ``usage`` in chat's form; None where there is none."""
    if not isinstance(usage, dict):
        return None
    cached, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    details = {"cached_tokens": cached, **({"cache_write_tokens": written} if written else {})}
    thought = _count(usage.get("output_tokens_details"), "thinking_tokens")
    return _chat_usage(
        _count(usage, "input_tokens") + cached + written, _count(usage, "output_tokens"), details, thought
    )


def usage_from_responses(usage: Any) -> Json | None:
    """A response's ``usage`` in chat's form; None where there is none."""
    if not isinstance(usage, dict):
        return None
    given = usage.get("input_tokens_details")
    details = {"cached_tokens": _count(given, "cached_tokens")}
    if isinstance(given, dict) and "cache_write_tokens" in given:
        details["cache_write_tokens"] = _count(given, "cache_write_tokens")
    thought = _count(usage.get("output_tokens_details"), "reasoning_tokens")
    made = _chat_usage(_count(usage, "input_tokens"), _count(usage, "output_tokens"), details, thought)
    made["total_tokens"] = _count(usage, "total_tokens") or made["total_tokens"]
    return made


def usage_to_messages(usage: Json) -> Json:
    """Chat's ``usage`` in the form of Messages; counts that are not there are 0."""
    details = usage.get("prompt_tokens_details")
    cached = _count(details, "cached_tokens")
    written = _count(details, "cache_write_tokens") or _count(details, "cache_creation_tokens")
    made: Json = {
        "input_tokens": max(0, _count(usage, "prompt_tokens") - cached - written),
        "output_tokens": _count(usage, "completion_tokens"),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
    }
    if thought := _count(usage.get("completion_tokens_details"), "reasoning_tokens"):
        made["output_tokens_details"] = {"thinking_tokens": thought}
    return made


def usage_to_responses(usage: Json) -> Json:
    """Chat's ``usage`` in the form of Responses; what it holds beside chat's counts goes along."""
    read, written = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    made = {
        "input_tokens": read,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0, **_given(usage, "prompt_tokens_details")},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0, **_given(usage, "completion_tokens_details")},
        "total_tokens": _count(usage, "total_tokens") or read + written,
    }
    if len(usage) > 3:
        made |= {key: value for key, value in usage.items() if key not in _USAGE and value is not None}
    return made


def _chat_usage(read: int, written: int, details: Json, thought: int) -> Json:
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def _count(holder: Any, key: str) -> int:
    found = holder.get(key) if isinstance(holder, dict) else None
    return found if type(found) is int and found >= 0 else 0


def _given(usage: Json, key: str) -> Json:
    found = usage.get(key)
    return {name: value for name, value in found.items() if value is not None} if isinstance(found, dict) else {}

"""The Response object: what the client asked, and what the handler said about its answer as a whole.

Rule: every field that OpenAI always sends is there, with the request's value or the API's documented default.
Source: OpenAI API reference, "The response object"; Open Responses, ``ResponseResource``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.tools import shown_tools

_HEAD = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier", "metadata", "obfuscation"})
_USAGE = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_REASONS: Mapping[str, str] = {
    **dict.fromkeys(("length", "max_tokens", "model_length"), "max_output_tokens"),
    "content_filter": "content_filter",
}
_COMPLETE = frozenset({"stop", "tool_calls", "function_call"})


def make_id(prefix: str) -> str:
    """A new id, for example ``msg_`` and 24 hexadecimal digits."""
    return prefix + secrets.token_hex(12)


class ResponseObject:
    """Collects what a Response holds beside its output.

    Args:
        request: the client's request.
        stored: the fields that the client's request no longer tells: ``id``, ``store``, ``previous_response_id``.
        losses: gets what a Response has no place for.
    """

    __slots__ = ("_created_at", "_extra", "_losses", "_model", "_reason", "_request", "_stored", "_tier", "_usage")

    def __init__(self, request: Json, stored: Json, losses: Losses) -> None:
        self._request = request
        self._stored = stored
        self._losses = losses
        self._created_at: int | None = None
        self._model: str = request.get("model") or ""
        self._tier = request.get("service_tier") or "default"
        self._reason: str | None = None
        self._usage: Json | None = None
        self._extra: Json = {}

    @property
    def is_incomplete(self) -> bool:
        """Whether the handler stopped before the answer's end."""
        return self._reason is not None

    def head(self, body: Json) -> None:
        """Take the top-level fields of a reply or chunk; later ones win."""
        if self._created_at is None and isinstance(body.get("created"), int):
            self._created_at = body["created"]
        if body.get("model") and isinstance(body["model"], str):
            self._model = body["model"]
        self._tier = body.get("service_tier") or self._tier
        if isinstance(body.get("usage"), dict):
            self._usage = _usage(body["usage"])
        for key in body.keys() - _HEAD:
            if body[key] is not None:
                self._take(key, body[key])

    def finish(self, reason: Any) -> None:
        """Take a choice's ``finish_reason``."""
        name = reason if isinstance(reason, str) else type(reason).__name__
        self._reason = _REASONS.get(name)
        if self._reason is None and name not in _COMPLETE:
            self._losses.add("status", "changed", f"finish reason '{name[:40]}' is shown as completed")

    def shown(self, status: str, output: list[Json]) -> Json:
        """The object, with an output of its own."""
        asked = self._request.get
        reason = self._reason if status == "incomplete" else None
        if self._created_at is None:
            self._created_at = int(time.time())
        return {
            "id": self._stored["id"],
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "background": False,
            "completed_at": max(int(time.time()), self._created_at) if status == "completed" else None,
            "error": None,
            "frequency_penalty": _or(asked("frequency_penalty"), 0.0),
            "incomplete_details": None if reason is None else {"reason": reason},
            "instructions": asked("instructions"),
            "max_output_tokens": asked("max_output_tokens"),
            "max_tool_calls": asked("max_tool_calls"),
            "metadata": asked("metadata") or {},
            "model": self._model,
            "output": output,
            "parallel_tool_calls": _or(asked("parallel_tool_calls"), True),
            "presence_penalty": _or(asked("presence_penalty"), 0.0),
            "previous_response_id": self._stored["previous_response_id"],
            "prompt_cache_key": asked("prompt_cache_key"),
            "prompt_cache_retention": asked("prompt_cache_retention"),
            "reasoning": {"effort": None, "summary": None, **(asked("reasoning") or {})},
            "safety_identifier": asked("safety_identifier"),
            "service_tier": self._tier,
            "store": self._stored["store"],
            "temperature": _or(asked("temperature"), 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium", **_given(asked("text"))},
            "tool_choice": asked("tool_choice") or "auto",
            "tools": shown_tools(asked("tools")),
            "top_logprobs": asked("top_logprobs") or 0,
            "top_p": _or(asked("top_p"), 1.0),
            "truncation": asked("truncation") or "disabled",
            "usage": self._usage if status != "in_progress" else None,
            "user": asked("user"),
            **self._extra,
        }

    def _take(self, key: str, value: Any) -> None:
        if key == "moderation" and isinstance(value, dict):
            self._extra[key] = {side: _moderation(found) for side, found in value.items()}
        elif key in _OWN:
            self._losses.add(key, "dropped", "the reply's field of this name means something else")
        else:
            self._extra[key] = value


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _given(value: Any) -> Json:
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if type(value) is int else 0


def _usage(value: Json) -> Json:
    read, wrote = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    made = {
        "input_tokens": read,
        "input_tokens_details": {
            "cache_write_tokens": 0,
            "cached_tokens": 0,
            **_given(value.get("prompt_tokens_details")),
        },
        "output_tokens": wrote,
        "output_tokens_details": {"reasoning_tokens": 0, **_given(value.get("completion_tokens_details"))},
        "total_tokens": _count(value.get("total_tokens")) or read + wrote,
    }
    if len(value) > 3:
        made |= {key: item for key, item in value.items() if key not in _USAGE and item is not None}
    return made


def _moderation(found: Any) -> Any:
    """Chat lists a result for each input; a Response holds one."""
    results = found.get("results") if isinstance(found, dict) else None
    return results[0] if isinstance(results, list) and len(results) == 1 else found


_UNKNOWN: Json = {"id": "", "store": True, "previous_response_id": None}
_OWN = frozenset(ResponseObject({}, _UNKNOWN, Losses()).shown("completed", []))

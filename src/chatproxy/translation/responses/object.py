"""The Response object: what the client asked, and what the handler said about its answer as a whole.

Rule: every field that OpenAI always sends is there, with the request's value or the API's documented default.
Source: OpenAI API reference, "The response object"; Open Responses, ``ResponseResource``.
"""

from __future__ import annotations

import time
from typing import Any

from chatproxy.translation.base import NOT_ON_RESPONSES, Json, Losses
from chatproxy.translation.endings import CHAT_TO_RESPONSES, usage_to_responses

_HEAD = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier", "metadata", "obfuscation"})
_COMPLETE = frozenset({"stop", "tool_calls", "function_call"})
# What a Response shows of its request, with the API's defaults.
_ECHOED: Json = {
    **dict.fromkeys(("instructions", "max_output_tokens", "max_tool_calls", "prompt_cache_key", "user")),
    **dict.fromkeys(("prompt_cache_retention", "safety_identifier")),
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), 0.0),
    **dict.fromkeys(("temperature", "top_p"), 1.0),
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "truncation": "disabled",
}


class ResponseObject:
    """Collects what a Response holds beside its output.

    Args:
        request: the client's request.
        stored: the fields that the client's request no longer tells: ``id``, ``store``, ``previous_response_id``.
        losses: gets what a Response has no place for.
    """

    __slots__ = ("_created_at", "_echo", "_extra", "_losses", "_model", "_reason", "_tier", "_usage")

    def __init__(self, request: Json, stored: Json, losses: Losses) -> None:
        self._echo = {
            **_ECHOED,
            **{key: value for key, value in request.items() if key in _ECHOED and value is not None},
            "metadata": request.get("metadata") or {},
            "reasoning": {"effort": None, "summary": None, **(request.get("reasoning") or {})},
            "text": {"format": {"type": "text"}, "verbosity": "medium", **_given(request.get("text"))},
            "tools": _tools(request.get("tools")),
            **stored,
        }
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
            self._usage = usage_to_responses(body["usage"])
        for key, value in () if _HEAD.issuperset(body) else body.items():
            if value is not None and key not in _HEAD:
                self._take(key, value)

    def finish(self, reason: Any) -> None:
        """Take a choice's ``finish_reason``."""
        name = reason if isinstance(reason, str) else type(reason).__name__
        self._reason = CHAT_TO_RESPONSES.get(name)
        if self._reason is None and name not in _COMPLETE:
            self._losses.add("status", "changed", f"finish reason '{name[:40]}' is shown as completed")

    def shown(self, status: str, output: list[Json]) -> Json:
        """The object, with an output of its own."""
        reason = self._reason if status == "incomplete" else None
        if self._created_at is None:
            self._created_at = int(time.time())
        return {
            **self._echo,
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "background": False,
            "completed_at": max(int(time.time()), self._created_at) if status == "completed" else None,
            "error": None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "model": self._model,
            "output": output,
            "service_tier": self._tier,
            "usage": self._usage if status != "in_progress" else None,
            **self._extra,
        }

    def _take(self, key: str, value: Any) -> None:
        if key == "moderation" and isinstance(value, dict):
            self._extra[key] = {side: _moderation(found) for side, found in value.items()}
        elif key in _OWN:
            self._losses.add(key, "dropped", f"the reply's field of this name: {NOT_ON_RESPONSES}")
        else:
            self._extra[key] = value


def _tools(value: Any) -> list[Json]:
    """The tools as a Response shows them: functions with all of their fields."""
    absent = {"name": None, "description": None, "parameters": None, "strict": None}
    return [{**absent, **tool} if tool["type"] == "function" else tool for tool in value or ()]


def _given(value: Any) -> Json:
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else {}


def _moderation(found: Any) -> Any:
    """Chat lists a result for each input; a Response holds one."""
    results = found.get("results") if isinstance(found, dict) else None
    return results[0] if isinstance(results, list) and len(results) == 1 else found


_UNKNOWN: Json = {"id": "", "store": True, "previous_response_id": None}
_OWN = frozenset(ResponseObject({}, _UNKNOWN, Losses()).shown("completed", []))

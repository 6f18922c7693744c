"""Outcome: what a run's context says to the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chatproxy import ChatRequest, Usage
from chatproxy.types import estimate_tokens
from chatproxy_graphs.context import Context
from chatproxy_graphs.errors import WrongResult

Json = dict[str, Any]
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a run.

    Attributes:
        text: None where the graph only refuses or calls tools.
        usage: None where nobody counted; see `estimated`.
    """

    text: str | None
    refusal: str | None
    tool_calls: list[Json]
    usage: Json | None

    @property
    def finish_reason(self) -> str:
        """As OpenAI's API has it."""
        if self.refusal is not None:
            return "content_filter"
        return "tool_calls" if self.tool_calls else "stop"

    @property
    def message(self) -> Json:
        """The assistant's message."""
        message: Json = {"role": "assistant", "content": self.text, "refusal": self.refusal, "annotations": []}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        return message


def estimated(request: ChatRequest, outcome: Outcome) -> Json:
    """What the request and the answer come to by their length, labelled ``estimated``."""
    prompt = estimate_tokens(sum(len(text.value) for text in request.texts()))
    completion = estimate_tokens(len(outcome.text or "") + len(outcome.refusal or ""))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "estimated": True,
    }


def outcome_of(graph: str, ctx: Context, said: str) -> Outcome:
    """Read ``ctx.response``, ``ctx.refusal``, ``ctx.tool_calls`` and ``ctx.usage``.

    Args:
        said: what was streamed, or would have been: the beginning of the answer, whatever comes later.

    Raises:
        WrongResult: there is nothing to answer, or it cannot be.
    """
    values = ctx.data
    refusal, calls, response = values.get("refusal") or None, values.get("tool_calls") or [], values.get("response")
    if not isinstance(refusal, str | None):
        refusal = _text_of(graph, refusal)
    if not isinstance(calls, list):
        raise WrongResult(f"ctx.tool_calls is {type(calls).__name__}, wanted a list", graph=graph)
    if refusal is not None or (response is None and calls):
        text = said or None
    elif response is None:
        raise WrongResult("the run ended without ctx.response", graph=graph)
    else:
        text = _text_of(graph, response)
        if not text.startswith(said):
            reason = "a worker replaced a text that was streamed; add the node that streams it with stream=False"
            raise WrongResult(reason, graph=graph)
    return Outcome(text=text, refusal=refusal, tool_calls=calls, usage=_usage_of(graph, values.get("usage")))


def _text_of(graph: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value, enc_hook=_plain).decode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise WrongResult(f"ctx.response is {type(value).__name__}, which is not JSON", graph=graph) from exc


def _plain(value: Any) -> Any:
    """A Pydantic model, as what it holds."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return dump(mode="json")


def _usage_of(graph: str, usage: Any) -> Json | None:
    if usage is None:
        return None
    if isinstance(usage, Usage):
        return _of_gateway(usage)
    found = usage if isinstance(usage, Mapping) else getattr(usage, "model_dump", dict)()
    counts = [found.get(name) or 0 for name in _COUNTS]
    if not found or any(type(count) is not int or count < 0 for count in counts):
        raise WrongResult("ctx.usage has no token counts: prompt_tokens, completion_tokens", graph=graph)
    prompt, completion, total = counts
    return {
        **found,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total or prompt + completion,
    }


def _of_gateway(usage: Usage) -> Json | None:
    if usage.source != "provider":
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }

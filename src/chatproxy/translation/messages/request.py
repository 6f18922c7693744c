"""A Messages request as a chat completions request.

Rule: a field is passed, carried under chat's name, put on record, or refused; none disappears. Ranges are left to the
handler.
Source: Anthropic API reference, "Create a Message" (with its betas); OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.messages.checks import (
    missing,
    optional_text,
    record_rest,
    unsupported,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)
from chatproxy.translation.messages.tools import choice_fields, read_tools
from chatproxy.translation.messages.turns import Turns, instructions, read_turns

_CARRIED = frozenset({
    "system", "messages", "max_tokens", "stop_sequences", "metadata", "tools", "tool_choice", "thinking",
    "output_config", "output_format", "service_tier", "inference_geo", "mcp_servers", "speed",
})  # fmt: skip
_SAME_NAME = frozenset({"model", "stream", "temperature", "top_p", "top_k"})
_HINTS: Mapping[str, str] = {
    "cache_control": "chat has no marks for the prompt cache",
    "context_management": "chat does not edit its context",
    "compaction": "chat does not compact its context",
    "diagnostics": "chat does not compare its prompts",
    "fallbacks": "chat has no fallback models in a request",
    "fallback_credit_token": "chat has no fallback models in a request",
    "billing_policy": "chat has no such field",
    "user_profile_id": "chat has no such field",
    "workspace_id": "chat has no such field",
}
_REFUSED: Mapping[str, str] = {
    "container": "it has no containers",
    "thread": "no conversation is kept for it; send all messages",
}
_TIERS = {"standard_only": "default"}
_EFFORT_KEYS = frozenset({"effort", "format"})
_THINKING_TYPES = ("enabled", "disabled", "adaptive", "between_tools")

# Budgets that common clients stand for little, more and much thought.
_LOW_TOKENS = 4_096
_MEDIUM_TOKENS = 16_384


class Written(NamedTuple):
    """A chat request, and what is needed to speak about it in the client's words.

    Attributes:
        names: the client's names for chat's fields, where they differ.
        origins: the client's path for each chat message.
    """

    body: Json
    names: dict[str, str]
    origins: list[str]


def read_request(body: Json, losses: Losses, *, hub: bool, is_count: bool = False) -> Written:
    """Translate a request.

    Args:
        hub: chat is only on the way to a surface that knows signatures of reasoning.
        is_count: the tokens are to be counted, so no limit of new ones is needed.

    Raises:
        InvalidRequest: the Messages API would refuse it, or chat cannot carry what matters (400).
    """
    names = {"max_completion_tokens": "max_tokens", "stop": "stop_sequences", "user": "metadata.user_id"}
    out = _passed(body, losses)
    turns = Turns([], [])
    if body.get("system") is not None and (prompt := instructions(body["system"], "system", losses)):
        turns.messages.append({"role": "system", "content": prompt})
        turns.origins.append("system")
    read_turns(body.get("messages"), turns, losses, hub=hub)
    out["messages"] = turns.messages
    _limit(body, out, is_count=is_count)
    _identity(body, out, losses)
    tools = read_tools(body.get("tools"), losses)
    if tools.offered:
        out["tools"] = tools.offered
    out.update(choice_fields(body.get("tool_choice"), tools))
    names["parallel_tool_calls"] = "tool_choice.disable_parallel_tool_use"
    _output(body, out, names, losses)
    return Written(out, names, turns.origins)


def _passed(body: Json, losses: Losses) -> Json:
    """Fields that chat and Messages share, and those neither knows; the rest refused or on record."""
    out: Json = {}
    for key, value in body.items():
        if key in _CARRIED:
            continue
        if value is None and (key in _SAME_NAME or key in _HINTS or key in _REFUSED):
            continue
        if key in _REFUSED:
            raise unsupported(key, _REFUSED[key])
        if key in _HINTS:
            losses.add(key, "dropped", _HINTS[key])
        else:
            out[key] = value
    return out


def _limit(body: Json, out: Json, *, is_count: bool) -> None:
    limit = body.get("max_tokens")
    if limit is None:
        if not is_count:
            raise missing("max_tokens")
    elif type(limit) is not int:
        raise wrong_type("max_tokens", "an integer", limit)
    else:
        out["max_tokens"] = limit
    stops = body.get("stop_sequences")
    if stops is not None:
        for i, stop in enumerate(want_list(stops, "stop_sequences")):
            if not isinstance(stop, str):
                raise wrong_type(f"stop_sequences[{i}]", "a string", stop)
        if stops:
            out["stop"] = stops


def _identity(body: Json, out: Json, losses: Losses) -> None:
    """For whom, where and how fast."""
    if body.get("metadata") is not None:
        metadata = want_object(body["metadata"], "metadata")
        record_rest(metadata, frozenset({"user_id"}), "metadata", losses)
        if user := optional_text(metadata, "user_id", "metadata"):
            out["user"] = user
    if (tier := body.get("service_tier")) is not None:
        out["service_tier"] = _TIERS.get(tier, tier) if isinstance(tier, str) else tier
    if body.get("speed") not in (None, "standard"):
        losses.add("speed", "dropped", "chat has no such field")
    if body.get("inference_geo") not in (None, "global"):
        raise unsupported("inference_geo", "where it runs cannot be chosen")
    if body.get("mcp_servers"):
        losses.add("mcp_servers", "dropped", "chat does not call MCP servers itself")


def _output(body: Json, out: Json, names: dict[str, str], losses: Losses) -> None:
    """The form of the answer, and how much thought it gets."""
    config = {} if body.get("output_config") is None else want_object(body["output_config"], "output_config")
    record_rest(config, _EFFORT_KEYS, "output_config", losses)
    for holder, key, at in ((config, "format", "output_config.format"), (body, "output_format", "output_format")):
        if holder.get(key) is not None:
            names["response_format"] = at
            out["response_format"] = _response_format(want_object(holder[key], at), at, losses)
            break
    effort = optional_text(config, "effort", "output_config")
    thinking = None if body.get("thinking") is None else want_object(body["thinking"], "thinking")
    if thinking is not None:
        effort = _effort(thinking, effort, names, losses)
    elif effort:
        names["reasoning_effort"] = "output_config.effort"
    if effort:
        out["reasoning_effort"] = effort


def _response_format(value: Json, at: str, losses: Losses) -> Json:
    kind = want_text(value, "type", at)
    if kind != "json_schema":
        raise wrong_value(f"{at}.type", f"must be 'json_schema', found {kind[:40]!r}.")
    if value.get("schema") is None:
        raise missing(f"{at}.schema")
    schema = want_object(value["schema"], f"{at}.schema")
    is_strict = not _has_optional_property(schema)
    if not is_strict:
        losses.add(at, "changed", "chat's strict schemas know no optional properties; asked for without 'strict'")
    return {"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": is_strict}}


def _has_optional_property(schema: Any) -> bool:
    """Whether some object of a schema need not have all its properties."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            properties, required = value.get("properties"), value.get("required")
            if isinstance(properties, dict) and not properties.keys() <= _texts(required):
                return True
            waiting += value.values()
    return False


def _texts(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _effort(thinking: Json, effort: str, names: dict[str, str], losses: Losses) -> str:
    """What ``thinking`` says as ``reasoning_effort``; an effort the client named itself comes first."""
    kind = want_text(thinking, "type", "thinking")
    if kind not in _THINKING_TYPES:
        allowed = ", ".join(_THINKING_TYPES)
        raise wrong_value("thinking.type", f"must be one of {allowed}, found {kind[:40]!r}.")
    if thinking.get("display") is not None:
        losses.add("thinking.display", "dropped", "reasoning is shown as the model gives it")
    names["reasoning_effort"] = "output_config.effort" if effort else "thinking.budget_tokens"
    if kind == "disabled":
        losses.add("thinking", "dropped", "chat has no common way to switch reasoning off")
        if effort:
            losses.add("output_config.effort", "dropped", "thinking is disabled")
        return ""
    if kind == "between_tools":
        losses.add("thinking", "dropped", "when a chat model reasons cannot be chosen")
    if kind != "enabled":
        return effort
    return _effort_of_budget(thinking, effort, losses)


def _effort_of_budget(thinking: Json, effort: str, losses: Losses) -> str:
    budget = thinking.get("budget_tokens")
    if budget is None:
        raise missing("thinking.budget_tokens")
    if type(budget) is not int:
        raise wrong_type("thinking.budget_tokens", "an integer", budget)
    if effort:
        losses.add("thinking.budget_tokens", "dropped", "chat has one measure of thought; 'effort' was taken")
        return effort
    effort = "low" if budget <= _LOW_TOKENS else "medium" if budget <= _MEDIUM_TOKENS else "high"
    losses.add("thinking.budget_tokens", "changed", f"chat has levels instead of tokens; asked for {effort}")
    return effort

"""A Messages request as a chat completions request: its top-level fields.

Rule: a field is passed, carried under chat's name, put on record, or refused; none disappears. Ranges are left to the
handler.
Source: Anthropic API reference, "Create a Message" (with its betas); OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.fields import Fields, Rule, Written, apart, dropped, refused, same
from chatproxy.translation.messages.tools import ToolNames, offer_tools
from chatproxy.translation.messages.turns import Conversation

_NAMES = {
    "messages": "messages",
    "choices": "content",
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}
_TIERS = {"standard_only": "default"}
_THINKING = ("enabled", "disabled", "adaptive", "between_tools")

# Budgets that common clients stand for little, more and much thought.
_LOW_TOKENS = 4_096
_MEDIUM_TOKENS = 16_384


def read_request(body: Json, losses: Losses, *, hub: bool) -> Written:
    """Translate a request.

    Args:
        hub: chat is only on the way to a surface that knows signatures of reasoning.
    """
    fields = Fields(losses, _NAMES)
    fields.read(body, _RULES)
    if body.get("max_tokens") is None:
        raise checks.missing("max_tokens")
    names = ToolNames(losses)
    offer_tools(fields.out, body, names, losses)
    conversation = Conversation(losses, names, hub=hub)
    conversation.instruct(body.get("system"))
    conversation.read(body.get("messages"))
    fields.out["messages"] = conversation.messages
    _output(fields, body)
    return fields.written(origins=conversation.origins, tools=names.clients)


def _output(fields: Fields, body: Json) -> None:
    """The form of the answer, and how much thought it gets."""
    config = checks.optional_object(body, "output_config", "")
    fields.losses.add_rest(config, ("effort", "format"), "output_config", NOT_ON_CHAT)
    for holder, key, at in ((config, "format", "output_config.format"), (body, "output_format", "output_format")):
        if holder.get(key) is not None:
            fields.put("response_format", _response_format(checks.want_object(holder[key], at), at, fields.losses), at)
            break
    effort, origin = checks.optional_text(config, "effort", "output_config"), "output_config.effort"
    if body.get("thinking") is not None:
        origin = origin if effort else "thinking.budget_tokens"
        effort = _effort(checks.want_object(body["thinking"], "thinking"), effort, fields.losses)
    if effort:
        fields.put("reasoning_effort", effort, origin)


def _response_format(value: Json, at: str, losses: Losses) -> Json:
    checks.want_word(value, "type", ("json_schema",), at)
    schema = checks.want_object(value.get("schema"), f"{at}.schema")
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
            known = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
            if isinstance(properties, dict) and not properties.keys() <= known:
                return True
            waiting += value.values()
    return False


def _effort(thinking: Json, effort: str, losses: Losses) -> str:
    """What ``thinking`` says as ``reasoning_effort``; an effort the client named itself comes first."""
    kind = checks.want_word(thinking, "type", _THINKING, "thinking")
    if thinking.get("display") is not None:
        losses.add("thinking.display", "dropped", "reasoning is shown as the model gives it")
    if kind == "disabled":
        losses.add("thinking", "dropped", "chat has no common way to switch reasoning off")
        if effort:
            losses.add("output_config.effort", "dropped", "thinking is disabled")
        return ""
    if kind == "between_tools":
        losses.add("thinking", "dropped", "when a chat model reasons cannot be chosen")
    return _effort_of_budget(thinking, effort, losses) if kind == "enabled" else effort


def _effort_of_budget(thinking: Json, effort: str, losses: Losses) -> str:
    at = "thinking.budget_tokens"
    budget = checks.want_integer(thinking.get("budget_tokens"), at)
    if effort:
        losses.add(at, "dropped", "chat has one measure of thought; 'effort' was taken")
        return effort
    effort = "low" if budget <= _LOW_TOKENS else "medium" if budget <= _MEDIUM_TOKENS else "high"
    losses.add(at, "changed", f"chat has levels instead of tokens; asked for {effort}")
    return effort


def _limit(fields: Fields, key: str, value: Any) -> None:
    fields.out[key] = checks.want_integer(value, key)


def _stop_sequences(fields: Fields, key: str, value: Any) -> None:
    for i, stop in enumerate(checks.want_list(value, key)):
        if not isinstance(stop, str):
            raise checks.wrong_type(f"{key}[{i}]", "a string", stop)
    if value:
        fields.out["stop"] = value


def _metadata(fields: Fields, key: str, value: Any) -> None:
    fields.losses.add_rest(checks.want_object(value, key), ("user_id",), key, NOT_ON_CHAT)
    if user := checks.optional_text(value, "user_id", key):
        fields.out["user"] = user


def _service_tier(fields: Fields, key: str, value: Any) -> None:
    fields.out[key] = _TIERS.get(value, value) if isinstance(value, str) else value


def _speed(fields: Fields, key: str, value: Any) -> None:
    if value != "standard":
        fields.losses.add(key, "dropped", NOT_ON_CHAT)


def _inference_geo(_: Fields, key: str, value: Any) -> None:
    if value != "global":
        raise checks.unsupported_parameter(key, "where it runs cannot be chosen")


_HINTS = ("cache_control", "context_management", "compaction", "diagnostics", "fallbacks", "fallback_credit_token",
          "billing_policy", "user_profile_id", "workspace_id")  # fmt: skip
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("system", "messages", "tools", "tool_choice", "thinking", "output_config"), apart),
    "output_format": apart,
    **dict.fromkeys(("model", "stream", "temperature", "top_p", "top_k"), same),
    **dict.fromkeys(_HINTS, dropped(NOT_ON_CHAT)),
    "container": refused("the handler has no containers"),
    "thread": refused("the handler keeps no conversation; send all messages"),
    "max_tokens": _limit,
    "stop_sequences": _stop_sequences,
    "metadata": _metadata,
    "service_tier": _service_tier,
    "speed": _speed,
    "inference_geo": _inference_geo,
    "mcp_servers": dropped("chat does not call MCP servers itself", unless_off=True),
}

"""Tools of the Responses API as tools of chat completions.

Rule: functions and custom tools are carried; tools that OpenAI runs itself are left out while they are only offered,
and refused where ``tool_choice`` leaves the model nothing else.
Source: OpenAI API reference, "Create a model response" (``tools``, ``tool_choice``).
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.responses.content import others

_FUNCTION_KEYS = ("name", "description", "parameters", "strict")
_NOT_ON_CHAT = ("allowed_callers", "async", "defer_loading", "output_schema")
_KNOWN = frozenset({"type", "format", *_FUNCTION_KEYS, *_NOT_ON_CHAT})
_KINDS = ("function", "custom")
_CHOICES = ("none", "auto", "required")
_HOSTED = "tools that OpenAI runs itself are not there on chat completions"


def offer_tools(out: Json, body: Json, losses: Losses) -> None:
    """Put ``tools``, ``tool_choice`` and ``parallel_tool_calls`` into chat's request, the last two only with tools."""
    tools = []
    for tool, at in checks.optional_objects(body, "tools", ""):
        kind = checks.want_text(tool, "type", at)
        if kind in _KINDS:
            tools.append(_function(tool, at, losses) if kind == "function" else _custom(tool, at, losses))
        else:
            losses.add(at, "dropped", f"'{kind[:40]}': {_HOSTED}")
    if tools:
        out["tools"] = tools
        if body.get("parallel_tool_calls") is not None:
            out["parallel_tool_calls"] = body["parallel_tool_calls"]
    if body.get("tool_choice") is not None:
        choice = _choice(body["tool_choice"], losses, is_offered=bool(tools))
        if choice is not None:
            out["tool_choice"] = choice


def _function(tool: Json, at: str, losses: Losses) -> Json:
    checks.want_text(tool, "name", at)
    checks.optional_object(tool, "parameters", at)
    if tool.get("strict") is None:
        losses.add(f"{at}.strict", "changed", "not said: false on chat completions, true on responses")
    function = {key: tool[key] for key in _FUNCTION_KEYS if tool.get(key) is not None}
    return {"type": "function", "function": function, **_rest(tool, at, losses)}


def _custom(tool: Json, at: str, losses: Losses) -> Json:
    custom: Json = {"name": checks.want_text(tool, "name", at)}
    if tool.get("description") is not None:
        custom["description"] = tool["description"]
    if tool.get("format") is not None:
        form = checks.want_object(tool["format"], f"{at}.format")
        if form.get("type") == "grammar":
            form = {"type": "grammar", "grammar": {key: item for key, item in form.items() if key != "type"}}
        custom["format"] = form
    return {"type": "custom", "custom": custom, **_rest(tool, at, losses)}


def _rest(tool: Json, at: str, losses: Losses) -> Json:
    for key in _NOT_ON_CHAT:
        if tool.get(key):
            losses.add(f"{at}.{key}", "dropped", NOT_ON_CHAT)
    return others(tool, _KNOWN)


def _choice(value: Any, losses: Losses, *, is_offered: bool) -> str | Json | None:
    """The choice as chat says it; None where there is nothing to choose from."""
    at = "tool_choice"
    if isinstance(value, str):
        if checks.one_of(_CHOICES, value, at) == "required" and not is_offered:
            raise checks.unsupported_parameter(at, "a tool is required, and none of the tools can be offered")
        return value if is_offered else None
    if not isinstance(value, dict):
        raise checks.wrong_type(at, "a string or an object", value)
    kind = checks.want_text(value, "type", at)
    if kind == "allowed_tools":
        return _allowed(value, losses) or ("none" if is_offered else None)
    if kind not in _KINDS:
        raise checks.unsupported_parameter(at, f"'{kind[:40]}' cannot be forced: {_HOSTED}")
    return _named(value, at)


def _named(choice: Json, at: str) -> Json:
    kind = choice["type"]
    return {"type": kind, kind: {"name": checks.want_text(choice, "name", at)}}


def _allowed(choice: Json, losses: Losses) -> Json | None:
    """The allowed tools; None where none of them can be offered."""
    mode = checks.want_text(choice, "mode", "tool_choice")
    made = []
    for tool, at in checks.want_objects(choice.get("tools"), "tool_choice.tools"):
        if checks.want_text(tool, "type", at) in _KINDS:
            made.append(_named(tool, at))
        else:
            losses.add(at, "dropped", f"'{tool['type'][:40]}': {_HOSTED}")
    if made:
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": made}}
    if mode == "required":
        raise checks.unsupported_parameter("tool_choice", f"only tools are allowed that cannot be forced: {_HOSTED}")
    return None

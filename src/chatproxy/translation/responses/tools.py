"""Tools of the Responses API as tools of chat completions.

Rule: functions and custom tools are carried; tools that OpenAI runs itself are left out while they are only offered,
and refused where ``tool_choice`` leaves the model nothing else.
Source: OpenAI API reference, "Create a model response" (``tools``, ``tool_choice``).
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.content import others
from chatproxy.translation.responses.shapes import (
    missing,
    unsupported_parameter,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)

_FUNCTION_KEYS = ("name", "description", "parameters", "strict")
_NOT_ON_CHAT = ("allowed_callers", "async", "defer_loading", "output_schema")
_KNOWN = frozenset({"type", "format", *_FUNCTION_KEYS, *_NOT_ON_CHAT})
_CHOICES = frozenset({"none", "auto", "required"})
_HOSTED = "tools that OpenAI runs itself are not there on chat completions"


def chat_tools(value: Any, losses: Losses) -> list[Json]:
    """The tools that chat completions can offer.

    Raises:
        InvalidRequest: a wrong shape (400).
    """
    made = []
    for i, item in enumerate(want_list(value, "tools")):
        param = f"tools[{i}]"
        tool = want_object(item, param)
        kind = tool.get("type")
        if kind == "function":
            made.append(_function(tool, param, losses))
        elif kind == "custom":
            made.append(_custom(tool, param, losses))
        elif isinstance(kind, str):
            losses.add(param, "dropped", f"'{kind[:40]}': {_HOSTED}")
        else:
            raise missing(f"{param}.type") if kind is None else wrong_type(f"{param}.type", "a string", kind)
    return made


def chat_tool_choice(value: Any, tools: list[Json], losses: Losses) -> str | Json | None:
    """The choice as chat says it; None where there is nothing to choose from.

    Args:
        tools: those that are offered to the handler.

    Raises:
        InvalidRequest: a wrong shape, or a choice that forces a tool which cannot be offered (400).
    """
    if isinstance(value, str):
        if value not in _CHOICES:
            raise wrong_value("tool_choice", f"expected 'none', 'auto' or 'required', found '{value[:40]}'.")
        if tools:
            return value
        if value == "required":
            raise unsupported_parameter("tool_choice", "a tool is required, and none of the tools can be offered.")
        return None
    choice = want_object(value, "tool_choice")
    kind = choice.get("type")
    if kind == "allowed_tools":
        return _allowed(choice, losses) or ("none" if tools else None)
    if kind in ("function", "custom"):
        return _named(choice, "tool_choice")
    if isinstance(kind, str):
        raise unsupported_parameter("tool_choice", f"'{kind[:40]}' cannot be forced: {_HOSTED}.")
    raise missing("tool_choice.type") if kind is None else wrong_type("tool_choice.type", "a string", kind)


def shown_tools(value: Any) -> list[Any]:
    """The tools as a response shows them: functions with all of their fields."""
    return [
        {"type": "function", "name": None, "description": None, "parameters": None, "strict": None, **tool}
        if tool.get("type") == "function"
        else tool
        for tool in value or ()
    ]


def _function(tool: Json, param: str, losses: Losses) -> Json:
    want_text(tool, "name", param)
    if tool.get("parameters") is not None:
        want_object(tool["parameters"], f"{param}.parameters")
    if tool.get("strict") is None:
        losses.add(f"{param}.strict", "changed", "not said: false on chat completions, true on responses")
    function = {key: tool[key] for key in _FUNCTION_KEYS if tool.get(key) is not None}
    return {"type": "function", "function": function, **_rest(tool, param, losses)}


def _custom(tool: Json, param: str, losses: Losses) -> Json:
    custom: Json = {"name": want_text(tool, "name", param)}
    if tool.get("description") is not None:
        custom["description"] = tool["description"]
    if tool.get("format") is not None:
        custom["format"] = _format(want_object(tool["format"], f"{param}.format"))
    return {"type": "custom", "custom": custom, **_rest(tool, param, losses)}


def _format(value: Json) -> Json:
    if value.get("type") != "grammar":
        return value
    return {"type": "grammar", "grammar": {key: item for key, item in value.items() if key != "type"}}


def _rest(tool: Json, param: str, losses: Losses) -> Json:
    for key in _NOT_ON_CHAT:
        if tool.get(key):
            losses.add(f"{param}.{key}", "dropped", "tools of chat completions have none")
    return others(tool, _KNOWN)


def _named(choice: Json, param: str) -> Json:
    kind = choice["type"]
    return {"type": kind, kind: {"name": want_text(choice, "name", param)}}


def _allowed(choice: Json, losses: Losses) -> Json | None:
    """The allowed tools; None where none of them can be offered."""
    mode = want_text(choice, "mode", "tool_choice")
    made = []
    for i, item in enumerate(want_list(choice.get("tools"), "tool_choice.tools")):
        param = f"tool_choice.tools[{i}]"
        tool = want_object(item, param)
        if want_text(tool, "type", param) in {"function", "custom"}:
            made.append(_named(tool, param))
        else:
            losses.add(param, "dropped", f"'{tool['type'][:40]}': {_HOSTED}")
    if made:
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": made}}
    if mode == "required":
        raise unsupported_parameter("tool_choice", f"only tools are allowed that cannot be forced: {_HOSTED}.")
    return None

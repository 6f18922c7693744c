"""A chat client's tools as those of a Messages request.

Rule: a function is a tool of the same name; a custom tool, which takes free text, is one with a single field ``input``,
and its calls are turned back on the way to the client.
Source: Anthropic API reference, "Messages", parameters ``tools`` and ``tool_choice``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.checks import (
    note_unread,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)

_CHOICES = {"none": "none", "auto": "auto", "required": "any"}
_FREE_TEXT: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


class Tools(NamedTuple):
    """What the request says about tools; ``custom`` has the names of those that take free text."""

    tools: list[Json]
    choice: Json | None
    custom: frozenset[str]


def read_tools(body: Json, losses: Losses) -> Tools:
    """Read ``tools``, ``tool_choice`` and ``parallel_tool_calls``.

    Raises:
        InvalidRequest: a tool or choice of a type that chat does not know, or without its name (400).
    """
    given = body.get("tools")
    listed = [] if given is None else want_list(given, "tools")
    tools = [_tool(tool, f"tools[{index}]", losses) for index, tool in enumerate(listed)]
    custom = frozenset(tool["custom"]["name"] for tool in listed if tool["type"] == "custom")
    wanted = body.get("tool_choice")
    choice, allowed = (None, None) if wanted is None else _choice(wanted)
    if allowed is not None:
        losses.add("tool_choice.allowed_tools", "changed", "only the allowed tools are sent")
        tools = [tool for tool in tools if tool["name"] in allowed]
    is_serial = _is_serial(body.get("parallel_tool_calls"))
    if not tools and choice is not None and choice["type"] in ("none", "auto"):
        choice = None
    if is_serial and tools and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return Tools(tools, choice, custom)


def _tool(tool: Any, at: str, losses: Losses) -> Json:
    kind = want_text(want_object(tool, at), "type", at)
    if kind not in ("function", "custom"):
        raise wrong_value(f"{at}.type", f"expected 'function' or 'custom', found {kind[:40]!r}")
    note_unread(losses, tool, ("type", kind, "cache_control"), at)
    where = f"{at}.{kind}"
    defined = want_object(tool.get(kind), where)
    made: Json = {"name": want_text(defined, "name", where), "input_schema": _FREE_TEXT}
    if defined.get("description") is not None:
        made["description"] = want_text(defined, "description", where)
    if kind == "custom":
        losses.add(where, "changed", "free text is asked for as a field of an object")
        note_unread(losses, defined, ("name", "description"), where)
    else:
        note_unread(losses, defined, ("name", "description", "parameters", "strict"), where)
        made["input_schema"] = _schema(defined.get("parameters"), f"{where}.parameters")
        if defined.get("strict"):
            made["strict"] = True
    if tool.get("cache_control") is not None:
        made["cache_control"] = tool["cache_control"]
    return made


def _schema(parameters: Any, at: str) -> Json:
    schema = {} if parameters is None else want_object(parameters, at)
    return schema if "type" in schema else {"type": "object", **schema}


def _choice(value: Any) -> tuple[Json, frozenset[str] | None]:
    """The choice, and the names of the tools where only some are allowed."""
    if isinstance(value, str):
        if value not in _CHOICES:
            raise wrong_value("tool_choice", f"expected none, auto, required or an object, found {value[:40]!r}")
        return {"type": _CHOICES[value]}, None
    if not isinstance(value, dict):
        raise wrong_type("tool_choice", "a string or an object", value)
    kind = want_text(value, "type", "tool_choice")
    if kind != "allowed_tools":
        return {"type": "tool", "name": _name(value, "tool_choice")}, None
    at = "tool_choice.allowed_tools"
    allowed = want_object(value.get(kind), at)
    mode = want_text(allowed, "mode", at)
    if mode not in ("auto", "required"):
        raise wrong_value(f"{at}.mode", f"expected auto or required, found {mode[:40]!r}")
    listed = want_list(allowed.get("tools"), f"{at}.tools")
    named = frozenset(_name(want_object(tool, f"{at}.tools[{i}]"), f"{at}.tools[{i}]") for i, tool in enumerate(listed))
    return {"type": _CHOICES[mode]}, named


def _name(named: Json, at: str) -> str:
    kind = want_text(named, "type", at)
    if kind not in ("function", "custom"):
        raise wrong_value(f"{at}.type", f"expected function, custom or allowed_tools, found {kind[:40]!r}")
    return want_text(want_object(named.get(kind), f"{at}.{kind}"), "name", f"{at}.{kind}")


def _is_serial(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise wrong_type("parallel_tool_calls", "a boolean", value)
    return value is False

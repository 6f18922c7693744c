"""Tools and the choice among them, from a Messages request to chat.

Source: Anthropic API reference, ``ToolUnionParam`` and ``ToolChoiceParam``; OpenAI API reference, "Create chat
completion".
"""

from __future__ import annotations

import re
from typing import Any

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

_TOOL_KEYS = frozenset({"type", "name", "description", "input_schema", "strict"})
_OWN_TYPE = re.compile(r"[a-z0-9_]+_\d{8}|mcp_toolset")  # of tools whose schema only Anthropic's models know
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class Tools:
    """The tools of one request.

    Attributes:
        offered: chat's function tools.
        dropped: names of those that chat cannot offer.
    """

    __slots__ = ("dropped", "offered")

    def __init__(self) -> None:
        self.offered: list[Json] = []
        self.dropped: set[str] = set()

    def names(self) -> set[str]:
        """Names of the tools that are offered."""
        return {tool["function"]["name"] for tool in self.offered}


def read_tools(value: Any, losses: Losses) -> Tools:
    """The field ``tools``; hosted ones are dropped.

    Raises:
        InvalidRequest: a tool is none the API takes (400).
    """
    tools = Tools()
    for i, entry in enumerate([] if value is None else want_list(value, "tools")):
        at = f"tools[{i}]"
        tool = want_object(entry, at)
        kind = optional_text(tool, "type", at)
        if kind in ("", "custom"):
            tools.offered.append(_function(tool, at, losses))
        elif _OWN_TYPE.fullmatch(kind):
            tools.dropped.add(optional_text(tool, "name", at))
            losses.add(at, "dropped", f"only Anthropic's models know the tool {kind[:60]}")
        else:
            raise wrong_value(f"{at}.type", f"must be 'custom' or one of Anthropic's own tools, found {kind[:40]!r}.")
    return tools


def _function(tool: Json, at: str, losses: Losses) -> Json:
    record_rest(tool, _TOOL_KEYS, at, losses)
    function: Json = {"name": want_text(tool, "name", at)}
    if description := optional_text(tool, "description", at):
        function["description"] = description
    if tool.get("input_schema") is None:
        raise missing(f"{at}.input_schema")
    function["parameters"] = want_object(tool["input_schema"], f"{at}.input_schema")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    return {"type": "function", "function": function}


def choice_fields(value: Any, tools: Tools) -> Json:
    """The field ``tool_choice`` as chat's ``tool_choice`` and ``parallel_tool_calls``; nothing without tools.

    Raises:
        InvalidRequest: it is none, or it forces a tool that is not offered (400).
    """
    if value is None:
        return {}
    choice = want_object(value, "tool_choice")
    kind = want_text(choice, "type", "tool_choice")
    if kind != "tool" and kind not in _CHOICES:
        allowed = ", ".join([*_CHOICES, "tool"])
        raise wrong_value("tool_choice.type", f"must be one of {allowed}, found {kind[:40]!r}.")
    is_single = choice.get("disable_parallel_tool_use")
    if is_single is not None and not isinstance(is_single, bool):
        raise wrong_type("tool_choice.disable_parallel_tool_use", "a boolean", is_single)
    fields: Json = {"parallel_tool_calls": False} if is_single else {}
    if kind == "tool":
        name = _forced(want_text(choice, "name", "tool_choice"), tools)
        return {"tool_choice": {"type": "function", "function": {"name": name}}, **fields}
    if tools.offered:
        return {"tool_choice": _CHOICES[kind], **fields}
    if kind != "any":
        return {}
    if tools.dropped:
        raise unsupported("tool_choice", "it forces a tool, and none of those offered can be used")
    raise wrong_value("tool_choice", "forces a tool, and 'tools' has none.")


def _forced(name: str, tools: Tools) -> str:
    if name in tools.names():
        return name
    if name in tools.dropped:
        raise unsupported("tool_choice.name", f"only Anthropic's models know the tool {name[:60]!r}")
    raise wrong_value("tool_choice.name", f"must be the name of a tool in 'tools', found {name[:60]!r}.")

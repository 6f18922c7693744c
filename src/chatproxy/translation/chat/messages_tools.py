"""A chat client's tools as those of a Messages request.

Rule: a function is a tool of the same name; a custom tool, which takes free text, is one with a single field ``input``,
and its calls are turned back on the way to the client.
Source: Anthropic API reference, "Messages", parameters ``tools`` and ``tool_choice``.
"""

from __future__ import annotations

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_MESSAGES, Json, Losses
from chatproxy.translation.chat.tools import Choice, Tool, choice_of, tools_of

_CHOICES = {"none": "none", "auto": "auto", "required": "any"}
_FREE_TEXT: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def offer_tools(out: Json, body: Json, losses: Losses) -> frozenset[str]:
    """Put ``tools`` and ``tool_choice`` into the handler's request.

    Returns:
        The names of the tools that take free text.
    """
    listed = tools_of(body)
    chosen = None if body.get("tool_choice") is None else choice_of(body["tool_choice"])
    tools = [_tool(tool, losses) for tool in listed]
    if chosen is not None and chosen.is_list:
        losses.add("tool_choice.allowed_tools", "changed", "only the allowed tools are sent")
        allowed = {name for _, name in chosen.named}
        tools = [tool for tool in tools if tool["name"] in allowed]
    is_serial = checks.optional_bool(body, "parallel_tool_calls", "") is False
    choice = None if chosen is None else _choice(chosen)
    if not tools and choice is not None and choice["type"] in ("none", "auto"):
        choice = None
    if is_serial and tools and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if tools:
        out["tools"] = tools
    if choice is not None:
        out["tool_choice"] = choice
    return frozenset(tool.name for tool in listed if tool.kind == "custom")


def _tool(tool: Tool, losses: Losses) -> Json:
    losses.add_rest(tool.around, ("type", tool.kind, "cache_control"), tool.at.rpartition(".")[0], NOT_ON_MESSAGES)
    made: Json = {"name": tool.name, "input_schema": _FREE_TEXT}
    if description := checks.optional_text(tool.fields, "description", tool.at):
        made["description"] = description
    if tool.kind == "custom":
        losses.add(tool.at, "changed", "free text is asked for as a field of an object")
        losses.add_rest(tool.fields, ("name", "description"), tool.at, NOT_ON_MESSAGES)
    else:
        losses.add_rest(tool.fields, ("name", "description", "parameters", "strict"), tool.at, NOT_ON_MESSAGES)
        made["input_schema"] = _schema(tool)
        if tool.fields.get("strict"):
            made["strict"] = True
    if tool.around.get("cache_control") is not None:
        made["cache_control"] = tool.around["cache_control"]
    return made


def _schema(tool: Tool) -> Json:
    schema = checks.optional_object(tool.fields, "parameters", tool.at)
    return schema if "type" in schema else {"type": "object", **schema}


def _choice(choice: Choice) -> Json:
    if choice.named and not choice.is_list:
        return {"type": "tool", "name": choice.named[0][1]}
    return {"type": _CHOICES[choice.mode]}

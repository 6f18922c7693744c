"""Tools: which ones a text asks for, and the calls the demo model makes.

Source: OpenAI API reference, "Create chat completion", ``tools``, ``tool_choice`` and ``parallel_tool_calls``.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.base import make_id
from chatproxy.handlers.demo.faults import (
    missing,
    want_list,
    want_object,
    want_one_of,
    want_text,
    wrong_type,
    wrong_value,
)
from chatproxy.handlers.demo.hints import Hints, is_word_of
from chatproxy.handlers.demo.schema import sample
from chatproxy.handlers.demo.schema_check import CannotMatchError, Schema, as_schema

_MAX_CHARACTERS = 20_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORD = re.compile(r"[a-z0-9]{3,}")
_COMMON_TEXT = (
    "about all and any are based can does for from function get gets given has have how into its list lists make not "
    "one please return returns set specified that the their them then this tool use used user using was what when "
    "which who will with you your current information provided value values data"
)
_COMMON = frozenset(_COMMON_TEXT.split())


class Tool(msgspec.Struct, frozen=True):
    """A tool the model may call.

    Attributes:
        at: its path in the request, for error messages.
        kind: ``function`` (arguments by ``schema``) or ``custom`` (free text).
    """

    at: str
    kind: str
    name: str
    description: str
    schema: Schema


class ToolChoice(msgspec.Struct, frozen=True):
    """What the client says about calling.

    Attributes:
        mode: ``none``, ``auto`` or ``required``.
        names: the only tools that may be called; None is all.
    """

    mode: str = "auto"
    names: frozenset[str] | None = None


class Call(msgspec.Struct, frozen=True):
    """One call the model makes; ``arguments`` is JSON for a function and plain text for a custom tool."""

    id: str
    kind: str
    name: str
    arguments: str

    def entry(self, arguments: str | None = None) -> dict[str, Any]:
        """The call as an entry of ``tool_calls``, with other arguments where they are given."""
        field = "input" if self.kind == "custom" else "arguments"
        held = {"name": self.name, field: self.arguments if arguments is None else arguments}
        return {"id": self.id, "type": self.kind, self.kind: held}

    def piece(self, arguments: str) -> dict[str, Any]:
        """A later piece of the arguments, as a stream carries it."""
        return {self.kind: {"input" if self.kind == "custom" else "arguments": arguments}}


def read_tools(value: Any) -> list[Tool]:
    """Check the ``tools`` field; null is no tools."""
    if value is None:
        return []
    return [_tool(tool, f"tools[{i}]") for i, tool in enumerate(want_list(value, "tools"))]


def _tool(tool: Any, at: str) -> Tool:
    tool = want_object(tool, at)
    if "type" not in tool:
        raise missing(f"{at}.type")
    kind = want_one_of(tool["type"], ("function", "custom"), f"{at}.type")
    inner = want_object(tool.get(kind), f"{at}.{kind}")
    where = f"{at}.{kind}"
    name = want_text(inner, "name", where)
    if not _NAME.fullmatch(name):
        raise wrong_value(f"{where}.name", "expected 1 to 64 letters, digits, underscores or dashes.")
    description = inner.get("description")
    if description is not None and not isinstance(description, str):
        raise wrong_type(f"{where}.description", "a string", description)
    schema = inner.get("parameters")
    if schema is not None:
        want_object(schema, f"{where}.parameters")
    return Tool(where, kind, name, description or "", schema or {"type": "object", "properties": {}})


def read_tool_choice(value: Any, tools: list[Tool]) -> ToolChoice:
    """Check the ``tool_choice`` field against the tools."""
    if value is None:
        return ToolChoice()
    if isinstance(value, str):
        mode, names = want_one_of(value, ("none", "auto", "required"), "tool_choice"), None
    else:
        mode, names = _named_choice(want_object(value, "tool_choice"))
    if not tools and mode == "required":
        raise wrong_value("tool_choice", "it needs 'tools'.")
    known = {tool.name for tool in tools}
    if names is not None and not names <= known:
        raise wrong_value("tool_choice", f"no tool is named {', '.join(sorted(names - known))[:80]}.")
    return ToolChoice(mode, names)


def _named_choice(value: dict[str, Any]) -> tuple[str, frozenset[str]]:
    kind = want_one_of(value.get("type"), ("function", "custom", "allowed_tools"), "tool_choice.type")
    if kind != "allowed_tools":
        return "required", frozenset({_choice_name(value, kind, "tool_choice")})
    allowed = want_object(value.get(kind), "tool_choice.allowed_tools")
    mode = want_one_of(allowed.get("mode"), ("auto", "required"), "tool_choice.allowed_tools.mode")
    at = "tool_choice.allowed_tools.tools"
    listed = want_list(allowed.get("tools"), at)
    entries = [(want_object(entry, f"{at}[{i}]"), f"{at}[{i}]") for i, entry in enumerate(listed)]
    return mode, frozenset(_choice_name(entry, str(entry.get("type")), where) for entry, where in entries)


def _choice_name(value: dict[str, Any], kind: str, at: str) -> str:
    return want_text(want_object(value.get(kind), f"{at}.{kind}"), "name", f"{at}.{kind}")


def choose(tools: list[Tool], choice: ToolChoice, text: str, *, is_parallel: bool) -> list[Tool]:
    """The tools to call for a text, best first.

    A tool whose name the text has is asked for; where there is none, the one whose name and description share most
    words with the text; under ``required`` the first where nothing fits.
    """
    allowed = [tool for tool in tools if choice.names is None or tool.name in choice.names]
    if choice.mode == "none" or not allowed:
        return []
    lower = text[:_MAX_CHARACTERS].lower()
    named = [tool for tool in allowed if _names_it(tool, lower)]
    if not named:
        words = {_stem(word) for word in _WORD.findall(lower)}
        ranked = sorted(((len(words & _words(tool)), tool) for tool in allowed), key=lambda pair: -pair[0])
        named = [ranked[0][1]] if ranked[0][0] > 0 or choice.mode == "required" else []
    return named if is_parallel else named[:1]


def _names_it(tool: Tool, text: str) -> bool:
    lower = tool.name.lower()
    return is_word_of(lower, text) or is_word_of(lower.replace("_", " ").replace("-", " "), text)


def _words(tool: Tool) -> set[str]:
    found = _WORD.findall(f"{tool.name} {tool.description}".lower().replace("_", " "))
    return {_stem(word) for word in found if word not in _COMMON}


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def make_calls(tools: list[Tool], text: str, *, seeds: tuple[str, ...]) -> list[Call]:
    """Calls of the chosen tools, with arguments that match their schemas.

    Args:
        seeds: what the calls' ids are made from.

    Raises:
        InvalidRequest: a tool's parameters are a schema the demo model cannot fill; ``param`` names it.
    """
    return [
        Call(make_id("call_", *seeds, str(i)), tool.kind, tool.name, _arguments(tool, text))
        for i, tool in enumerate(tools)
    ]


def _arguments(tool: Tool, text: str) -> str:
    if tool.kind == "custom":
        return text
    try:
        value = sample(as_schema(tool.schema), hints=Hints(text), want_optional=False)
    except CannotMatchError as exc:
        raise InvalidRequest(
            f"The demo model cannot fill the parameters of {tool.name!r}: {exc}.",
            code="invalid_function_parameters",
            param=f"{tool.at}.parameters",
        ) from exc
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else "{}"

"""A chat client's tools and its choice among them, read for each translation that takes them.

Source: OpenAI API reference, "Create chat completion", parameters ``tools`` and ``tool_choice``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chatproxy.translation import checks
from chatproxy.translation.base import Json

_KINDS = ("function", "custom")
_MODES = ("none", "auto", "required")


class Tool(NamedTuple):
    """One tool.

    Attributes:
        kind: ``function``, or ``custom`` for one that takes free text.
        fields: its definition, found at ``at``.
        around: the entry of the list that holds the definition.
    """

    kind: str
    name: str
    fields: Json
    around: Json
    at: str


class Choice(NamedTuple):
    """The choice among tools.

    Attributes:
        mode: ``none``, ``auto`` or ``required``.
        named: kind and name of each tool that may be called, where the choice says it.
        is_list: whether they are the allowed ones, however many; else the one is forced.
    """

    mode: str
    named: list[tuple[str, str]]
    is_list: bool = False


def tools_of(body: Json) -> list[Tool]:
    """Read ``tools``."""
    tools = []
    for tool, at in checks.optional_objects(body, "tools", ""):
        kind = checks.want_word(tool, "type", _KINDS, at)
        where = f"{at}.{kind}"
        fields = checks.want_object(tool.get(kind), where)
        tools.append(Tool(kind, checks.want_text(fields, "name", where), fields, tool, where))
    return tools


def choice_of(value: Any) -> Choice:
    """Read ``tool_choice``."""
    at = "tool_choice"
    if isinstance(value, str):
        return Choice(checks.one_of(_MODES, value, at), [])
    if not isinstance(value, dict):
        raise checks.wrong_type(at, "a string or an object", value)
    if checks.want_word(value, "type", (*_KINDS, "allowed_tools"), at) != "allowed_tools":
        return Choice("required", [_named(value, at)])
    at = f"{at}.allowed_tools"
    allowed = checks.want_object(value.get("allowed_tools"), at)
    mode = checks.want_word(allowed, "mode", ("auto", "required"), at)
    named = [_named(*tool) for tool in checks.want_objects(allowed.get("tools"), f"{at}.tools")]
    return Choice(mode, named, is_list=True)


def _named(tool: Json, at: str) -> tuple[str, str]:
    kind = checks.want_word(tool, "type", _KINDS, at)
    return kind, checks.want_text(checks.want_object(tool.get(kind), f"{at}.{kind}"), "name", f"{at}.{kind}")

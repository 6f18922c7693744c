"""Tools and the choice among them, from a Messages request to chat.

Source: Anthropic API reference, ``ToolUnionParam`` and ``ToolChoiceParam``; OpenAI API reference, "Create chat
completion".
"""

from __future__ import annotations

import re
from hashlib import blake2b

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses

_MOST_CHARACTERS = 64
_TOOL_KEYS = frozenset({"type", "name", "description", "input_schema", "strict"})
_OWN_TYPE = re.compile(r"[a-z0-9_]+_\d{8}|mcp_toolset")  # of tools whose schema only Anthropic's models know
_CHOICES = {"auto": "auto", "any": "required", "none": "none", "tool": ""}


class ToolNames:
    """Names of tools as OpenAI takes them: Anthropic's may be twice as long.

    Attributes:
        clients: the client's names by those that were made of them.
    """

    __slots__ = ("_losses", "clients")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self.clients: dict[str, str] = {}

    def of(self, holder: Json, at: str) -> str:
        """The name that a tool, call or choice has, or one that tells it from all others."""
        name = checks.want_text(holder, "name", at)
        if len(name) <= _MOST_CHARACTERS:
            return name
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        short = f"{name[: _MOST_CHARACTERS - len(digest) - 1]}_{digest}"
        self.clients[short] = name
        self._losses.add(
            f"{at}.name", "changed", f"shortened for the handler to {_MOST_CHARACTERS} characters", once=True
        )
        return short


def offer_tools(out: Json, body: Json, names: ToolNames, losses: Losses) -> None:
    """Put ``tools``, ``tool_choice`` and ``parallel_tool_calls`` into chat's request; hosted tools are dropped."""
    offered, hosted = [], set()
    for tool, at in checks.optional_objects(body, "tools", ""):
        kind = checks.optional_text(tool, "type", at)
        if kind in ("", "custom"):
            offered.append(_function(tool, names.of(tool, at), at, losses))
        elif _OWN_TYPE.fullmatch(kind):
            hosted.add(checks.optional_text(tool, "name", at))
            losses.add(at, "dropped", f"only Anthropic's models know the tool {kind[:60]}")
        else:
            wanted = "custom or one of Anthropic's own tools"
            raise checks.wrong_value(f"{at}.type", f"expected {wanted}, found {kind[:40]!r}")
    if offered:
        out["tools"] = offered
    if body.get("tool_choice") is not None:
        choice = checks.want_object(body["tool_choice"], "tool_choice")
        if (chosen := _choice(choice, names, offered, hosted)) is not None:
            out["tool_choice"] = chosen
            if checks.optional_bool(choice, "disable_parallel_tool_use", "tool_choice"):
                out["parallel_tool_calls"] = False


def _function(tool: Json, name: str, at: str, losses: Losses) -> Json:
    losses.add_rest(tool, _TOOL_KEYS, at, NOT_ON_CHAT)
    function: Json = {"name": name}
    if description := checks.optional_text(tool, "description", at):
        function["description"] = description
    function["parameters"] = checks.want_object(tool.get("input_schema"), f"{at}.input_schema")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    return {"type": "function", "function": function}


def _choice(choice: Json, names: ToolNames, offered: list[Json], hosted: set[str]) -> str | Json | None:
    """The choice as chat says it; None where there is nothing to choose from."""
    at = "tool_choice"
    kind = checks.want_word(choice, "type", _CHOICES, at)
    if kind == "tool":
        return {"type": "function", "function": {"name": _forced(names.of(choice, at), offered, hosted)}}
    if offered:
        return _CHOICES[kind]
    if kind == "any" and hosted:
        raise checks.unsupported_parameter(at, "it forces a tool, and none of those offered can be used")
    if kind == "any":
        raise checks.wrong_value(at, "it forces a tool, and 'tools' has none")
    return None


def _forced(name: str, offered: list[Json], hosted: set[str]) -> str:
    at = "tool_choice.name"
    if any(tool["function"]["name"] == name for tool in offered):
        return name
    if name in hosted:
        raise checks.unsupported_parameter(at, f"only Anthropic's models know the tool {name[:60]!r}")
    raise checks.wrong_value(at, f"expected the name of a tool in 'tools', found {name[:60]!r}")

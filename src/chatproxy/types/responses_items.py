"""Texts of items: what a conversation on Responses is made of, going in and coming out.

Rule: an item's fields are looked at whatever its type, so that an item under a wrong type hides nothing.
Source: OpenAI API reference, "Create a model response" (``input``) and "The response object" (``output``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from chatproxy.types.responses_values import field_texts_of, free_texts, part_texts, tool_texts
from chatproxy.types.text import Origin, Path, Text, TextKind
from chatproxy.types.walk import KINDS, ROLE_KINDS, Place, Rule, place_of, texts_below


class _Field(NamedTuple):
    """A field of a hosted tool's item, beside those of `KINDS`.

    Attributes:
        names: the fields below it that hold texts; None: everything below does.
    """

    kind: TextKind
    names: tuple[str, ...] | None = None


_ACTION = ("query", "queries", "pattern", "text", "command", "commands", "env", "keys")
_HOSTED: Mapping[str, _Field] = {
    "code": _Field("tool_arguments"),
    "queries": _Field("tool_arguments"),
    "action": _Field("tool_arguments", _ACTION),
    "actions": _Field("tool_arguments", _ACTION),
    "operation": _Field("tool_arguments", ("diff",)),
    "revised_prompt": _Field("tool_arguments"),
    "reason": _Field("content"),
    "output": _Field("tool_result"),
    "outputs": _Field("tool_result", ("logs", "text")),
    "results": _Field("tool_result", ("text", "content", "attributes")),
    "result": _Field("tool_result"),
    "error": _Field("tool_result", ("message", "content")),
}
_RESULTS = frozenset(
    {"function_call_output", "custom_tool_call_output", "computer_call_output", "local_shell_call_output"}
    | {"shell_call_output", "apply_patch_call_output", "program_output"}
)
_CALLS = frozenset({"program", "mcp_approval_request"})
_SHELL = _Field("tool_result", ("stdout", "stderr"))
_IMAGE = "image_generation_call"


def item_texts(holder: Any, key: str | int, path: Path, origin: Origin) -> Iterator[Text]:
    """Texts of the item at ``holder[key]``, in its own order.

    Args:
        path: of the holder.
        origin: its role counts where the item has none; where it has a channel, content parts get one each below it.
    """
    item = holder[key]
    if not isinstance(item, dict):
        yield from texts_below(Place(holder, path, ((key, item),), "content", Rule.MESSAGE), origin)
        return
    role, kind = _voice(item, origin.role)
    origin = origin if role == origin.role else origin._replace(role=role)
    path = (*path, key)
    for name, value in list(item.items()):
        hosted = _HOSTED.get(name)
        if hosted is not None:
            yield from _hosted_texts(item, name, path, origin)
        elif isinstance(value, str):
            if name in KINDS:
                yield Text(item, (*path, name), KINDS[name] or kind, origin)
        elif isinstance(value, dict | list):
            yield from _inner_texts(item, name, path, kind, origin)


def _voice(item: dict[str, Any], default_role: str) -> tuple[str, TextKind]:
    """Whose an item is, and what its content is."""
    kind, role = item.get("type"), item.get("role")
    if isinstance(kind, str):
        if kind == "reasoning":
            return "assistant", "reasoning"
        if kind in _RESULTS:
            return "tool", "tool_result"
        if not isinstance(role, str) and (kind.endswith("_call") or kind in _CALLS):
            return "assistant", "content"
    return (role, ROLE_KINDS.get(role, "content")) if isinstance(role, str) else (default_role, "content")


def _hosted_texts(item: dict[str, Any], name: str, path: Path, origin: Origin) -> Iterator[Text]:
    """Texts of a field that belongs to a tool."""
    field, value, kind = _HOSTED[name], item[name], item.get("type")
    if field.kind == "tool_result" and origin.role != "tool":
        origin = origin._replace(role="tool")
    if isinstance(value, str):
        if name != "result" or kind != _IMAGE:
            yield Text(item, (*path, name), field.kind, origin)
    elif not isinstance(value, dict | list):
        return
    elif name == "output":
        shown = field_texts_of(value, (*path, name), _SHELL.kind, _SHELL.names or (), origin)
        yield from shown if kind == "shell_call_output" else free_texts(item, name, path, field.kind, origin)
    elif field.names is None:
        yield from texts_below(place_of(value, (*path, name), field.kind, Rule.ALL), origin)
    else:
        yield from field_texts_of(value, (*path, name), field.kind, field.names, origin)


def _inner_texts(item: dict[str, Any], name: str, path: Path, kind: TextKind, origin: Origin) -> Iterator[Text]:
    """Texts of a field that holds more than a string."""
    value = item[name]
    if name == "tools":
        yield from tool_texts(item, name, path, origin._replace(role="developer"))
    elif name in KINDS:
        kind = KINDS[name] or kind
        if origin.channel and name in ("content", "summary") and isinstance(value, list):
            channel = origin.channel if name == "content" else (*origin.channel, name)
            for index in range(len(value)):
                yield from part_texts(value, index, (*path, name), kind, origin._replace(channel=(*channel, index)))
        else:
            yield from texts_below(Place(item, path, ((name, value),), kind, Rule.MESSAGE), origin)
        if name == "text" and isinstance(value, dict) and "format" in value:  # of a ``configuration_update``
            form = Place(value, (*path, name), (("format", value["format"]),), "instructions", Rule.SCHEMA)
            yield from texts_below(form, origin._replace(role="developer"))

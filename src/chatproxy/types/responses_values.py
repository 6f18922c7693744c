"""Texts of values inside items and requests of Responses: content parts, tool outputs, variables, tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatproxy.types.text import Origin, Path, Text, TextKind
from chatproxy.types.walk import Place, Rule, objects, place_of, texts_below

# Besides texts these hold ids, URLs and encoded media. An object of another type may be shown to a model as JSON.
_PARTS = frozenset(
    {"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"}
    | {"input_image", "input_file", "input_audio", "image_url", "image", "audio", "file", "computer_screenshot"}
)


def part_texts(holder: Any, key: str | int, path: Path, kind: TextKind, origin: Origin) -> Iterator[Text]:
    """Texts of the content part at ``holder[key]``."""
    part = holder[key]
    if isinstance(part, dict) and part.get("type") in ("reasoning_text", "summary_text"):
        kind = "reasoning"
    return texts_below(Place(holder, path, ((key, part),), kind, Rule.MESSAGE), origin)


def free_texts(holder: Any, key: str | int, path: Path, kind: TextKind, origin: Origin) -> Iterator[Text]:
    """Texts of ``holder[key]`` that may be a text, content parts or any JSON: a tool's output, a prompt's variable."""
    value = holder[key]
    if isinstance(value, list):
        for index in range(len(value)):
            yield from _free_item_texts(value, index, (*path, key), kind, origin)
    else:
        yield from _free_item_texts(holder, key, path, kind, origin)


def _free_item_texts(holder: Any, key: str | int, path: Path, kind: TextKind, origin: Origin) -> Iterator[Text]:
    value = holder[key]
    if isinstance(value, dict):
        part_type = value.get("type")
        rule = Rule.MESSAGE if isinstance(part_type, str) and part_type in _PARTS else Rule.ALL
        return texts_below(place_of(value, (*path, key), kind, rule), origin)
    return texts_below(Place(holder, path, ((key, value),), kind, Rule.ALL), origin)


def field_texts_of(value: Any, path: Path, kind: TextKind, names: tuple[str, ...], origin: Origin) -> Iterator[Text]:
    """Texts of some fields of an object, or of each object of a list, whose other items are texts altogether."""
    if isinstance(value, dict):
        found = [(name, value[name]) for name in names if name in value]
        yield from texts_below(Place(value, path, found, kind, Rule.ALL), origin)
        return
    for index, item in enumerate(value):
        if isinstance(item, dict):
            yield from field_texts_of(item, (*path, index), kind, names, origin)
        else:
            yield from texts_below(Place(value, path, ((index, item),), kind, Rule.ALL), origin)


def tool_texts(holder: Any, key: str, path: Path, origin: Origin) -> Iterator[Text]:
    """Texts of a list of tools: of their schemas, what an MCP server is for, a custom tool's grammar."""
    yield from texts_below(Place(holder, path, ((key, holder[key]),), "instructions", Rule.SCHEMA), origin)
    waiting: list[tuple[Path, Any]] = [((*path, key), holder[key])]
    while waiting:
        place, tools = waiting.pop(0)
        for index, tool in objects(tools):
            if isinstance(tool.get("server_description"), str):
                yield Text(tool, (*place, index, "server_description"), "instructions", origin)
            form = tool.get("format")
            if isinstance(form, dict) and isinstance(form.get("definition"), str):
                yield Text(form, (*place, index, "format", "definition"), "instructions", origin)
            waiting.append(((*place, index, "tools"), tool.get("tools")))

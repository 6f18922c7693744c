"""Finding texts inside JSON of any shape; what the layouts are written with.

Rule: what some upstream would show to its model is a text, also in a shape the API itself refuses, so that no guard is
passed by writing a request differently. Names, ids, URLs and encoded media are no texts. Wrong shapes never raise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from chatproxy.types.text import Origin, Path, Text, TextKind

ROLE_KINDS: Mapping[str, TextKind] = {
    "system": "instructions",
    "developer": "instructions",
    "tool": "tool_result",
    "function": "tool_result",
}

# Fields of a message, delta, item, block or part that hold text, directly or deeper; of any surface, since servers
# read each other's. None: of the kind of what holds it.
KINDS: Mapping[str, TextKind | None] = {
    **dict.fromkeys(("content", "text", "parts", "value", "output", "audio", "transcript")),
    **dict.fromkeys(("reasoning_content", "reasoning", "reasoning_details", "summary"), "reasoning"),
    **dict.fromkeys(("thinking", "thinking_blocks"), "reasoning"),
    **dict.fromkeys(("tool_calls", "function_call", "function", "custom", "arguments", "input"), "tool_arguments"),
    "refusal": "refusal",
}
_FREE = frozenset({"arguments", "input", "output"})
_SCHEMA_TEXTS = frozenset({"description", "title", "default", "examples", "enum", "const"})


class Rule(Enum):
    """Which strings below a place are texts."""

    MESSAGE = 1  # those reached by the fields of `KINDS`
    ALL = 2
    SCHEMA = 3  # those of descriptions, titles and values of a JSON schema, at any depth


class TopField(NamedTuple):
    """A field of a request's top level that reaches the model."""

    key: str
    role: str
    kind: TextKind
    rule: Rule


class Place(NamedTuple):
    """A container and those of its items to look at."""

    holder: Any
    path: Path
    items: Any
    kind: TextKind
    rule: Rule


def objects(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list, with their positions."""
    if isinstance(value, list):
        yield from ((i, item) for i, item in enumerate(value) if isinstance(item, dict))


def top_texts(body: Any, fields: tuple[TopField, ...]) -> Iterator[Text]:
    """Texts of a request's top-level fields, in the table's order."""
    for key, role, kind, rule in fields:
        value = body.get(key)
        if isinstance(value, str) and rule is not Rule.SCHEMA:
            yield Text(body, (key,), kind, Origin(role))
        elif isinstance(value, dict | list):
            yield from texts_below(place_of(value, (key,), kind, rule), Origin(role))


def message_texts(holder: Any, key: str | int, message: Any, path: Path, *, index: int) -> Iterator[Text]:
    """Texts of one message; a bare string is one that a user wrote."""
    if isinstance(message, dict):
        role = message.get("role")
        role = role if isinstance(role, str) else "user"
        return field_texts(message, (*path, key), ROLE_KINDS.get(role, "content"), Origin(role, index))
    place = Place(holder, path, ((key, message),), "content", Rule.MESSAGE)
    return texts_below(place, Origin("user", index))


def field_texts(holder: dict[str, Any], path: Path, kind: TextKind, origin: Origin, *, but: str = "") -> Iterator[Text]:
    """Texts of a message, delta or block, but for one field.

    Most are plain strings, for which `texts_below` would take twice the time.
    """
    for key, value in list(holder.items()):
        if key not in KINDS or key == but:
            continue
        if isinstance(value, str):
            yield Text(holder, (*path, key), KINDS[key] or kind, origin)
        elif isinstance(value, dict | list):
            yield from texts_below(_below(key, value, (*path, key), kind, Rule.MESSAGE), origin)


def texts_below(place: Place, origin: Origin) -> Iterator[Text]:
    """Every text below a place, in the body's own order; by a stack, so that depth costs neither frames nor time."""
    stack = [(place, iter(place.items))]
    while stack:
        (holder, path, _, kind, rule), items = stack[-1]
        for key, value in items:
            if isinstance(value, str):
                if rule is not Rule.SCHEMA or key in _SCHEMA_TEXTS:
                    yield Text(holder, (*path, key), _kind(key, kind, rule), origin)
            elif isinstance(value, dict | list):
                below = _below(key, value, (*path, key), kind, rule)
                stack.append((below, iter(below.items)))
                break
        else:
            stack.pop()


def place_of(value: Any, path: Path, kind: TextKind, rule: Rule) -> Place:
    """A container as a place to look below."""
    if isinstance(value, list):
        return Place(value, path, enumerate(value), kind, rule)
    items = [item for item in value.items() if rule is not Rule.MESSAGE or item[0] in KINDS]
    return Place(value, path, items, kind, rule)


def _kind(key: str | int, kind: TextKind, rule: Rule) -> TextKind:
    return (KINDS.get(key) or kind) if rule is Rule.MESSAGE and isinstance(key, str) else kind


def _below(key: str | int, value: Any, path: Path, kind: TextKind, rule: Rule) -> Place:
    """The container ``value`` that was found under ``key``."""
    kind = _kind(key, kind, rule)
    if (rule is Rule.MESSAGE and key in _FREE) or (
        rule is Rule.SCHEMA and key in _SCHEMA_TEXTS and isinstance(value, list)
    ):
        rule = Rule.ALL
    return place_of(value, path, kind, rule)

"""The part of a stream event that one more piece of a text needs, and nothing else of it.

Rule: of objects and lists nothing is copied but what leads to the text, so that no other text, id or count is said
twice.
"""

from __future__ import annotations

from typing import Any

from chatproxy.types.text import Path

_FREE = frozenset({"arguments", "input", "output"})


def piece(holder: Any, path: Path, value: str) -> Any:
    """A container like ``holder`` with one text at ``path``; a list becomes a list of one.

    Objects on the way keep their type and index, save in free JSON, where those are texts. Raises LookupError where
    the container has no such path.
    """
    holders = []
    is_free = False
    for key in path:
        holders.append((holder, key, is_free))
        holder = holder[key]
        is_free = is_free or key in _FREE
    made: Any = value
    for outer, key, is_free in reversed(holders):
        made = [made] if isinstance(outer, list) else {**({} if is_free else _marks(outer)), key: made}
    return made


def heading(data: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The scalars of an event's top level, in its own order, with some fields set; padding is left out."""
    kept = {
        key: fields.get(key, value)
        for key, value in data.items()
        if key in fields or (key != "obfuscation" and not isinstance(value, dict | list))
    }
    return {**kept, **fields}


def _marks(holder: dict[str, Any]) -> dict[str, Any]:
    kind, index = holder.get("type"), holder.get("index")
    marks: dict[str, Any] = {"type": kind} if isinstance(kind, str) else {}
    return {**marks, "index": index} if type(index) is int else marks

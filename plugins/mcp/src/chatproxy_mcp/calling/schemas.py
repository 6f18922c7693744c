"""How much work a schema makes, found without doing that work.

Rule: in doubt there is no answer. References within one schema can make a check take 2^n steps, where each definition
refers to the next one twice, so that the parts of a schema are counted as a check would visit them.
"""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import unquote

MAX_PARTS = 10_000
# What a pattern costs beside another part: its compilation above all.
PATTERN_PARTS = 100
_MAX_DEPTH = 100
_CHARACTERS = 64
_OTHER_NAMES = ("id", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef")


class _DearError(ValueError):
    """The schema's parts cannot be told, or are too many."""


def parts_of(schema: Any) -> int | None:
    """How many parts of a schema a check visits at most, for each part of what it checks.

    Returns:
        None: too many, or references to other documents, to themselves, or by other names than JSON pointers.
    """
    try:
        return _Parts(schema).count(schema, 0)
    except _DearError:
        return None


def size_of(value: Any, limit: int) -> int:
    """How many parts JSON has, long strings as several; counted to a little over ``limit``.

    Level by level, so that depth costs no stack.
    """
    total, level = 0, [value]
    while level and total <= limit:
        inner: list[Any] = []
        for item in level:
            total += 1 + len(item) // _CHARACTERS if isinstance(item, str) else 1
            if isinstance(item, dict):
                inner.extend(item)
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(islice(item, limit))
        level = inner
    return total


def nests_over(value: Any, levels: int) -> bool:
    """Whether arrays and objects stand in each other more than so many times; depth costs no stack."""
    inner = [value]
    for _ in range(levels):
        inner = [item for outer in inner for item in _inner(outer) if isinstance(item, dict | list)]
        if not inner:
            return False
    return True


class _Parts:
    """Counts the target of a reference once, and adds it wherever it is referred to."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._counts: dict[str, int | None] = {}

    def count(self, value: Any, depth: int) -> int:
        if depth > _MAX_DEPTH:
            raise _DearError("nested too deep")
        total = 1
        if isinstance(value, dict):
            total += self._own(value, depth)
        for inner in _inner(value):
            total += self.count(inner, depth + 1)
        if total > MAX_PARTS:
            raise _DearError("too many parts")
        return total

    def _own(self, schema: dict[str, Any], depth: int) -> int:
        """What a schema costs beside the values in it."""
        if any(isinstance(schema.get(name), str) for name in (_OTHER_NAMES if depth else _OTHER_NAMES[2:])):
            raise _DearError("refers by other means than JSON pointers")
        patterns = schema.get("patternProperties")
        count = len(patterns) if isinstance(patterns, dict) else 0
        count += isinstance(schema.get("pattern"), str)
        reference = schema.get("$ref")
        return count * PATTERN_PARTS + (self._target(reference, depth) if isinstance(reference, str) else 0)

    def _target(self, reference: str, depth: int) -> int:
        known = self._counts.get(reference, 0)
        if known is None:
            raise _DearError("refers to itself")
        if not known:
            self._counts[reference] = None
            known = self._counts[reference] = self.count(_pointed(self._root, reference), depth + 1)
        return known


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _pointed(root: Any, reference: str) -> Any:
    """The part of a schema that a JSON pointer in a fragment names (RFC 6901)."""
    document, _, pointer = reference.partition("#/")
    if document or not pointer:
        raise _DearError("refers to the whole, or to another document")
    value = root
    for step in pointer.split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        else:
            raise _DearError("refers to nothing")
    return value

"""Effort: how much work a schema can make, guessed before it does.

Rule: a guess upwards. References are followed as often as they stand there; what refers to itself, or elsewhere than
by a plain path, counts as endless.
"""

from __future__ import annotations

from math import inf
from typing import Any

_PATTERN = 100  # one match of a pattern may take so much longer than a look at a value
_PATTERNS = frozenset({"pattern", "patternProperties"})
_OTHER_REFERENCES = frozenset({"$dynamicRef", "$recursiveRef", "$id", "id", "$anchor", "$dynamicAnchor"})


def effort_of(schema: Any) -> float:
    """The parts of a schema, those behind references counted each time; `math.inf` where it may go on for ever."""
    return _Counted(schema).of(schema)


class _Counted:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, float] = {}

    def of(self, part: Any) -> float:
        if isinstance(part, list):
            return 1 + sum(self.of(item) for item in part)
        if not isinstance(part, dict):
            return 0
        total = 1.0
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str):
                total += self._behind(value)
            elif key in _OTHER_REFERENCES and isinstance(value, str):
                return inf
            elif key in _PATTERNS:
                total += _PATTERN * (len(value) if isinstance(value, dict) else 1) + self.of(value)
            elif key not in {"$defs", "definitions"}:
                total += self.of(value)
        return total

    def _behind(self, reference: str) -> float:
        if reference not in self._known:
            self._known[reference] = inf  # what comes here again while it is counted refers to itself
            self._known[reference] = self.of(self._found(reference)) if reference.startswith("#/") else inf
        return self._known[reference]

    def _found(self, reference: str) -> Any:
        found = self._root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if found is not None else {"$id": ""}

"""Token counts of several answers as those of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_COUNT = 1 << 62
_MAX_DEPTH = 8


def summed(one: Mapping[str, Any] | None, other: Mapping[str, Any], *, depth: int = 0) -> dict[str, Any]:
    """The numbers of two ``usage`` objects added up at any depth; lists joined; of the rest, the later."""
    made = dict(one or {})
    for key, value in other.items():
        known = made.get(key)
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            made[key] = summed(known if isinstance(known, Mapping) else None, value, depth=depth + 1)
        elif (_is_count(value) and _is_count(known)) or (isinstance(value, list) and isinstance(known, list)):
            made[key] = known + value
        elif value is not None or key not in made:
            made[key] = value
    return made


def _is_count(value: Any) -> bool:
    """Whether it is a number that can be added; JSON knows larger ones than any upstream counts."""
    return type(value) in {int, float} and abs(value) < _MAX_COUNT

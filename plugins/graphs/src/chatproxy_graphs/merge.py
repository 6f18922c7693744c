"""The merge at a join: what becomes of the values that parallel branches left.

Rule: each branch is compared with the state before the fork. A value that one branch changed is taken, and so is one
that several changed to the same. Lists that only grew are put together in the order of the branches, dicts are merged
by the same rule. Anything else is a conflict, never a silent choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from chatproxy_graphs.context import Context, copied

_GONE: Any = object()


class Conflict(Exception):
    """Branches left different values.

    Args:
        name: of the value; within dicts with dots.
        branches: that changed it.
    """

    def __init__(self, name: str, branches: Sequence[str]) -> None:
        super().__init__(name, branches)
        self.name = name
        self.branches = branches


def merge(before: Context, branches: Mapping[str, Context]) -> Context:
    """``before`` with what the branches changed.

    Raises:
        Conflict: see above.
    """
    datas = {name: branch.data for name, branch in branches.items()}
    merged = merge_values(before.data, datas, "")
    before.data.clear()
    before.data.update(merged)
    for own in ("history", "execution_path"):
        lines: list[str] = getattr(before, own)
        known = len(lines)
        lines.extend(chain.from_iterable(getattr(branch, own)[known:] for branch in branches.values()))
    return before


def merge_values(before: Mapping[Any, Any], after: Mapping[str, Mapping[Any, Any]], prefix: str) -> dict[Any, Any]:
    """Mappings by the rule of this module; ``prefix`` for messages."""
    keys = dict.fromkeys(chain(before, *after.values()))
    merged = {}
    for key in keys:
        base = before.get(key, _GONE)
        left = {name: values.get(key, _GONE) for name, values in after.items()}
        changed = {name: value for name, value in left.items() if not _same(value, base)}
        value = base if not changed else _agreed(f"{prefix}{key}", base, changed)
        if value is not _GONE:
            merged[key] = value
    return merged


def _agreed(name: str, base: Any, changed: Mapping[str, Any]) -> Any:
    values = list(changed.values())
    if all(_same(value, values[0]) for value in values[1:]):
        return values[0]
    if type(base) is list and all(type(value) is list and _same(value[: len(base)], base) for value in values):
        return [*copied(base), *chain.from_iterable(value[len(base) :] for value in values)]
    if all(type(value) is dict for value in values) and (base is _GONE or type(base) is dict):
        return merge_values({} if base is _GONE else base, changed, f"{name}.")
    raise Conflict(name, list(changed))


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except (TypeError, ValueError):  # arrays and the like have no single answer
        return False

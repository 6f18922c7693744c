"""Likeness: whether two copies are of one call, where plugins may have changed one of them on its way to the client.

Rule: what stands in brackets, like ``[EMAIL_1]`` or ``[REDACTED]``, may stand for any text; all else must be the same.
"""

from __future__ import annotations

import re
from typing import Any

_PLACEHOLDER = re.compile(r"\[[A-Z][^\[\]\n]{0,99}\]")


def are_alike(one: Any, other: Any, *, levels: int = 100) -> bool:
    """Whether two JSON values are the same but for what placeholders stand for; those nested deeper are not."""
    if not levels:
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(value, other.get(key)) for key, value in one.items()]
        return one.keys() == other.keys() and _are_all_alike(pairs, levels - 1)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and _are_all_alike(list(zip(one, other, strict=True)), levels - 1)
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _fits(one, other) or _fits(other, one)
    return bool(one == other) or _is_placeholder(one) or _is_placeholder(other)


def _are_all_alike(pairs: list[tuple[Any, Any]], levels: int) -> bool:
    return all(are_alike(one, other, levels=levels) for one, other in pairs)


def _fits(masked: str, text: str) -> bool:
    """Whether a text may be what was masked."""
    first, *others = _PLACEHOLDER.split(masked)
    if not others or not text.startswith(first):
        return False
    last = others.pop()
    at, end = len(first), len(text) - len(last)
    for part in others:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at <= end and text.endswith(last)


def _is_placeholder(value: Any) -> bool:
    """A masked number is a text."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None

"""Whether globs over model ids lie within others; what they match is decided by the core (`Principal.allows`).

Rule: pure functions. What is not certain to lie within counts as outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache


def lie_within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Whether every model that the inner globs allow is allowed by the outer ones, each by a single one of them."""
    return all(any(covers(wide, narrow) for wide in outer) for narrow in inner)


def covers(wide: str, narrow: str) -> bool:
    """Whether everything that one glob matches is matched by another.

    Of globs with ``[`` only equal ones, and plain names, are told to be covered.
    """
    if wide in {narrow, "*"}:
        return True
    if "[" in narrow:
        return False
    if "*" not in narrow and "?" not in narrow:
        return fnmatchcase(narrow, wide)
    return "[" not in wide and _covers(wide, narrow)


@lru_cache(maxsize=1024)
def _covers(wide: str, narrow: str) -> bool:
    """Match the narrow glob's own characters: only ``*`` takes a ``*``, and only ``*`` and ``?`` take a ``?``.

    Args:
        wide: of ``*``, ``?`` and plain characters, as the narrow one.
    """
    reachable = {0}  # positions in `narrow` up to which `wide` has matched so far
    for sign in wide:
        if sign == "*":
            reachable = set(range(min(reachable), len(narrow) + 1)) if reachable else set()
        elif sign == "?":
            reachable = {at + 1 for at in reachable if at < len(narrow) and narrow[at] != "*"}
        else:
            reachable = {at + 1 for at in reachable if at < len(narrow) and narrow[at] == sign}
    return len(narrow) in reachable

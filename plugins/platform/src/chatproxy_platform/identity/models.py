"""Which models a key may use: globs over model ids, and whether one set of globs lies within another.

Rule: pure functions. What is not certain to lie within counts as outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from chatproxy import PermissionDenied
from chatproxy_platform.identity.records import Identity


def check_model(identity: Identity, model: str) -> None:
    """Refuse a model that an identity may not use.

    Raises:
        PermissionDenied: no glob of its own matches (403, code ``model_not_allowed``).
    """
    if identity.models is not None and not allows(identity.models, model):
        shown = model if len(model) <= 200 else model[:200] + "…"
        raise PermissionDenied(f"This key may not use the model {shown!r}.", code="model_not_allowed", param="model")


def allows(globs: Sequence[str], model: str) -> bool:
    """Whether a model's id is matched."""
    return model in globs or any(fnmatchcase(model, glob) for glob in globs)


def lie_within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Whether every model that the inner globs allow is allowed by the outer ones, each by a single one of them."""
    return all(any(covers(wide, narrow) for wide in outer) for narrow in inner)


def covers(wide: str, narrow: str) -> bool:
    """Whether everything that one glob matches is matched by another.

    Of globs with ``[`` only equal ones, and plain names, are told to be covered.
    """
    if wide == narrow or wide == "*":
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

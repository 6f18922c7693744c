"""The hint at the end of a message about a name nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """``, did you mean 'x'?`` for the known name closest to ``name``; empty where none is close."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {found[0]!r}?" if found else ""

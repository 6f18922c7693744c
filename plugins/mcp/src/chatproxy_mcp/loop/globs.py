"""Globs over names: ``*`` is any text, ``?`` one character.

Rule: clients write some of them, for names as long as they like: no regular expressions, and nothing goes back further
than a star.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatproxy_mcp.tool import Tool

READ_ONLY = "@read_only"
_CLAUDE_PREFIX = "mcp__"


def matches(glob: str, name: str) -> bool:
    """Whether a glob fits a whole name; what stands between its stars is looked for once, in its order."""
    first, *others = glob.split("*")
    if not others:
        return len(glob) == len(name) and _is_at(glob, name, 0)
    last = others.pop()
    at, end = len(first), len(name) - len(last)
    if end < at or not _is_at(first, name, 0) or not _is_at(last, name, end):
        return False
    for part in others:
        at = _find(part, name, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def is_pattern(glob: str) -> bool:
    """Whether it can fit several names."""
    return "*" in glob or "?" in glob


def matches_one(globs: Iterable[str], name: str) -> bool:
    """Whether one of the globs fits a name."""
    return any(matches(glob, name) for glob in globs)


def fits(globs: Iterable[str], tool: Tool) -> bool:
    """Whether the first glob that fits a tool's name says yes; one that begins with ``!`` says no.

    A tool has three names: the server's own, the one that models know, and that with ``mcp__`` in front. One that says
    it only reads has `READ_ONLY` as well.
    """
    is_read_only = tool.annotations.get("readOnlyHint") is True
    names = [tool.name, tool.offered, f"{_CLAUDE_PREFIX}{tool.offered}", *([READ_ONLY] if is_read_only else [])]
    for glob in globs:
        wanted = glob.removeprefix("!")
        if wanted in names or (is_pattern(wanted) and any(matches(wanted, name) for name in names)):
            return wanted == glob
    return False


def _is_at(part: str, name: str, at: int) -> bool:
    if "?" not in part:
        return name.startswith(part, at)
    there = name[at : at + len(part)]
    return len(there) == len(part) and all(one in {"?", other} for one, other in zip(part, there, strict=True))


def _find(part: str, name: str, at: int, end: int) -> int:
    if "?" not in part:
        return name.find(part, at, end)
    return next((place for place in range(at, end - len(part) + 1) if _is_at(part, name, place)), -1)

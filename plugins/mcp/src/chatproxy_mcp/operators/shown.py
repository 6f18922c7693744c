"""Shown: texts of servers as a terminal may show them.

Rule: what a server wrote is shown so that everything can be seen and nothing acts on the terminal.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

# Marks without width of their own are letters to Python, though nobody sees them.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_MAX_LINE = 2_000


def visible(text: str) -> str:
    """A text of several lines in which every character that cannot be seen is written as ``<U+200B>``."""
    return "".join(_seen(char) for char in text.replace("\r\n", "\n"))


def one_line(text: str, limit: int) -> str:
    """The beginning of a text, at most ``limit`` characters, on one line."""
    line = visible(" ".join(text[: limit * 2].split()))
    return line if len(line) <= limit and len(text) <= limit * 2 else f"{line[: limit - 1]}…"


def changes(old: str, new: str) -> Iterator[str]:
    """The lines of a text with ``-``, ``+`` or a blank in front; nothing where both are the same."""
    if old == new:
        return
    before, after = visible(old).splitlines(), visible(new).splitlines()
    for line in difflib.unified_diff(before, after, n=2, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line[:_MAX_LINE]


def _seen(char: str) -> str:
    if char == "\n" or (char.isprintable() and not _UNSEEN.match(char)):
        return char
    return f"<U+{ord(char):04X}>"

"""Texts made safe for a terminal.

Rule: whatever was written elsewhere (a model, a server, a file's name) passes here before it reaches a terminal.
"""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1: all that can begin an escape sequence or move the cursor; and the controls that
# reorder a line, or part it in the eyes of a program that reads lines; and halves of characters, which none can show.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """The text without control characters; newlines and tabs stay."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 600) -> str:
    """The text as one printable line of at most so many characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= limit else f"{line[:limit]}…"

"""Where a number begins and ends.

Rule: a pattern begins with what is rare in prose, and looks behind only after it has seen that, because `regex` looks
behind slowly and skips to the next digit fast.
"""

from __future__ import annotations

DASHES = r"\-\u2010\u2011\u2012\u2013\u2212"
END = "(?![0-9A-Za-z_])"


def begins(pattern: str) -> str:
    """The pattern, of one fixed length, where it continues neither a word nor a decimal number."""
    return rf"{pattern}(?<![0-9A-Za-z_]{pattern})(?<![0-9]\.{pattern})"

"""Hidden text: characters that a model reads and no person sees.

Rule: what writing systems and emoji need is not hidden: a joiner between letters of such a script or between emoji, one
variation selector after a character that has variants. Everything else that is not shown is.
Source: Unicode 16, general categories; UTS 51 "Unicode Emoji"; UTR 36 "Unicode Security Considerations".
"""

from __future__ import annotations

import re
import unicodedata

_PLAIN = re.compile(r"[\n\r\t -~]*", re.ASCII)
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2028\u2029\u2800\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")
_JOINING_SCRIPTS = (
    "ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU",
    "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR",
)  # fmt: skip
_KINDS = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Co": "a private-use character",
    "Cs": "half of a character",
    "Cn": "a character that does not exist",
}


def hidden_in(text: str) -> str:
    """The first hidden character of a text, as a clause like ``U+200B, an invisible character``; empty: none."""
    if _PLAIN.fullmatch(text):
        return ""
    for index, char in enumerate(text):
        if (char > "~" or char < " ") and (kind := _kind(text, index, char)):
            return f"U+{ord(char):04X}, {kind}"
    return ""


def _kind(text: str, index: int, char: str) -> str:
    if char in "\n\r\t":
        return ""
    before = text[index - 1] if index else ""
    if _is_selector(char):
        return "" if _has_variants(char, before) else "a variation selector where none belongs"
    if char in _JOINERS:
        after = text[index + 1 : index + 2]
        return "" if _may_join(before, after) else "an invisible joiner where none belongs"
    if char in _BLANKS:
        return "a blank that is no space"
    if "\U000e0000" <= char <= "\U000e0fff":
        return "a tag character"
    category = unicodedata.category(char)
    if category == "Cn" and not _is_no_character(char):
        return ""  # a newer Unicode may have it
    return _KINDS.get(category, "")


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef" or "\u180b" <= char <= "\u180d"


def _has_variants(selector: str, base: str) -> bool:
    """Whether a selector can follow a character: emoji and keycaps by text or picture, ideographs by their shapes."""
    if not base or _is_selector(base):
        return False
    if selector in "\ufe0e\ufe0f":
        return base in "0123456789#*" or unicodedata.category(base) in {"So", "Sm", "Po", "Sk"}
    name = unicodedata.name(base, "")
    return name.startswith(("CJK", "MONGOLIAN", "MATHEMATICAL", "MYANMAR")) or unicodedata.category(base) == "Sm"


def _may_join(before: str, after: str) -> bool:
    if not before or not after:
        return False
    if unicodedata.category(after) == "So" and (unicodedata.category(before) in {"So", "Sk"} or before == "\ufe0f"):
        return True
    return all(unicodedata.name(char, "").startswith(_JOINING_SCRIPTS) for char in (before, after))


def _is_no_character(char: str) -> bool:
    return ord(char) & 0xFFFE == 0xFFFE or "\ufdd0" <= char <= "\ufdef"

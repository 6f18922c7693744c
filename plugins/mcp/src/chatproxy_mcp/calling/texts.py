"""Texts that came from a server, made fit for JSON and for a model's eyes.

Rule: line breaks and tabs stay; other control characters, terminal sequences and halves of surrogate pairs do not.
"""

from __future__ import annotations

import re

MAX_SHORT = 200

_CONTROLS = bytes(sorted({*range(0x20), 0x7F} - {0x09, 0x0A, 0x0D}))
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
# Colours and cursor moves; without their first character the rest would be left as text (ECMA-48, 5.4).
_SEQUENCE = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]")


def cleaned(text: str) -> str:
    """The text without what no model should see; the same object where there is nothing of it."""
    if "\x1b" in text:
        text = _SEQUENCE.sub("", text)
    if text.isascii():
        encoded = text.encode()
        kept = encoded.translate(None, _CONTROLS)
        return text if len(kept) == len(encoded) else kept.decode()
    return _CONTROL.sub("", _mended(text))


def short(text: str) -> str:
    """One line of at most 200 characters: a name or an address within a note."""
    line = " ".join(cleaned(text[: MAX_SHORT * 4]).split())
    return line if len(line) <= MAX_SHORT else f"{line[: MAX_SHORT - 1]}…"


def _mended(text: str) -> str:
    """Pairs of surrogates as the characters that they stand for, and U+FFFD for lone ones."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text

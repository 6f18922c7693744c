"""Ways to write the same value so that a plain pattern misses it.

Rule: a person, or a model told to undo it, still reads the value. Changes are made inside the wanted spans only.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random

from benchmarks.guardrails.samples import Sample, Span

Change = Callable[[Random, str], str]
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_LOOKS_LIKE = dict(zip("aceopxyiABEHKMOPTX", "асеорхуіАВЕНКМОРТХ", strict=True))
_DIGITS = ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")


def zero_width(rng: Random, text: str) -> str:
    """Put three invisible characters between others."""
    for _ in range(3):
        at = rng.randint(1, max(1, len(text) - 1))
        text = text[:at] + rng.choice(_INVISIBLE) + text[at:]
    return text


def full_width(_rng: Random, text: str) -> str:
    """Write printable ASCII in its full-width forms."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def homoglyphs(rng: Random, text: str) -> str:
    """Replace a third of the Latin letters that have a Cyrillic twin."""
    return "".join(_LOOKS_LIKE[c] if c in _LOOKS_LIKE and rng.random() < 0.34 else c for c in text)


def other_digits(rng: Random, text: str) -> str:
    """Write the digits in those of another script."""
    digits = rng.choice(_DIGITS)
    return "".join(digits[int(c)] if c in "0123456789" else c for c in text)


def mixed_case(rng: Random, text: str) -> str:
    """Change letters' case by chance."""
    return "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in text)


def base64_encoded(_rng: Random, text: str) -> str:
    """Encode it, as a caller may ask a model to."""
    return base64.b64encode(text.encode()).decode()


CHANGES: dict[str, Change] = {
    "zero-width characters": zero_width,
    "full-width forms": full_width,
    "homoglyphs": homoglyphs,
    "digits of other scripts": other_digits,
    "mixed case": mixed_case,
    "base64": base64_encoded,
}


def changed(rng: Random, sample: Sample, change: Change) -> Sample:
    """The sample with each wanted value written another way."""
    parts: list[str] = []
    spans: list[Span] = []
    done = length = 0
    for span in sample.spans:
        value = change(rng, sample.text[span.start : span.end])
        parts += [sample.text[done : span.start], value]
        length += span.start - done + len(value)
        spans.append(Span(length - len(value), length, span.kind))
        done = span.end
    return Sample("".join(parts) + sample.text[done:], sample.form, tuple(spans))

"""What a labelled text is, and how one is made from a template and the values in it.

Rule: no entity and no secret by name; what is put where is in the modules of the series.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from random import Random

import msgspec

ALPHABETS: dict[str, str] = {
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "digit": "0123456789",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "alpha": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "b32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "lowernum": "abcdefghijklmnopqrstuvwxyz0123456789",
    "uppernum": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "b62": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "b64": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "b64url": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
}
_RUN = re.compile(r"<(\d+)(?:-(\d+))? (\w+)>")
_SLOT = re.compile(r"«(\w+)»")


class Span(msgspec.Struct, frozen=True):
    """Where a value stands in a text, and what it is."""

    start: int
    end: int
    kind: str


class Sample(msgspec.Struct, frozen=True):
    """A text and what is to be found in it.

    Attributes:
        form: the kind of text around (``python``, ``chat`` …), or the kind of look-alike; a miss is explained by it.
        spans: empty for a text in which nothing is to be found.
    """

    text: str
    form: str
    spans: tuple[Span, ...] = ()


def repeatable(seed: int) -> Random:
    """Chance that can be repeated."""
    return Random(seed)  # noqa: S311 - made-up texts, nobody is kept safe by them


def fill(rng: Random, spec: str) -> str:
    """Write a random value of a published format.

    Args:
        spec: literal text with runs such as ``<40 hex>`` or ``<24-32 b62>``; the words are those of ``ALPHABETS``.
    """

    def run(match: re.Match[str]) -> str:
        least, most = int(match[1]), int(match[2] or match[1])
        return "".join(rng.choices(ALPHABETS[match[3]], k=rng.randint(least, most)))

    return _RUN.sub(run, spec)


def weave(form: str, template: str, values: Mapping[str, tuple[str, str]], *, escaped: bool = False) -> Sample:
    """Put values into a template's slots.

    Args:
        form: of the sample.
        template: text with slots such as ``«secret»``; a slot that has no value is an error.
        values: by slot, the kind (empty: filling that is not to be found) and the value.
        escaped: the slots stand inside JSON strings.
    """
    parts: list[str] = []
    spans: list[Span] = []
    length = done = 0
    for slot in _SLOT.finditer(template):
        kind, value = values[slot[1]]
        written = json.dumps(value)[1:-1] if escaped else value
        parts += [template[done : slot.start()], written]
        length += slot.start() - done + len(written)
        if kind:
            spans.append(Span(length - len(written), length, kind))
        done = slot.end()
    return Sample("".join(parts) + template[done:], form, tuple(spans))


def in_json(sample: Sample) -> Sample:
    """The sample as the value of a JSON object's key, as in a tool's arguments; spans are those of the escaped text."""
    head = '{"text": "'

    def place(at: int) -> int:
        return len(head) + len(json.dumps(sample.text[:at])) - 2

    spans = tuple(Span(place(span.start), place(span.end), span.kind) for span in sample.spans)
    return Sample(f'{head}{json.dumps(sample.text)[1:-1]}"}}', sample.form, spans)

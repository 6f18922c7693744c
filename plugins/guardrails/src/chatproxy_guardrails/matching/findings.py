"""Findings in a text as it was written: overlaps resolved, and new text put in their place.

Rule: what overlaps becomes one finding over all of it, so that no part of a value stays because another rule won.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from chatproxy_guardrails.matching.json_text import JsonScanner, escaped, unescaped

Rewrite = Callable[[str, str], str]


class Found(NamedTuple):
    """One finding, in characters of the text as it was written.

    Attributes:
        start: of what was found.
        end: behind it.
        number: of the rule, in the order of the list.
    """

    start: int
    end: int
    number: int


def resolved(found: Iterable[Found]) -> list[Found]:
    """One finding for each run of those that overlap; the earliest rule names it, then the longest, then the first."""
    clusters: list[tuple[Found, Found]] = []
    for each in sorted(found):
        whole, best = clusters[-1] if clusters else (each, each)
        if clusters and each.start < whole.end:
            clusters[-1] = (whole._replace(end=max(whole.end, each.end)), min(best, each, key=_precedence))
        else:
            clusters.append((each, each))
    return [Found(whole.start, whole.end, best.number) for whole, best in clusters]


def _precedence(found: Found) -> tuple[int, int, int]:
    return found.number, found.start - found.end, found.start


def whole_values(found: Found, text: str, scanner: JsonScanner) -> Found:
    """A finding in JSON, widened to whole numbers and words where it is outside of strings."""
    start, end = found.start, found.end
    if not scanner.is_inside(start):
        low, high = scanner.token(text, start)
        start = low if high > start else start
    if not scanner.is_inside(end - 1):
        low, high = scanner.token(text, end - 1)
        end = high if low < end else end
    return Found(min(start, found.start), max(end, found.end), found.number)


def rewritten(text: str, found: Found, kind: str, rewrite: Rewrite, scanner: JsonScanner | None) -> str:
    """What takes the place of a finding.

    In JSON it stays JSON: inside a string the new text is escaped, a number or word outside becomes a string, and what
    stands between values is kept.
    """
    if scanner is None:
        return rewrite(kind, text[found.start : found.end])
    made: list[str] = []
    at = found.start
    for start, end, is_inside in scanner.spans(text, found.start, found.end):
        made += (text[at:start], _value(text[start:end], kind, rewrite, is_inside=is_inside))
        at = end
    return "".join(made) + text[at : found.end]


def _value(written: str, kind: str, rewrite: Rewrite, *, is_inside: bool) -> str:
    value = unescaped(written) if is_inside else written
    new = rewrite(kind, value)
    if new == value:
        return written
    return escaped(new) if is_inside else json.dumps(new, ensure_ascii=False)

"""JSON as it arrives: where its strings are, and what its escapes stand for.

Rule: nothing is parsed beyond quotes and escapes, so that JSON that is cut off, or wrong, is a text like any other.
Source: RFC 8259, section 7.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_IN_STRING = re.compile(r'"|\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|["\\/bfnrt])')
_CUT_OFF = re.compile(
    r"\\(?:u[0-9a-fA-F]{0,3}|u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)?\Z"
)
_BARE = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-._")
LONGEST_ESCAPE = 12


class Part(NamedTuple):
    """A run of a JSON text.

    Attributes:
        start: in the text as it came.
        end: behind it.
        value: what it stands for; longer than one character only where it stands for itself.
    """

    start: int
    end: int
    value: str


class JsonScanner:
    """Follows strings and escapes over a text that grows.

    Attributes:
        quotes: where strings begin and end, in the text as it came.
        starts_inside: the text's first character is inside a string.
    """

    __slots__ = ("quotes", "starts_inside")

    def __init__(self) -> None:
        self.quotes: list[int] = []
        self.starts_inside = False

    def is_inside(self, position: int) -> bool:
        """Whether the character there is part of a string; its quotes are not."""
        number = bisect_left(self.quotes, position)
        if number < len(self.quotes) and self.quotes[number] == position:
            return False
        return (number % 2 == 1) != self.starts_inside

    def parts(self, text: str, start: int, *, is_last: bool) -> Iterator[Part]:
        """Runs from ``start`` on, which is inside a string where the quotes so far say so.

        It stops in front of an escape that is cut off, unless the text is at its end.
        """
        inside = (len(self.quotes) % 2 == 1) != self.starts_inside
        while start < len(text):
            if inside:
                part, inside = self._next_inside(text, start, is_last=is_last)
            else:
                part, inside = self._next_outside(text, start)
            if part.start == part.end:
                return
            yield part
            start = part.end

    def _next_outside(self, text: str, start: int) -> tuple[Part, bool]:
        quote = text.find('"', start)
        if quote < 0:
            return Part(start, len(text), text[start:]), False
        self.quotes.append(quote)
        return Part(start, quote + 1, text[start : quote + 1]), True

    def _next_inside(self, text: str, start: int, *, is_last: bool) -> tuple[Part, bool]:
        found = _IN_STRING.search(text, start)
        end = found.start() if found else len(text)
        cut = None if is_last else _CUT_OFF.search(text, max(start, len(text) - LONGEST_ESCAPE), len(text))
        if cut is not None and cut.start() < len(text):
            end = min(end, cut.start())
        if end > start or found is None or (cut is not None and cut.start() <= found.start()):
            return Part(start, end, text[start:end]), True
        if found[0] == '"':
            self.quotes.append(start)
            return Part(start, start + 1, '"'), False
        return Part(start, found.end(), unescaped(found[0])), True

    def drop(self, count: int) -> None:
        """Forget the text's first characters."""
        gone = bisect_left(self.quotes, count)
        self.starts_inside ^= gone % 2 == 1
        self.quotes = [quote - count for quote in self.quotes[gone:]]

    def token(self, text: str, position: int) -> tuple[int, int]:
        """The bare word or number around a position outside of strings: a value like ``-12.5`` or ``true``."""
        start = end = position
        while start > 0 and text[start - 1] in _BARE:
            start -= 1
        while end < len(text) and text[end] in _BARE:
            end += 1
        return start, end

    def cut_token(self, text: str, position: int) -> int:
        """The position, or where the bare word begins that it cuts, or that may still go on behind it."""
        if self.is_inside(position) or (position and self.is_inside(position - 1)):
            return position
        start, end = self.token(text, position)
        return start if start < position <= end and (position < end or end == len(text)) else position

    def spans(self, text: str, start: int, end: int) -> list[tuple[int, int, bool]]:
        """The values in a span: parts of strings, and whole bare words; with whether each is in a string."""
        first = bisect_left(self.quotes, start)
        last = bisect_right(self.quotes, end - 1)
        edges = [start - 1, *self.quotes[first:last], end]
        found: list[tuple[int, int, bool]] = []
        for left, right in pairwise(edges):
            if left + 1 < right:
                found += self._values(text, left + 1, right)
        return found

    def _values(self, text: str, start: int, end: int) -> list[tuple[int, int, bool]]:
        if self.is_inside(start):
            return [(start, end, True)]
        words: list[tuple[int, int, bool]] = []
        while start < end:
            if text[start] in _BARE:
                low, high = self.token(text, start)
                words.append((low, high, False))
                start = high
            start += 1
        return words


def unescaped(text: str) -> str:
    """What a part of a JSON string stands for; itself where it is none."""
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def escaped(text: str) -> str:
    """A text as the inside of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]

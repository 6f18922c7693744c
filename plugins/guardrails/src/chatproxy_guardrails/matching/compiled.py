"""Single rules, tried on a text that may still grow.

Rule: what is skipped here could not have matched, whatever comes; shortcuts save time and change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from chatproxy_guardrails.checks.base import CheckFailedError, Rule
from chatproxy_guardrails.matching.vetting import compiled, vet

LONG_TEXT = 2_000
"""Characters; a search in more runs with its time limit, as does every pattern with nested quantifiers: the limit costs
2 µs a call. A pattern that is tried at one place sees no more than its longest match."""
TINY_TEXT = 16
"""Characters; over so few no pattern that passed its probes takes a moment, so that none needs the limit."""
LONG_WORD = 16
_LONG_WORDS = re.compile(f"[^ ]{{{LONG_WORD},}}")
_LONG_RUN = "x" * LONG_WORD
_RUNS = {code: " " if chr(code) in " \n" else "x" for code in range(128)}
_NEVER = "(?!)"
"""Behind a pattern, it leaves no match but the partial ones: those of which every way on needs more text was tried.
``search`` alone prefers a match further right to a partial one."""


class Raw(NamedTuple):
    """A match, in characters of the view.

    Attributes:
        number: of the rule, in the order of the list.
        start: of the whole match.
        end: behind it.
        low: of what is taken out; -1 where the rule did not accept the match.
        high: behind it.
    """

    number: int
    start: int
    end: int
    low: int
    high: int


class Layout:
    """Where a text has blanks and line ends, found once for all rules.

    Attributes:
        text: what is matched.
    """

    __slots__ = ("_behind", "_words", "_words_from", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._behind: dict[str, int] = {"": 0}
        self._words: list[tuple[int, int]] = []
        self._words_from = -1

    def behind(self, breaks: str) -> int:
        """The position behind the last of these characters; what holds none of them begins there or is complete."""
        found = self._behind.get(breaks)
        if found is None:
            found = self._behind[breaks] = max(self.text.rfind(char) for char in breaks) + 1
        return found

    def long_words(self, start: int, end: int, shortest: int) -> list[tuple[int, int]]:
        """Spans without blank or line end that begin in front of ``end``.

        Args:
            shortest: characters they have at least, `LONG_WORD` or more.
        """
        if not 0 <= self._words_from <= start:
            self._words = list(_long_words(self.text, start))
            self._words_from = start
        words = [(max(low, start), high) for low, high in self._words if high - low >= shortest and low < end]
        return [(low, high) for low, high in words if high - low >= shortest]


def _long_words(text: str, start: int) -> Iterator[tuple[int, int]]:
    """ASCII is mapped and searched faster than a pattern looks for such words."""
    if not text.isascii():
        rest = text[start:].replace("\n", " ")
        for found in _LONG_WORDS.finditer(rest):
            yield start + found.start(), start + found.end()
        return
    runs = text.translate(_RUNS)
    low = runs.find(_LONG_RUN, start)
    while low >= 0:
        high = runs.find(" ", low + LONG_WORD)
        high = len(text) if high < 0 else high
        yield low, high
        low = runs.find(_LONG_RUN, high)


class CompiledRule:
    """One rule, vetted; compiled when a text first asks for it, because a table has hundreds.

    Attributes:
        number: in the order of the list.
        rule: as it was given.
        lookbehind: characters in front of a match that it looks at.
        solid: characters from a match's beginning among which there is no blank.

    Raises:
        ValueError: it cannot be used on streams.
    """

    __slots__ = (
        "_is_timed",
        "_is_word",
        "_pattern",
        "_shape",
        "_timeout_s",
        "_unfinished",
        "lookbehind",
        "number",
        "rule",
        "solid",
    )

    def __init__(self, number: int, rule: Rule, timeout_s: float) -> None:
        shape = vet(rule)
        self.number = number
        self.rule = rule
        self.lookbehind = shape.lookbehind
        self.solid = shape.shortest if " " in shape.breaks else 0
        self._shape = shape
        self._is_timed = shape.is_nested or shape.length >= LONG_TEXT
        self._is_word = shape.breaks == " \n" and shape.shortest >= LONG_WORD
        self._timeout_s = timeout_s
        self._pattern: Any = None
        self._unfinished: Any = None

    def _ready(self) -> Any:
        self._pattern = compiled(self.rule)
        return self._pattern

    def _at(self, text: str, start: int, *, partial: bool) -> Any:
        """The match that begins there, or a partial one."""
        pattern = self._pattern or self._ready()
        if not self._is_timed:
            return pattern.match(text, start, partial=partial)
        return self._limited(pattern.match, text, start, len(text), partial=partial)

    def _search(self, text: str, start: int, end: int, *, partial: bool = False) -> Any:
        """The first match, or partial match, in a part of the text."""
        pattern = self._pattern or self._ready()
        if not self._shape.is_nested and end - start < LONG_TEXT:
            return pattern.search(text, start, end, partial=partial)
        return self._limited(pattern.search, text, start, end, partial=partial)

    def _open(self, text: str, start: int, *, is_search: bool) -> Any:
        """A partial match of which every way on needs more text."""
        if self._unfinished is None:
            self._unfinished = compiled(self.rule, suffix=_NEVER)
        call = self._unfinished.search if is_search else self._unfinished.match
        return self._limited(call, text, start, len(text), partial=True)

    def _limited(self, call: Any, text: str, start: int, end: int, *, partial: bool) -> Any:
        try:
            return call(text, start, end, partial=partial, timeout=self._timeout_s)
        except TimeoutError as exc:
            raise CheckFailedError(f"rule {self.rule.kind!r} took over {self._timeout_s} s on a text") from exc

    def is_open(self, text: str, start: int) -> bool:
        """Whether a match from there could come or go once there is more text, or reaches to the text's end."""
        match = self._at(text, start, partial=True)
        return match is not None and self._may_change(match, text)

    def _may_change(self, match: Any, text: str) -> bool:
        if match.partial or match.end() == len(text):
            return True
        return self._open(text, match.start(), is_search=False) is not None

    def follow(self, layout: Layout, start: int, raws: list[Raw], *, is_last: bool) -> int:
        """Note every certain match from ``start`` on; gives the first open position, or the text's length."""
        text = layout.text
        if is_last:
            return self._sweep(layout, start, len(text), raws)
        if len(text) - start <= TINY_TEXT:
            pattern = self._pattern or self._ready()
            match = pattern.search(text, start, partial=True)
        else:
            start = self._sweep(layout, start, self._far(layout), raws)
            match = self._search(text, start, len(text), partial=True)
        if match is None:
            return len(text)
        if match.partial:  # then there is no whole one
            return int(match.start())
        return self._follow_end(text, start, raws)

    def _follow_end(self, text: str, start: int, raws: list[Raw]) -> int:
        """`follow`, where matches may be open."""
        first = -1
        while True:
            if first < start:
                first = self._first_open(text, start)
            if first == start:
                return start
            match = self._search(text, start, len(text))
            if match is None or match.start() >= first:
                return first
            if match.end() == len(text):  # what asks for the text's end may be wrong about it
                return int(match.start())
            raws.append(self._raw(match))
            start = match.end()

    def _first_open(self, text: str, start: int) -> int:
        match = self._open(text, start, is_search=True)
        return len(text) if match is None else int(match.start())

    def _far(self, layout: Layout) -> int:
        """A position in front of which none is open: too far from the end, or with a blank behind that no match has."""
        return max(len(layout.text) - self._shape.length, layout.behind(self._shape.breaks))

    def _sweep(self, layout: Layout, start: int, far: int, raws: list[Raw]) -> int:
        """Note the matches that begin before ``far``, where the end is too far away for any to be open."""
        if start >= far:
            return start
        for match in self._candidates(layout, start, far):
            if match.start() >= far:
                break
            raws.append(self._raw(match))
            start = match.end()
        return max(start, far)

    def _candidates(self, layout: Layout, start: int, far: int) -> Iterator[Any]:
        text = layout.text
        if self._is_word:
            for low, high in layout.long_words(start, far, self._shape.shortest):
                yield from self._matches(text, low, min(high + 1, len(text)))  # one more is looked ahead at
        elif self._shape.gate is None:
            yield from self._matches(text, start, len(text))
        else:
            yield from self._gated(text, start)

    def _matches(self, text: str, start: int, end: int) -> Iterator[Any]:
        while (match := self._search(text, start, end)) is not None:
            yield match
            start = match.end()

    def _gated(self, text: str, start: int) -> Iterator[Any]:
        offset = self._shape.gate_offset
        for place in self._shape.gate.finditer(text, start):
            if place.start() - offset >= start:
                match = self._at(text, place.start() - offset, partial=False)
                if match is not None:
                    yield match
                    start = match.end()

    def at(self, layout: Layout, start: int, *, is_last: bool) -> Raw | bool:
        """The certain match that begins there; otherwise whether the position is open."""
        text = layout.text
        is_near = start + self._shape.length >= len(text) and start >= layout.behind(self._shape.breaks)
        match = self._at(text, start, partial=is_near and not is_last)
        if match is None:
            return False
        if is_near and not is_last and self._may_change(match, text):
            return True
        return self._raw(match)

    def _raw(self, match: Any) -> Raw:
        low, high = match.span(self.rule.group)
        if low == high or not (self.rule.accept is None or self.rule.accept(match)):
            low = high = -1
        return Raw(self.number, match.start(), match.end(), low, high)

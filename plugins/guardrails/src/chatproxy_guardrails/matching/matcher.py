"""Matcher: all rules of a check, ready to be tried on texts that arrive in pieces.

Rule: a position of a text is *open* while some rule could match from there, or match otherwise, once more text comes:
exactly while the rest of the text is a prefix of what the rule matches, which ``regex`` tells by a partial match. What
is in front of the first open position can never change. A dead position stays dead, so each is tried once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import ahocorasick

from chatproxy_guardrails.checks.base import CheckFailedError, Finding, Rule
from chatproxy_guardrails.matching.table import HOMOGLYPHS, lowered
from chatproxy_guardrails.matching.vetting import compiled, vet

LONG_TEXT = 2_000
"""Characters; from there on every pattern runs with its time limit, below it only those with nested quantifiers: the
limit costs 2 µs a call."""
_SHORT_TEXT = 32
_MIN_CONTEXT = 64
_NEVER = "(?!)"
"""Behind a pattern, it leaves no match but the partial ones: those of which every way on needs more text was tried.
``search`` alone prefers a match further right to a partial one."""
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_SCRIPT = re.compile(r"\\[pP]\{")


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


class Progress:
    """How far one text was matched by one `RuleSet`, in characters of its view.

    Attributes:
        raws: matches that are certain and were not taken yet.
    """

    __slots__ = ("blocker", "cursors", "ends", "keys_from", "raws")

    def __init__(self, count: int) -> None:
        self.raws: list[Raw] = []
        self.cursors = [0] * count
        self.keys_from = 0
        self.ends: dict[int, int] = {}
        self.blocker: tuple[_Compiled, int] | None = None

    def drop(self, count: int) -> None:
        """The view's first characters are gone."""
        self.raws = [Raw(raw[0], *(place - count if place >= 0 else -1 for place in raw[1:])) for raw in self.raws]
        self.cursors = [cursor - count for cursor in self.cursors]
        self.keys_from -= count
        self.ends = {number: end - count for number, end in self.ends.items() if end > count}
        if self.blocker is not None:
            self.blocker = (self.blocker[0], self.blocker[1] - count)


class _Compiled:
    """One rule, compiled."""

    __slots__ = (
        "_is_timed",
        "_match",
        "_open_at",
        "_open_from",
        "_search",
        "_shape",
        "_timeout_s",
        "lookbehind",
        "number",
        "rule",
    )

    def __init__(self, number: int, rule: Rule, timeout_s: float) -> None:
        shape = vet(rule)
        pattern = compiled(rule)
        self.number = number
        self.rule = rule
        self.lookbehind = shape.lookbehind
        self._shape = shape
        self._is_timed = shape.is_nested
        self._timeout_s = timeout_s
        self._search = pattern.search
        self._match = pattern.match
        unfinished = compiled(rule, suffix=_NEVER)
        self._open_at = unfinished.match
        self._open_from = unfinished.search

    def _run(self, call: Any, text: str, start: int, *, partial: bool) -> Any:
        if not self._is_timed and len(text) - start < LONG_TEXT:
            return call(text, start, partial=partial)
        try:
            return call(text, start, partial=partial, timeout=self._timeout_s)
        except TimeoutError as exc:
            raise CheckFailedError(f"rule {self.rule.kind!r} took over {self._timeout_s} s on a text") from exc

    def is_open(self, text: str, start: int) -> bool:
        """Whether a match from there could come or go once there is more text, or reaches to the text's end."""
        if self._run(self._open_at, text, start, partial=True) is not None:
            return True
        match = self._run(self._match, text, start, partial=False)
        return match is not None and bool(match.end() == len(text))

    def follow(self, text: str, start: int, raws: list[Raw], *, is_last: bool) -> int:
        """Note every certain match from ``start`` on; gives the first open position, or the text's length."""
        if is_last:
            return self._sweep(text, start, len(text), raws)
        far = self._far(text, start)
        if start < far:
            start = self._sweep(text, start, far, raws)
        first = -1
        while True:
            if first < start:
                first = self._first_open(text, start)
            if first == start:
                return start
            match = self._run(self._search, text, start, partial=False)
            if match is None or match.start() >= first:
                return first
            if match.end() == len(text):  # what asks for the text's end may be wrong about it
                return int(match.start())
            raws.append(self._raw(match))
            start = match.end()

    def _first_open(self, text: str, start: int) -> int:
        match = self._run(self._open_from, text, start, partial=True)
        return len(text) if match is None else int(match.start())

    def _far(self, text: str, start: int) -> int:
        """A position in front of which none is open: too far from the end, or with a blank behind that no match has."""
        far = len(text) - self._shape.length
        if len(text) - start > _SHORT_TEXT:
            far = max([far, *(text.rfind(char, start) + 1 for char in self._shape.breaks)])
        return far

    def _sweep(self, text: str, start: int, far: int, raws: list[Raw]) -> int:
        """Note the matches that begin before ``far``, where the end is too far away for any to be open."""
        for match in self._candidates(text, start):
            if match.start() >= far:
                break
            raws.append(self._raw(match))
            start = match.end()
        return max(start, far)

    def _candidates(self, text: str, start: int) -> Iterator[Any]:
        gate, offset = self._shape.gate, self._shape.gate_offset
        if gate is None:
            while (match := self._run(self._search, text, start, partial=False)) is not None:
                yield match
                start = match.end()
            return
        for place in gate.finditer(text, start):
            if place.start() - offset >= start:
                match = self._run(self._match, text, place.start() - offset, partial=False)
                if match is not None:
                    yield match
                    start = match.end()

    def at(self, text: str, start: int, *, is_last: bool) -> Raw | bool:
        """The certain match that begins there; otherwise whether the position is open."""
        if not is_last and start + self._shape.length >= len(text) and self.is_open(text, start):
            return True
        match = self._run(self._match, text, start, partial=False)
        return match is not None and self._raw(match)

    def _raw(self, match: Any) -> Raw:
        low, high = match.span(self.rule.group)
        if low == high or not (self.rule.accept is None or self.rule.accept(match)):
            low = high = -1
        return Raw(self.number, match.start(), match.end(), low, high)


class RuleSet:
    """Rules that look at the same view of a text."""

    def __init__(self, rules: Sequence[_Compiled]) -> None:
        self._unkeyed = [rule for rule in rules if not rule.rule.keywords]
        self._automaton: Any = None
        self._heads: frozenset[str] = frozenset()
        self._head_lengths: dict[str, tuple[int, ...]] = {}
        self._index([rule for rule in rules if rule.rule.keywords])

    def _index(self, rules: Sequence[_Compiled]) -> None:
        """Build the automaton over keywords, and the table of their beginnings."""
        by_keyword: dict[str, list[_Compiled]] = defaultdict(list)
        for rule in rules:
            for keyword in {lowered(keyword) for keyword in rule.rule.keywords}:
                by_keyword[keyword].append(rule)
        if not by_keyword:
            return
        self._automaton = ahocorasick.Automaton()
        for keyword, keyed in by_keyword.items():
            self._automaton.add_word(keyword, (len(keyword) - 1, tuple(keyed)))
        self._automaton.make_automaton()
        self._heads = frozenset(keyword[:end] for keyword in by_keyword for end in range(1, len(keyword)))
        lengths: dict[str, set[int]] = defaultdict(set)
        for head in self._heads:
            lengths[head[-1]].add(len(head))
        self._head_lengths = {char: tuple(sorted(found, reverse=True)) for char, found in lengths.items()}

    def progress(self) -> Progress:
        """For a text that begins."""
        return Progress(len(self._unkeyed))

    def survey(self, text: str, progress: Progress, *, is_last: bool) -> int:
        """Note certain matches in ``progress``; gives the first open position, or the text's length."""
        cursors = progress.cursors
        first = len(text)
        for number, rule in enumerate(self._unkeyed):
            cursors[number] = cursor = rule.follow(text, cursors[number], progress.raws, is_last=is_last)
            first = min(first, cursor)
        if self._automaton is not None:
            first = min(first, self._survey_keyed(text, progress, is_last=is_last))
        return first

    def _survey_keyed(self, text: str, progress: Progress, *, is_last: bool) -> int:
        if progress.blocker is not None and not is_last:
            rule, start = progress.blocker
            if rule.is_open(text, start):
                return start
        progress.blocker = None
        low = lowered(text[progress.keys_from :])
        first = len(text) if is_last else len(text) - self._head_length(low)
        for start, rules in self._hits(low, progress.keys_from):
            if start >= first:  # a longer keyword may still turn out to begin before it
                break
            blocker = self._try(text, start, rules, progress, is_last=is_last)
            if blocker is not None:
                progress.blocker = (blocker, start)
                first = start
                break
        progress.keys_from = first
        return first

    def _hits(self, low: str, offset: int) -> list[tuple[int, list[_Compiled]]]:
        """Where keywords begin, with the rules that want them there, in the order of the text."""
        hits: dict[int, dict[int, _Compiled]] = {}
        for last, (length, rules) in self._automaton.iter(low):
            wanting = hits.setdefault(last - length + offset, {})
            for rule in rules:
                wanting[rule.number] = rule
        return [(start, list(hits[start].values())) for start in sorted(hits)]

    @staticmethod
    def _try(
        text: str, start: int, rules: Iterable[_Compiled], progress: Progress, *, is_last: bool
    ) -> _Compiled | None:
        """Try rules at one position; gives the first one that is open there, and then notes nothing."""
        raws: list[Raw] = []
        for rule in rules:
            if start < progress.ends.get(rule.number, 0):
                continue
            found = rule.at(text, start, is_last=is_last)
            if found is True:
                return rule
            if isinstance(found, Raw):
                raws.append(found)
        progress.raws += raws
        progress.ends.update((raw.number, raw.end) for raw in raws)
        return None

    def _head_length(self, low: str) -> int:
        """How long the longest end of the text is that begins a keyword."""
        for length in self._head_lengths.get(low[-1:], ()):
            if low[-length:] in self._heads and length <= len(low):
                return length
        return 0


class Matcher:
    """Rules, vetted and compiled; immutable, shared by all texts.

    Attributes:
        rules: in the order in which they win where findings overlap.
        context: characters of the view in front of a position that matching there may look at.
        folded: rules that see look-alikes as Latin letters.
        literal: rules that are written in letters of other scripts, so that they see those as they are.
        literals: their numbers.

    Raises:
        ValueError: a rule cannot be used on streams; the message names its kind and its number, from 0.
    """

    def __init__(self, rules: Sequence[Rule], *, timeout_s: float = 2.0) -> None:
        self.rules = tuple(rules)
        known: list[_Compiled] = []
        for number, rule in enumerate(self.rules):
            try:
                known.append(_Compiled(number, rule, timeout_s))
            except ValueError as exc:
                raise ValueError(f"rule number {number}: {exc}") from exc
        self.context = max([_MIN_CONTEXT, *(rule.lookbehind for rule in known)]) + 1
        self.literals = frozenset(rule.number for rule in known if _is_literal(rule.rule))
        self.folded = RuleSet([rule for rule in known if rule.number not in self.literals])
        self.literal = RuleSet([rule for rule in known if rule.number in self.literals])

    def scan(self, text: str, start: int = 0) -> list[tuple[int, int, Finding | None]]:
        """All matches of a whole text from ``start`` on; None for those that their rule did not accept.

        Args:
            text: normalised; see `normalise`.
        """
        raws, _ = self._survey(text, start, is_last=True)
        return [
            (raw.start, raw.end, Finding(raw.low, raw.high, self.rules[raw.number].kind) if raw.low >= 0 else None)
            for raw in sorted(raws, key=lambda raw: (raw.start, raw.number))
        ]

    def open_from(self, text: str, start: int = 0) -> int:
        """The first position from ``start`` on that is open; the text's length where none is."""
        return self._survey(text, start, is_last=False)[1]

    def _survey(self, text: str, start: int, *, is_last: bool) -> tuple[list[Raw], int]:
        raws: list[Raw] = []
        first = len(text)
        for rules in (self.folded, self.literal):
            progress = rules.progress()
            progress.cursors = [start] * len(progress.cursors)
            progress.keys_from = start
            first = min(first, rules.survey(text, progress, is_last=is_last))
            raws += progress.raws
        return raws, first


def _is_literal(rule: Rule) -> bool:
    """Whether a rule names letters that folding would take away."""
    written = _ESCAPE.sub(lambda found: chr(int(found[1] or found[2] or found[3], 16)), rule.pattern)
    return _SCRIPT.search(written) is not None or any(
        char.isalpha() and ord(char) in HOMOGLYPHS for char in written + "".join(rule.keywords)
    )

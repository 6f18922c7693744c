"""Matcher: all rules of a check, ready to be tried on texts that arrive in pieces.

Rule: a position of a text is *open* while some rule could match from there, or match otherwise, once more text comes:
exactly while the rest of the text is a prefix of what the rule matches, which ``regex`` tells by a partial match. What
is in front of the first open position can never change. A dead position stays dead, so each is tried once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import ahocorasick

from chatproxy_guardrails.checks.base import Finding, Rule
from chatproxy_guardrails.matching.compiled import CompiledRule, Layout, Raw
from chatproxy_guardrails.matching.table import HOMOGLYPHS, lowered

_MIN_CONTEXT = 64
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_SCRIPT = re.compile(r"\\[pP]\{")


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
        self.blocker: tuple[CompiledRule, int] | None = None

    def drop(self, count: int) -> None:
        """The view's first characters are gone."""
        self.raws = [Raw(raw[0], *(place - count if place >= 0 else -1 for place in raw[1:])) for raw in self.raws]
        self.cursors = [cursor - count for cursor in self.cursors]
        self.keys_from -= count
        self.ends = {number: end - count for number, end in self.ends.items() if end > count}
        if self.blocker is not None:
            self.blocker = (self.blocker[0], self.blocker[1] - count)


class RuleSet:
    """Rules that look at the same view of a text."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._unkeyed = [rule for rule in rules if not rule.rule.keywords]
        self._automaton: Any = None
        self._heads: frozenset[str] = frozenset()
        self._head_lengths: dict[str, tuple[int, ...]] = {}
        self._index([rule for rule in rules if rule.rule.keywords])

    def _index(self, rules: Sequence[CompiledRule]) -> None:
        """Build the automaton over keywords, and the table of their beginnings."""
        by_keyword: dict[str, list[CompiledRule]] = defaultdict(list)
        for rule in rules:
            for keyword in {lowered(keyword) for keyword in rule.rule.keywords}:
                by_keyword[keyword].append(rule)
        if not by_keyword:
            return
        self._automaton = ahocorasick.Automaton()
        for keyword, keyed in by_keyword.items():
            solid = min(rule.solid for rule in keyed)
            self._automaton.add_word(keyword, (len(keyword) - 1, solid, tuple(keyed)))
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
        layout = Layout(text)
        for number, rule in enumerate(self._unkeyed):
            cursors[number] = cursor = rule.follow(layout, cursors[number], progress.raws, is_last=is_last)
            first = min(first, cursor)
        if self._automaton is not None:
            first = min(first, self._survey_keyed(layout, progress, is_last=is_last))
        return first

    def _survey_keyed(self, layout: Layout, progress: Progress, *, is_last: bool) -> int:
        text = layout.text
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
            blocker = self._try(layout, start, rules, progress, is_last=is_last)
            if blocker is not None:
                progress.blocker = (blocker, start)
                first = start
                break
        progress.keys_from = first
        return first

    def _hits(self, low: str, offset: int) -> list[tuple[int, list[CompiledRule]]]:
        """Where keywords begin, with the rules that want them there, in the order of the text.

        Where a blank follows too soon for any of these rules, there is no hit.
        """
        hits: dict[int, dict[int, CompiledRule]] = {}
        for last, (length, solid, rules) in self._automaton.iter(low):
            start = last - length
            if solid and low.find(" ", start, start + solid) >= 0:
                continue
            wanting = hits.setdefault(start + offset, {})
            for rule in rules:
                wanting[rule.number] = rule
        return [(start, list(hits[start].values())) for start in sorted(hits)]

    @staticmethod
    def _try(
        layout: Layout, start: int, rules: Iterable[CompiledRule], progress: Progress, *, is_last: bool
    ) -> CompiledRule | None:
        """Try rules at one position; gives the first one that is open there, and then notes nothing."""
        raws: list[Raw] = []
        for rule in rules:
            if start < progress.ends.get(rule.number, 0):
                continue
            found = rule.at(layout, start, is_last=is_last)
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
        known: list[CompiledRule] = []
        for number, rule in enumerate(self.rules):
            try:
                known.append(CompiledRule(number, rule, timeout_s))
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

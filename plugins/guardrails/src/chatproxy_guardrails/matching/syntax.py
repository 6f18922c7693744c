"""Syntax trees of patterns: how long a match can get, and how far it looks around.

Rule: read only; nothing here runs a pattern. The tree comes from the parser of the ``regex`` package, the only one that
knows all of its syntax; that parser is not part of its public interface, so its names stand in this module alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import regex

_core: Any = importlib.import_module("regex._regex_core")


def _private(name: str) -> Any:
    return getattr(_core, f"_{name}")


_parse: Callable[..., Any] = _private("parse_pattern")
_FlagsForAll: type[Exception] = _private("UnscopedFlagSet")
UNLIMITED = 1 << 30
_MAX_LEADS = 8
_MAX_STEMS = 4
_LONG_REPEAT = 8
_SAMPLES = 'aA0-_ .,:=/+@"\n'
_QUANTIFIERS = frozenset({"GreedyRepeat", "LazyRepeat", "PossessiveRepeat"})
_ASCII = "".join(map(chr, range(128)))
_REFUSED = {
    "CallGroup": "recursion",
    "CallRef": "recursion",
    "DefaultBoundary": "the flag w",
    "DefaultEndOfWord": "the flag w",
    "DefaultStartOfWord": "the flag w",
    "EndOfStringLine": r"'$', which depends on what follows; write \Z or a lookahead",
    "EndOfStringLineU": r"'$', which depends on what follows; write \Z or a lookahead",
    "Fuzzy": "fuzzy matching",
    "Grapheme": r"\X",
    "GraphemeBoundary": r"\X",
    "Keep": r"\K; name a group instead",
    "Prune": "(*PRUNE)",
    "SearchAnchor": r"\G",
    "Skip": "(*SKIP)",
}


class Width(NamedTuple):
    """The shortest and the longest match of a part, in characters."""

    low: int
    high: int


class CharSet(NamedTuple):
    """Which characters may stand at a place.

    Attributes:
        ascii: those of ASCII.
        others: whether any other may.
    """

    ascii: str
    others: bool


class Tree:
    """A pattern's syntax tree, measured.

    Attributes:
        width: of its matches; `UNLIMITED` or more where there is no end.
        behind: characters in front of a match that it looks at.
        ahead: characters behind a match, or a part of one, that it looks at.
        is_nested: a quantifier stands inside another, and neither has a fixed count.
        groups: names and numbers of its groups.
        breaks: which of blank and line end no match holds.

    Raises:
        ValueError: it uses what cannot be matched on a stream.
    """

    def __init__(self, pattern: str, flags: int) -> None:
        self.behind = 0
        self.ahead = 0
        self.is_nested = False
        self._characters: list[str] = []
        self.breaks = " \n"
        self._groups: dict[str, Width] = {}
        self._depth = 0
        self._measures: dict[str, Callable[[Any], Width]] = {
            "Sequence": self._sequence,
            "Branch": self._branch,
            "GreedyRepeat": self._repeat,
            "LazyRepeat": self._repeat,
            "PossessiveRepeat": self._repeat,
            "Group": self._group,
            "Atomic": self._group,
            "RefGroup": self._reference,
            "LookAround": self._look_around,
            "Conditional": self._condition,
            "LookAroundConditional": self._condition,
        }
        self._root, info = _parsed(pattern, flags)
        if info.flags & (_core.FULLCASE | _core.REVERSE | _core.POSIX | _core.LOCALE | _core.WORD):
            raise ValueError("the flags f, r, p, L and w are not possible")
        self.groups: set[int | str] = {*range(info.group_count + 1), *info.group_index}
        self._names = {str(number): name for name, number in info.group_index.items()}
        self.width = self._width(self._root)
        self._leads: list[CharSet] = []
        self._stems: list[str] = []

    @property
    def leads(self) -> list[CharSet]:
        """What its matches begin with, as far as it is a fixed row of single characters."""
        if not self._leads:
            self._lead(self._root)
        return self._leads

    def samples(self) -> tuple[list[str], list[str], str]:
        """For probes: characters that it matches, texts that it matches up to a long repetition, a short match."""
        match = self._sample(self._root, "")
        return list(dict.fromkeys(self._characters)), list(dict.fromkeys(self._stems))[:_MAX_STEMS], match

    def _width(self, node: Any) -> Width:
        name = type(node).__name__
        if name in _REFUSED:
            raise ValueError(f"{_REFUSED[name]} is not possible")
        measure = self._measures.get(name)
        if measure is not None:
            return measure(node)
        width = min(int(node.max_width()), UNLIMITED)
        if width and not hasattr(node, "matches"):
            self.breaks = ""
        elif width:
            self.breaks = "".join(char for char in self.breaks if not node.matches(ord(char)))
        return Width(width, width)

    def _sequence(self, node: Any) -> Width:
        widths = [self._width(item) for item in node.items]
        return Width(sum(width.low for width in widths), sum(width.high for width in widths))

    def _branch(self, node: Any) -> Width:
        return _either([self._width(branch) for branch in node.branches])

    def _repeat(self, node: Any) -> Width:
        most = UNLIMITED if node.max_count is None else node.max_count
        self.is_nested |= most != node.min_count and self._depth > 0
        self._depth += most > 1
        low, high = self._width(node.subpattern)
        self._depth -= most > 1
        return Width(low * node.min_count, min(high * most, UNLIMITED))

    def _group(self, node: Any) -> Width:
        width = self._width(node.subpattern)
        number = str(getattr(node, "group", ""))
        self._groups[number] = self._groups[self._names.get(number, number)] = width
        return width

    def _reference(self, node: Any) -> Width:
        return Width(0, self._groups.get(str(node.group), Width(0, UNLIMITED)).high)

    def _look_around(self, node: Any) -> Width:
        outer = self.ahead
        self.ahead = 0
        width = self._width(node.subpattern).high
        if not node.behind:
            self.ahead = max(outer, width + self.ahead)
        elif self.ahead:
            raise ValueError("a lookbehind that looks ahead is not possible")
        else:
            self.ahead = outer
            self.behind = max(self.behind, width)
        return Width(0, 0)

    def _condition(self, node: Any) -> Width:
        if hasattr(node, "subpattern"):
            self._look_around(node)
        return _either([self._width(node.yes_item), self._width(node.no_item)])

    def _lead(self, node: Any) -> bool:
        """Note what a part begins with; whether that is all of it, so that the next part may follow."""
        name = type(node).__name__
        if name == "Sequence":
            return all(self._lead(item) for item in node.items)
        if name in {"Group", "Atomic"}:
            return self._lead(node.subpattern)
        if name in _QUANTIFIERS:
            return all(self._lead(node.subpattern) for _ in range(node.min_count)) and node.min_count == node.max_count
        if name == "LookAround" or (hasattr(node, "max_width") and node.max_width() == 0):
            return True
        if len(self._leads) == _MAX_LEADS or not (hasattr(node, "matches") and node.max_width() == 1):
            return False
        self._leads.append(_char_set(node))
        return True

    def _sample(self, node: Any, before: str) -> str:
        """The text with a short match of the node behind it; notes where long repetitions begin."""
        name = type(node).__name__
        if name == "Sequence":
            for item in node.items:
                before = self._sample(item, before)
            return before
        if name == "Branch":
            first, *_ = [self._sample(branch, before) for branch in node.branches]
            return first
        if name in {"Group", "Atomic"}:
            return self._sample(node.subpattern, before)
        if name in _QUANTIFIERS:
            return self._sample_repeat(node, before)
        self._collect(node)
        return before + _character(node) if hasattr(node, "matches") and node.max_width() == 1 else before

    def _collect(self, node: Any) -> None:
        for value in (getattr(node, "lower", None), getattr(node, "value", None)):
            if isinstance(value, int) and value < 0x110000 and type(node).__name__ != "Property":
                self._characters.append(chr(value))
        for item in getattr(node, "items", ())[:4]:
            self._collect(item)

    def _sample_repeat(self, node: Any, before: str) -> str:
        if node.max_count is None or node.max_count - node.min_count >= _LONG_REPEAT:
            self._stems.append(before)
        once = self._sample(node.subpattern, before)
        return before + once[len(before) :] * int(node.min_count)


def _character(node: Any) -> str:
    own = getattr(node, "value", None)
    codes = [own] if isinstance(own, int) and own < 0x110000 else []
    return next((chr(code) for code in [*codes, *map(ord, _SAMPLES + _ASCII)] if node.matches(code)), "")


def _either(widths: list[Width]) -> Width:
    return Width(min(width.low for width in widths), max(width.high for width in widths))


def _char_set(node: Any) -> CharSet:
    found = "".join(char for char in _ASCII if node.matches(ord(char)) or node.matches(ord(char.swapcase())))
    return CharSet(found, others=not _is_ascii(node))


def _is_ascii(node: Any) -> bool:
    """Whether a node surely matches nothing beyond ASCII."""
    if not node.positive or node.case_flags:
        return False
    if type(node).__name__ == "SetUnion":
        return all(_is_ascii(item) for item in node.items)
    if type(node).__name__ == "Character":
        return bool(node.value < 128)
    return type(node).__name__ == "Range" and bool(node.upper < 128)


def _parsed(pattern: str, flags: int) -> tuple[Any, Any]:
    """The tree and what goes with it; once more where the pattern itself sets flags for the whole of it.

    Raises:
        regex.error: it is no pattern.
    """
    while True:
        source = _core.Source(pattern)
        info = _core.Info(flags, source.char_type, {})
        info.guess_encoding = _core.UNICODE
        source.ignore_space = bool(info.flags & _core.VERBOSE)
        try:
            tree = _parse(source, info)
        except _FlagsForAll:
            flags = info.global_flags
            continue
        if not source.at_end():
            raise regex.error("unbalanced parenthesis", pattern, source.pos)
        tree.fix_groups(pattern, False, False)
        return tree, info

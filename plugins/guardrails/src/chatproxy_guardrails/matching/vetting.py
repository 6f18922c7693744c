"""Vetting: which patterns may be used on texts that arrive in pieces.

Rule: a pattern is judged by its syntax and by short probes, never by its author. What passes has a finite length, looks
behind and ahead only as far as a stream can show, and takes no more than a moment on strings made to stall it.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, product
from typing import Any, NamedTuple

import regex

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.matching.syntax import CharSet, Tree

MAX_LENGTH = 12_000
MAX_LOOKAHEAD = 1
MAX_LOOKBEHIND = 64
MAX_PATTERN = 500_000
PROBE_TIMEOUT_S = 0.1
PROBE_CHARS = 400
PROBE_LINES = 40
_PROVEN: set[tuple[str, int]] = set()
_COMMON = frozenset(" abcdefghijklmnopqrstuvwxyz")
_BASE64_LINE = f"{string.ascii_uppercase}/{string.ascii_lowercase}+{string.digits}\n"
_ALPHABET = ("a", "0", " ", ".", "-", "A", "_", "@", "/", "\n")


class Shape(NamedTuple):
    """What is known about a pattern that passed.

    Attributes:
        length: characters of the longest match, with what it looks ahead at.
        shortest: characters of the shortest match.
        lookbehind: characters in front of a match that it looks at.
        is_nested: a quantifier stands inside another, so that it always runs with a time limit.
        breaks: which of blank and line end no match holds.
        gate: a quick pattern for one rare character that every match has at a fixed place; None where there is none.
        gate_offset: that place, in characters from the beginning of the match.
        groups: numbers and names of groups.
    """

    length: int
    shortest: int
    lookbehind: int
    is_nested: bool
    breaks: str
    gate: Any
    gate_offset: int
    groups: frozenset[int | str]


def compiled(rule: Rule, *, suffix: str = "") -> Any:
    """The rule's pattern, compiled.

    Args:
        suffix: a pattern that must follow.

    Raises:
        ValueError: it is no pattern.
    """
    try:
        return _compile(f"(?:{rule.pattern}){suffix}" if suffix else rule.pattern, _flags(rule))
    except (regex.error, ValueError, OverflowError) as exc:
        raise ValueError(f"rule {rule.kind!r}: {exc}") from exc


@lru_cache(maxsize=8192)
def _compile(pattern: str, flags: int) -> Any:
    """The package keeps no more than 500 patterns, which is less than a table of secrets has."""
    return regex.compile(pattern, flags, cache_pattern=False)


def vet(rule: Rule) -> Shape:
    """Check that a rule can be used on streams.

    Raises:
        ValueError: it cannot; the message names the kind and says what to change.
    """
    if not all(rule.keywords):
        raise ValueError(f"rule {rule.kind!r}: a keyword is empty")
    try:
        shape = _vetted(rule.pattern, _flags(rule), rule.keywords[:8])
    except (regex.error, ValueError, OverflowError) as exc:
        raise ValueError(f"rule {rule.kind!r}: {exc}") from exc
    if rule.group not in shape.groups:
        raise ValueError(f"rule {rule.kind!r}: there is no group {rule.group!r}")
    return shape


def skip_probes(rules: Iterable[Rule]) -> None:
    """Take it that these patterns are quick: this package's own, which its tests probe. All else is still vetted."""
    _PROVEN.update((rule.pattern, _flags(rule)) for rule in rules)


def probe(rule: Rule) -> None:
    """Run the rule's pattern on texts made to stall it.

    Raises:
        ValueError: it takes too long.
    """
    _probe_pattern(rule.pattern, _flags(rule), rule.keywords[:8], Tree(rule.pattern, _flags(rule)))


def _probe_pattern(pattern: str, flags: int, keywords: tuple[str, ...], tree: Tree) -> None:
    found = _compile(pattern, flags)
    _probe(found.match if keywords else found.search, _adversaries(tree, keywords))


def _flags(rule: Rule) -> int:
    return int(regex.VERSION0 | (regex.IGNORECASE if rule.ignore_case else 0))


@lru_cache(maxsize=8192)
def _vetted(pattern: str, flags: int, keywords: tuple[str, ...]) -> Shape:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"the pattern has {len(pattern):,} characters; at most {MAX_PATTERN:,} are possible")
    tree = Tree(pattern, flags)
    if tree.width.low == 0:
        raise ValueError("it matches the empty text; let it need a character")
    if tree.width.high > MAX_LENGTH:
        raise ValueError(
            f"its matches may be longer than {MAX_LENGTH:,} characters; "
            "write {0,200} instead of *, {1,200} instead of +"
        )
    if tree.behind > MAX_LOOKBEHIND:
        raise ValueError(f"it looks behind over more than {MAX_LOOKBEHIND} characters")
    if tree.ahead > MAX_LOOKAHEAD:
        raise ValueError("it looks ahead over more than one character; match what follows, and name a group")
    if (pattern, flags) not in _PROVEN:
        _probe_pattern(pattern, flags, keywords, tree)
    gate, gate_offset = (None, 0) if keywords else _gate(tree.leads)
    return Shape(
        length=tree.width.high + max(tree.ahead, 1),
        shortest=tree.width.low,
        lookbehind=tree.behind,
        is_nested=tree.is_nested,
        breaks=tree.breaks,
        gate=gate,
        gate_offset=gate_offset,
        groups=frozenset(tree.groups),
    )


def _gate(leads: Sequence[CharSet]) -> tuple[Any, int]:
    """A pattern for the first rare place behind a common one; the package itself finds those that begin with one."""
    for offset, lead in enumerate(leads):
        if not lead.others and _COMMON.isdisjoint(lead.ascii):
            if offset == 0:
                break
            before = "".join(map(_written, leads[: offset + 1]))
            behind = "".join(map(_written, leads[offset + 1 :]))
            return regex.compile(f"{_written(lead)}(?<={before})(?={behind})"), offset
    return None, 0


def _written(chars: CharSet) -> str:
    """The set as ranges, which are found several times faster than one by one."""
    codes = sorted(map(ord, chars.ascii))
    runs = [list(run) for _, run in groupby(enumerate(codes), key=lambda each: each[1] - each[0])]
    own = "".join(f"\\x{run[0][1]:02x}-\\x{run[-1][1]:02x}" for run in runs)
    return f"[{own}\\x80-\\U0010ffff]" if chars.others else f"[{own}]"


def _probe(attempt: Callable[..., Any], texts: Iterator[str]) -> None:
    """Run a pattern on texts made to stall it: full matches, and the partial ones a stream asks for."""
    try:
        for text in texts:
            attempt(text, timeout=PROBE_TIMEOUT_S)
            attempt(text, partial=True, timeout=PROBE_TIMEOUT_S)
    except TimeoutError as exc:
        raise ValueError(
            f"it takes over {PROBE_TIMEOUT_S} s on {PROBE_CHARS} characters; avoid quantifiers inside quantifiers and "
            "neighbours that match the same characters"
        ) from exc


def _adversaries(tree: Tree, keywords: tuple[str, ...]) -> Iterator[str]:
    """Long runs of what the pattern itself accepts, each ended by what it does not; a key's lines that do not end.

    A short match stands behind each, because the package gives up at once where a literal of the pattern is missing.
    """
    characters, stems, match = tree.samples()
    units = list(dict.fromkeys([*characters[:6], *characters[-2:], *_ALPHABET]))
    heads = list(dict.fromkeys([*(keywords[:2] or ["", "".join(characters[:12])]), *stems]))
    runs = [unit * PROBE_CHARS for unit in units] + [_BASE64_LINE * PROBE_LINES]
    for head, run in product(heads, runs):
        yield f"{head}{run}\x00{match}"
    for first, second in product(units[:3], units[:3]):
        yield "".join(keywords[:1]) + (first + second) * (PROBE_CHARS // 2) + f"\x00{match}"

"""Check ``injection``: orders in a text that contradict the operator's.

Signs within 1,000 characters add up, if at least one of them is strong; a text is found where they reach the
threshold. Words in leetspeak, spelled out or mixed up are read again, and so is what encodings hide. A sign that is
quoted, denied, asked about, reported, meant for somebody else or part of a program counts for less, so that one may
talk about attacks.

This is a heuristic: it finds what people write to break a model's rules, hardly what is planted in a document in plain
words. Its measured recall and false alarms are in the package's README; for more, add a `classifier` policy.

Rule: no model, no network, no state; the same text has the same findings.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, NamedTuple

import ahocorasick
import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece
from chatproxy_guardrails.checks.injection_context import Context
from chatproxy_guardrails.checks.injection_extractions import EXTRACTIONS
from chatproxy_guardrails.checks.injection_grammar import Sign
from chatproxy_guardrails.checks.injection_languages import LANGUAGES
from chatproxy_guardrails.checks.injection_limits import LIFTED
from chatproxy_guardrails.checks.injection_markup import INDIRECT, MARKUP
from chatproxy_guardrails.checks.injection_new_orders import NEW_ORDERS
from chatproxy_guardrails.checks.injection_overrides import OVERRIDES
from chatproxy_guardrails.checks.injection_personas import PERSONAS
from chatproxy_guardrails.checks.injection_pressure import PRESSURE
from chatproxy_guardrails.checks.injection_puzzles import PUZZLES
from chatproxy_guardrails.checks.injection_readings import Reading, readings, seen
from chatproxy_guardrails.checks.injection_stories import STORIES

SIGNS: tuple[Sign, ...] = (
    *OVERRIDES, *NEW_ORDERS, *EXTRACTIONS, *LIFTED, *PERSONAS, *PRESSURE, *STORIES, *PUZZLES, *MARKUP, *INDIRECT,
    *LANGUAGES,
)  # fmt: skip
_STEMS = ahocorasick.Automaton()
for _stem in {stem for sign in SIGNS for stem in sign.stems}:
    _STEMS.add_word(_stem, _stem)
_STEMS.make_automaton()
_HIDDEN_WEIGHT = 0.3
_HIDDEN_FROM = 0.5
_AGAIN = 0.2
_TOGETHER = 1_000
_SHORT_TEXT = 400
"""Characters; more of them take milliseconds, so that a thread reads them while other requests go on."""
_CLAIMED_MOST = 0.6
_STRONG = 0.45
_MANNERS = frozenset({"injection_verbatim", "injection_smuggling"})
_TELLING = frozenset({"injection_extraction", "injection_override", "injection_inside", "injection_encoded_order"})
_COMPANIONS = _MANNERS | {"injection_authority", "injection_inside", "injection_story"}


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check.

    Attributes:
        threshold: the score from which on a text is found; lower finds more and errs more.
    """

    threshold: Annotated[float, msgspec.Meta(ge=0.3, le=5.0)] = 0.75


class _Hit(NamedTuple):
    """A sign in a text: what it adds, and where it stands."""

    score: float
    finding: Finding


class Injection:
    """Judges windows; see `Options`. The kinds are ``injection_<sign's kind>``."""

    window: int | None = 4_000
    overlap: int = 400

    def __init__(self, options: Options) -> None:
        self._threshold = options.threshold

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck`; the findings are the signs of a text whose score reaches the threshold."""
        if sum(len(piece.text) for piece in pieces) < _SHORT_TEXT:
            return [self._findings(piece) for piece in pieces]
        return await asyncio.to_thread(lambda: [self._findings(piece) for piece in pieces])

    def _findings(self, piece: Piece) -> list[Finding]:
        is_tool = piece.target == "tool_results"
        base, *others = seen(piece.text)
        hits = _hits(base, is_tool=is_tool)
        for reading in chain(others, readings(base)) if _score(hits) < self._threshold else ():
            hidden = _hits(reading, is_tool=is_tool)
            if _score(hidden) >= _HIDDEN_FROM:
                hits = _merged(hits, hidden)
        return [hit.finding for hit in hits] if _score(hits) >= self._threshold else []


def _hits(reading: Reading, *, is_tool: bool) -> list[_Hit]:
    """The signs of a reading, each where it weighs most; none where none is strong."""
    text = _Text(reading.text)
    strong, weak = _BY_STRENGTH[is_tool]
    hits = list(_found(strong, text, reading, is_tool=is_tool))
    if not any(_is_strong(hit) for hit in hits):
        return []
    return [*hits, *_found(weak, text, reading, is_tool=is_tool)]


def _found(signs: Sequence[Sign], text: _Text, reading: Reading, *, is_tool: bool) -> Iterator[_Hit]:
    for sign in signs:
        found = _heaviest(sign, text) if text.may_have(sign) else None
        if found is not None:
            share, start, end = found
            span = reading.span(start, end)
            yield _Hit(_weight(sign, is_tool=is_tool) * share, Finding(*span, f"injection_{sign.kind}"))


def _weight(sign: Sign, *, is_tool: bool) -> float:
    return sign.tool_weight if is_tool and sign.tool_weight is not None else sign.weight


def _is_strong(hit: _Hit) -> bool:
    return hit.score >= _STRONG and hit.finding.kind not in _COMPANIONS


def _by_strength(*, is_tool: bool) -> tuple[list[Sign], list[Sign]]:
    """Signs that may be strong, and the others."""
    strong = [s for s in SIGNS if _weight(s, is_tool=is_tool) >= _STRONG and f"injection_{s.kind}" not in _COMPANIONS]
    return strong, [sign for sign in SIGNS if sign not in strong]


_BY_STRENGTH = (_by_strength(is_tool=False), _by_strength(is_tool=True))


class _Text:
    """A text to be searched for many signs."""

    __slots__ = ("_heads", "_stems", "context", "lowered", "written")

    def __init__(self, written: str) -> None:
        self.written = written
        self.lowered = _lowered(written)
        self.context = Context(written)
        self._heads: dict[re.Pattern[str], list[int]] = {}
        self._stems: set[str] = {stem for _, stem in _STEMS.iter(self.lowered)}

    def may_have(self, sign: Sign) -> bool:
        """One of the sign's stems stands in the text, or it has none."""
        return not sign.stems or not self._stems.isdisjoint(sign.stems)

    def matches(self, sign: Sign) -> Iterator[re.Match[str]]:
        """Where the sign's pattern matches."""
        if sign.head is None:
            yield from sign.pattern.finditer(self.written if sign.keeps_case else self.lowered)
            return
        for start in self._starts(sign.head):
            match = sign.pattern.match(self.lowered, start)
            if match is not None:
                yield match

    def _starts(self, head: re.Pattern[str]) -> list[int]:
        starts = self._heads.get(head)
        if starts is None:
            starts = self._heads[head] = [match.start() for match in head.finditer(self.lowered)]
        return starts


def _lowered(text: str) -> str:
    """In lower case, of the same length: a capital dotted I alone would become two characters."""
    lowered = text.lower()
    return (
        lowered
        if len(lowered) == len(text)
        else "".join(low if len(low := char.lower()) == 1 else char for char in text)
    )


def _heaviest(sign: Sign, text: _Text) -> tuple[float, int, int] | None:
    """Where the sign is most to be taken at its word: its share, start and end."""
    best: tuple[float, int, int] | None = None
    for match in text.matches(sign):
        share = text.context.trust(match.start(), match.end(), sign.kind)
        if best is None or share > best[0]:
            best = (share, match.start(), match.end())
        if share >= 1.0:
            break
    return best


def _score(hits: Sequence[_Hit]) -> float:
    """The highest sum of signs that stand together."""
    starts = {hit.finding.start for hit in hits}
    groups = ([hit for hit in hits if 0 <= hit.finding.start - start < _TOGETHER] for start in starts)
    return max((_sum(_supported(group)) for group in groups), default=0.0)


def _supported(group: Sequence[_Hit]) -> list[_Hit]:
    """Signs that mean something among these: none without a strong one, no manner of telling without a secret."""
    kinds = {hit.finding.kind for hit in group}
    if not any(_is_strong(hit) for hit in group):
        return []
    return [hit for hit in group if hit.finding.kind not in _MANNERS or not kinds.isdisjoint(_TELLING)]


def _sum(hits: Sequence[_Hit]) -> float:
    """Where signs overlap, only the heaviest counts in full."""
    total = claimed = 0.0
    counted: list[_Hit] = []
    for hit in sorted(hits, key=lambda hit: -hit.score):
        score = hit.score * (_AGAIN if any(_is_again(hit.finding, other.finding) for other in counted) else 1.0)
        if hit.finding.kind == "injection_authority":
            score = min(score, _CLAIMED_MOST - claimed)
            claimed += score
        total += score
        counted.append(hit)
    return total


def _is_again(one: Finding, other: Finding) -> bool:
    return one.start < other.end and other.start < one.end


def _merged(hits: Sequence[_Hit], hidden: Sequence[_Hit]) -> list[_Hit]:
    """Signs of both readings; that one had to be uncovered is a sign in itself."""
    known = {hit.finding for hit in hits}
    new = [hit for hit in hidden if hit.finding not in known]
    bonus = [hit._replace(score=hit.score + _HIDDEN_WEIGHT) for hit in new[:1]]
    return [*hits, *bonus, *new[1:]]


CHECK = CheckType(
    options=Options,
    make=Injection,
    on=("input", "tool_results"),
    roles=("user", "tool"),
    summary="Prompt injection and jailbreaks by heuristics: orders that contradict the operator's.",
)

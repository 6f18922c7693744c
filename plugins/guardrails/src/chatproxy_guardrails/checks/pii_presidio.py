"""Pattern recognisers of presidio-analyzer as bounded rules.

Rule: presidio brings patterns, checksums and context words; its engine never runs, because that reads whole texts only.
Nothing is fetched: the one recogniser that asks the network for a list is refused, as is every pattern without a finite
length. Imported only where such an entity is configured, because it takes 1.4 s and 45 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import presidio_analyzer.predefined_recognizers as predefined
import regex
from presidio_analyzer import Pattern, PatternRecognizer

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.pii_rules.labels import left_of

# This package's own entities for those that cannot be had.
INSTEAD = {"EMAIL_ADDRESS": "email", "IBAN_CODE": "iban", "IP_ADDRESS": "ip", "PHONE_NUMBER": "phone"}
CONTEXT_GAIN = 0.35
CONTEXT_LEAST = 0.4
CERTAIN = 1.0
TIMEOUT_S = 0.1
SPACES = {"*": "{0,2}", "+": "{1,2}"}
DIGITS = {"*": "{0,9}", "+": "{1,9}"}
GROUP = r"(?P<body>(?:[^()\\\[]|\\.|\[(?:\\.|[^\]\\])*\]|\((?&body)\))*)"
AHEAD = regex.compile(rf"\(\?[=!]{GROUP}\)")
ONE_CHARACTER = regex.compile(r"\\[dws]|\[(?:\\.|[^\]\\])*\]")
CLASS_OR_ESCAPE = regex.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.")
ENDLESS = regex.compile(r"[*+]|\{[0-9]*,\}")


def recognisers() -> dict[str, list[PatternRecognizer]]:
    """Every pattern recogniser presidio brings, by its entity; other kinds need a model or a service."""
    found: dict[str, list[PatternRecognizer]] = {}
    for name in predefined.__all__:
        kind = getattr(predefined, name)
        if isinstance(kind, type) and issubclass(kind, PatternRecognizer):
            make: Any = kind
            recogniser: PatternRecognizer = make()
            found.setdefault(recogniser.supported_entities[0], []).append(recogniser)
    return found


def without_long_ahead(pattern: str) -> str:
    """The pattern without looks ahead of more than one character; `is_found` asks the original for them."""
    return AHEAD.sub(lambda ahead: ahead[0] if ONE_CHARACTER.fullmatch(ahead["body"]) else "", pattern)


def bounded(pattern: str) -> str | None:
    """The pattern with a finite length, or None where more than blanks and digits go on without end."""
    pattern = without_long_ahead(pattern).replace("(?i)", "")
    pattern = regex.sub(r"\\s([*+])", lambda endless: r"\s" + SPACES[endless[1]], pattern)
    pattern = regex.sub(r"\\d([*+])", lambda endless: r"\d" + DIGITS[endless[1]], pattern)
    return None if ENDLESS.search(CLASS_OR_ESCAPE.sub("x", pattern)) else pattern


def flags_of(recogniser: PatternRecognizer) -> int:
    """How the recogniser compiles its patterns."""
    return int(recogniser.global_regex_flags or 0)


class PresidioPattern:
    """One pattern of one recogniser, with what decides about its matches."""

    def __init__(self, recogniser: PatternRecognizer, pattern: Pattern, min_score: float) -> None:
        self._recogniser = recogniser
        self._score = pattern.score
        self._min_score = min_score
        self._original = regex.compile(pattern.regex, flags_of(recogniser))
        words = "|".join(regex.escape(word.strip()) for word in recogniser.context or ())
        self._context = regex.compile(rf"(?<!\w)(?:{words})", regex.IGNORECASE) if words else None

    def accept(self, match: Any) -> bool:
        """The recogniser's own checks hold, and the score with the context in front is high enough."""
        value, start, end = match[0], match.start(), match.end()
        if not self._original.fullmatch(match.string, start, end, timeout=TIMEOUT_S):
            return False
        valid = self._recogniser.validate_result(value)
        if valid is False or self._recogniser.invalidate_result(value):
            return False
        return (CERTAIN if valid else self._score_in(match)) >= self._min_score

    def _score_in(self, match: Any) -> float:
        if self._context is None or not self._context.search(left_of(match)):
            return float(self._score)
        return float(min(CERTAIN, max(CONTEXT_LEAST, self._score + CONTEXT_GAIN)))


def rule_of(recogniser: PatternRecognizer, pattern: Pattern, min_score: float) -> Rule:
    """One pattern as a rule.

    Raises:
        ValueError: it has no finite length, or the recogniser does not work by patterns alone.
    """
    entity = recogniser.supported_entities[0]
    shape = bounded(pattern.regex)
    if shape is None or type(recogniser).analyze is not PatternRecognizer.analyze:
        raise ValueError(f"entities: presidio's {entity} has no pattern of a finite length{instead_of(entity)}")
    return Rule(
        kind=entity.lower(),
        pattern=shape,
        ignore_case=bool(flags_of(recogniser) & regex.IGNORECASE),
        accept=PresidioPattern(recogniser, pattern, min_score).accept,
        source=f"presidio-analyzer, {type(recogniser).__name__}, pattern {pattern.name!r}",
    )


def instead_of(entity: str) -> str:
    """What to write in its place."""
    return f"; use {INSTEAD[entity]!r}" if entity in INSTEAD else "; leave it out by 'exclude'"


def presidio_entities() -> list[str]:
    """Names that ``entities`` may hold, in order."""
    return sorted(recognisers())


def presidio_rules(entities: Sequence[str], min_score: float) -> list[Rule]:
    """Rules of the named entities.

    Raises:
        ValueError: one of them cannot hold on streams.
    """
    known = recognisers()
    chosen: list[Any] = [recogniser for entity in entities for recogniser in known[entity]]
    return [rule_of(recogniser, pattern, min_score) for recogniser in chosen for pattern in recogniser.patterns]

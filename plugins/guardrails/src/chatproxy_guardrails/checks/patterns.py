"""Check ``regex``: patterns of the operator's own.

Rule: a pattern is taken only if it is vetted: of bounded length, so that a stream is never held for ever, and not open
to catastrophic backtracking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from chatproxy_guardrails.checks.base import CheckType, Rule
from chatproxy_guardrails.matching import vet

Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")]


class Pattern(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One pattern.

    Attributes:
        name: what findings are called.
        pattern: in the syntax of the ``regex`` package; every quantifier needs an upper bound.
        group: what is taken out, a number or a name; the rest of a match is context.
        ignore_case: letters of both cases match.
        keywords: literals, one of which every match begins with; the pattern is tried only there, which is faster.
    """

    name: Name
    pattern: str
    group: int | str = 0
    ignore_case: bool = False
    keywords: tuple[str, ...] = ()


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check; ``patterns`` stand in order of precedence where two overlap."""

    patterns: Annotated[tuple[Pattern, ...], msgspec.Meta(min_length=1)]


class Patterns:
    """Finds the patterns; see `Options`.

    Raises:
        ValueError: a pattern cannot be used; the message says why, and what to write instead.
    """

    def __init__(self, options: Options) -> None:
        self.rules: Sequence[Rule] = tuple(_rule(pattern) for pattern in options.patterns)


def _rule(pattern: Pattern) -> Rule:
    rule = Rule(
        kind=pattern.name,
        pattern=pattern.pattern,
        keywords=pattern.keywords,
        group=pattern.group,
        ignore_case=pattern.ignore_case,
    )
    vet(rule)
    return rule


CHECK = CheckType(
    options=Options,
    make=Patterns,
    summary="Regular expressions of your own, checked at start for bounded length and speed.",
)

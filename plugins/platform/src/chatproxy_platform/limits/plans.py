"""Plan: all limits and budgets that one request meets, found once for each key and model.

Rule: what is made here never changes; counts live in `Counters`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import cached_property

import msgspec

from chatproxy_platform.config import Budget, Limits
from chatproxy_platform.identity.records import Identity, Subject

MINUTE_MS, DAY_MS = 60_000, 86_400_000
NANO = 1_000_000_000
_MAX_PLANS = 10_000


class Span(msgspec.Struct, frozen=True, array_like=True):
    """One sliding window of a rule.

    Attributes:
        slot: where its counter lies among its subject's.
        length: milliseconds.
    """

    slot: int
    limit: int
    length: int
    is_tokens: bool


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """What one subject may do; as `reserve.lua` reads it.

    Attributes:
        concurrent: 0: any number.
        budget: billionths of a US dollar in a ``period``; -1: none.
    """

    name: str
    spans: tuple[Span, ...]
    concurrent: int = 0
    budget: int = -1
    period: str = ""

    @property
    def label(self) -> str:
        """The subject as its client may read of it."""
        kind, _, name = self.name.partition(":")
        if kind == "model":
            return f"the models {name!r}" if "*" in name else f"the model {name!r}"
        return {"org": "this organization", "user": "this user"}.get(kind, "this key")


class Plan:
    """The rules for one request.

    Attributes:
        has_tokens: whether any rule counts tokens; ``has_budget``: money.
        max_tokens: what no reservation can exceed without being refused for ever; None: nothing.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        token_limits = [span.limit for rule in self.rules for span in rule.spans if span.is_tokens]
        self.has_tokens = bool(token_limits)
        self.has_budget = any(rule.budget >= 0 for rule in self.rules)
        self.max_tokens = min(token_limits, default=None)

    @cached_property
    def packed(self) -> msgspec.Raw:
        """The rules as `reserve.lua` takes them: MessagePack."""
        return msgspec.Raw(msgspec.msgpack.encode(self.rules))

    @cached_property
    def without_budgets(self) -> Plan:
        """The same without money, for the time that nobody knows what was spent."""
        return Plan(Rule(rule.name, rule.spans, rule.concurrent) for rule in self.rules)


class Plans:
    """Finds the plan of an identity and a model.

    Args:
        models: limits of everybody together, by glob over model ids.
    """

    def __init__(self, models: dict[str, Limits]) -> None:
        found = ((glob, _rule(f"model:{glob}", limits, None)) for glob, limits in models.items())
        self._globs = [(re.compile(translate(glob)).match, rule) for glob, rule in found if rule is not None]
        self._known: dict[tuple[str, str], tuple[tuple[Subject, ...], Plan | None]] = {}

    def find(self, identity: Identity, model: str) -> Plan | None:
        """What applies; None: nothing."""
        subjects = identity.subjects
        if not subjects and not self._globs:
            return None
        if not self._globs:
            model = ""
        known = self._known.get((identity.id, model))
        if known is not None and known[0] is subjects:
            return known[1]
        return self._make(identity, model)

    def _make(self, identity: Identity, model: str) -> Plan | None:
        rules = [_rule(subject.name, subject.limits, subject.budget) for subject in identity.subjects]
        rules += [rule for matches, rule in self._globs if matches(model)]
        applying = [rule for rule in rules if rule is not None]
        plan = Plan(applying) if applying else None
        if len(self._known) >= _MAX_PLANS:  # model names are the client's to choose
            self._known.clear()
        self._known[identity.id, model] = (identity.subjects, plan)
        return plan


def _rule(name: str, limits: Limits, budget: Budget | None) -> Rule | None:
    spans = [
        Span(slot, limit, length, is_tokens)
        for slot, (limit, length, is_tokens) in enumerate(
            (
                (limits.requests_per_minute, MINUTE_MS, False),
                (limits.requests_per_day, DAY_MS, False),
                (limits.tokens_per_minute, MINUTE_MS, True),
                (limits.tokens_per_day, DAY_MS, True),
            )
        )
        if limit is not None
    ]
    concurrent = limits.concurrent_requests or 0
    if budget is not None:
        return Rule(name, tuple(spans), concurrent, round(budget.usd * NANO), budget.period)
    return Rule(name, tuple(spans), concurrent) if spans or concurrent else None

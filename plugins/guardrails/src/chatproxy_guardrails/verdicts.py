"""What policies found in an exchange, as it goes on record: counts and kinds, never the texts."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Literal

from chatproxy.types import RequestContext
from chatproxy_guardrails.bound import Bound
from chatproxy_guardrails.checks.base import Target

Place = Target | Literal["parameters"]
Outcome = Literal["blocked", "redacted", "masked", "flagged", "observed", "failed"]
_OUTCOMES: dict[str, Outcome] = {
    "block": "blocked",
    "redact": "redacted",
    "mask_reversibly": "masked",
    "flag": "flagged",
}


class Verdicts:
    """The verdicts of one exchange.

    They stand on the exchange's record under ``guardrails`` as ``verdicts``: a list of objects with ``policy``,
    ``check``, ``on``, ``action``, ``mode``, ``outcome``, ``findings`` (counts by kind) and ``at_s`` (of the first
    finding, seconds from the exchange's start).

    Args:
        ctx: of the exchange; None on the command line.
        totals: counts of the whole gateway, by (policy, outcome).
    """

    __slots__ = ("_ctx", "_totals", "entries")

    def __init__(self, ctx: RequestContext | None, totals: Counter[tuple[str, str]]) -> None:
        self._ctx = ctx
        self._totals = totals
        self.entries: dict[tuple[str, Place, Outcome], dict[str, Any]] = {}

    def found(self, bound: Bound, place: Place, kinds: dict[str, int]) -> None:
        """Put findings on record."""
        outcome = _OUTCOMES[bound.policy.action] if bound.policy.mode == "enforce" else "observed"
        self._add(bound, place, outcome, kinds)

    def failed(self, bound: Bound, place: Place) -> None:
        """Put on record that a check could not do its work."""
        self._add(bound, place, "failed", {"check_failed": 1})

    def _add(self, bound: Bound, place: Place, outcome: Outcome, kinds: dict[str, int]) -> None:
        if not kinds:
            return
        entry = self.entries.get((bound.name, place, outcome))
        if entry is None:
            entry = self._begin(bound, place, outcome)
            self._totals[bound.name, outcome] += 1
        counts: dict[str, int] = entry["findings"]
        for kind, count in kinds.items():
            counts[kind] = counts.get(kind, 0) + count

    def _begin(self, bound: Bound, place: Place, outcome: Outcome) -> dict[str, Any]:
        policy = bound.policy
        entry: dict[str, Any] = {
            "policy": policy.name,
            "check": policy.check,
            "on": place,
            "action": policy.action,
            "mode": policy.mode,
            "outcome": outcome,
            "findings": {},
        }
        self.entries[bound.name, place, outcome] = entry
        if self._ctx is not None:
            entry["at_s"] = round(time.perf_counter() - self._ctx.started_s, 6)
            self._ctx.note("guardrails", verdicts=list(self.entries.values()))
        return entry

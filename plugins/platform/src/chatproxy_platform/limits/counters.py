"""Counters: where reservations are made and settled, in this process or in Redis.

CountersUnavailable: the counters did not answer in time; the policy `on_counter_failure` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from chatproxy_platform.limits.plans import Plan, Rule

Reason = Literal["", "requests", "tokens", "concurrency", "budget", "spend_unknown"]
OnSpend = Callable[[Rule, int, int], None]


class CountersUnavailable(Exception):
    """Nobody knows whether there is room: the counters did not answer in time."""


class Meter(msgspec.Struct, frozen=True, array_like=True):
    """What ``x-ratelimit-*`` says of requests or tokens: the tightest of their limits; ``limit`` 0: there is none."""

    limit: int = 0
    remaining: int = 0
    reset_ms: int = 0


NO_METER = Meter()


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a claim.

    Attributes:
        reason: what refused it; empty: it is granted. ``spend_unknown``: `Counters.learn` what ``rule`` has spent.
        rule: index of the rule that refused.
        wait_ms: until the same claim would fit; -1: waiting does not help.
    """

    reason: Reason = ""
    rule: int = 0
    limit: int = 0
    used: int = 0
    wait_ms: int = 0
    requests: Meter = NO_METER
    tokens: Meter = NO_METER


class Claim:
    """One request's reservation.

    Attributes:
        tokens: reserved; ``nanousd`` likewise.
        input_tokens: estimated, of ``tokens``.
        starts: of the windows it was taken from, in the order of the rules' spans.
        is_open: granted and not settled yet.
        number: of shared counters, with ``origin``: where it is kept.
    """

    __slots__ = ("input_tokens", "is_open", "nanousd", "number", "origin", "plan", "starts", "tokens")

    def __init__(self, plan: Plan, tokens: int = 0, nanousd: int = 0, *, input_tokens: int = 0) -> None:
        self.plan = plan
        self.tokens = tokens
        self.nanousd = nanousd
        self.input_tokens = input_tokens
        self.starts: list[int] = []
        self.is_open = False
        self.number = 0
        self.origin = ""


class Counters(Protocol):
    """Holds what was used; everything here is one atomic step over all rules of a claim.

    Attributes:
        on_spend: called with what a budget's subject had spent before and after something was settled.
    """

    on_spend: OnSpend

    async def open(self) -> None:
        """Begin; does not fail where the counters cannot be reached."""

    async def aclose(self) -> None:
        """Settle what waits, within a deadline, and end."""

    async def acquire(self, claim: Claim) -> Verdict:
        """Reserve what is claimed everywhere, or nothing anywhere.

        Raises:
            CountersUnavailable: no answer in time; nothing stays reserved.
        """

    def settle(self, claim: Claim, tokens: int, nanousd: int) -> None:
        """Put what was used in place of what was reserved; once, further calls do nothing. Does not wait."""

    def abort(self, claim: Claim) -> None:
        """Give everything back, the request too: it was never let through. Does not wait."""

    def learn(self, rule: Rule, period: str, nanousd: int) -> None:
        """Tell what a rule's subject has spent in a period at least, before the next `acquire`. Does not wait."""

    def report(self) -> Mapping[str, Any]:
        """For ``/readyz``."""

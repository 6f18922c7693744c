"""MemoryCounters: the counters of one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from chatproxy_platform.limits.counters import NO_METER, Claim, Meter, OnSpend, Verdict
from chatproxy_platform.limits.periods import period_of, today
from chatproxy_platform.limits.plans import DAY_MS, MINUTE_MS, Rule, Span
from chatproxy_platform.limits.windows import NEVER, Window

_HELD_WAIT_MS = 1000
_FEW_SUBJECTS = 4096
_Found = tuple[float, Span | None, Window | None]
_NOWHERE: _Found = (inf, None, None)
_LENGTHS = (MINUTE_MS, DAY_MS, MINUTE_MS, DAY_MS)


def monotonic_ms() -> int:
    """Milliseconds that never go back."""
    return time.monotonic_ns() // 1_000_000


class Account:
    """What one subject uses.

    Attributes:
        windows: by `Span.slot`.
        running: exchanges, of rules that limit them.
        held: money that is reserved.
        spent: by kind of period: the period and the money.
    """

    __slots__ = ("held", "running", "spent", "windows")

    def __init__(self, now: int) -> None:
        self.windows = tuple(Window(now) for _ in _LENGTHS)
        self.running = 0
        self.held = 0
        self.spent: dict[str, tuple[str, int]] = {}

    def is_idle(self, now: int) -> bool:
        """Whether forgetting it changes nothing."""
        if self.running or self.held or self.spent:
            return False
        return not any(window.used(now, length) for window, length in zip(self.windows, _LENGTHS, strict=True))


class MemoryCounters:
    """Counts in this process alone. Nothing here waits, so every step is atomic.

    Args:
        clock: milliseconds; any beginning.
        day: today's text, for budgets.
    """

    def __init__(self, *, clock: Callable[[], int] = monotonic_ms, day: Callable[[], str] = today) -> None:
        self.on_spend: OnSpend = lambda rule, before, after: None
        self.accounts: dict[str, Account] = {}
        self._clock = clock
        self._day = day
        self._sweep_at = _FEW_SUBJECTS

    async def open(self) -> None:
        """Nothing to begin."""

    async def aclose(self) -> None:
        """Nothing to end."""

    def report(self) -> Mapping[str, Any]:
        """Where counts are kept."""
        return {"counters": "memory"}

    async def acquire(self, claim: Claim) -> Verdict:
        """As `Counters.acquire`; never unavailable."""
        now, tokens = self._clock(), claim.tokens
        taken: list[tuple[Window, int]] = []
        requests_at = tokens_at = _NOWHERE
        for index, rule in enumerate(claim.plan.rules):
            account = self.accounts.get(rule.name) or self._account(rule.name, now)
            if account.running >= rule.concurrent > 0:
                return Verdict("concurrency", index, rule.concurrent, account.running, _HELD_WAIT_MS)
            for span in rule.spans:
                length, window = span.length, account.windows[span.slot]
                cost = tokens if span.is_tokens else 1
                left = span.limit - window.used(now, length) - cost
                if left < 0:
                    return _refused(index, span, window, now, cost)
                taken.append((window, cost))
                if span.is_tokens:
                    if left < tokens_at[0]:
                        tokens_at = (left, span, window)
                elif left < requests_at[0]:
                    requests_at = (left, span, window)
            if rule.budget >= 0 and (refused := self._over_budget(claim, index, account)) is not None:
                return refused
        self._take(claim, taken)
        return Verdict("", 0, 0, 0, 0, _meter(requests_at, now), _meter(tokens_at, now))

    def settle(self, claim: Claim, tokens: int, nanousd: int) -> None:
        """As `Counters.settle`."""
        self._close(claim, tokens, nanousd, requests=0)

    def abort(self, claim: Claim) -> None:
        """As `Counters.abort`."""
        self._close(claim, 0, 0, requests=-1)

    def learn(self, rule: Rule, period: str, nanousd: int) -> None:
        """As `Counters.learn`."""
        account = self._account(rule.name, self._clock())
        known = account.spent.get(rule.period, ("", 0))
        if known[0] <= period:
            account.spent[rule.period] = (period, max(nanousd, known[1]) if known[0] == period else nanousd)

    def _account(self, name: str, now: int) -> Account:
        account = self.accounts.get(name)
        if account is None:
            if len(self.accounts) >= self._sweep_at:
                self.accounts = {key: one for key, one in self.accounts.items() if not one.is_idle(now)}
                self._sweep_at = max(_FEW_SUBJECTS, 2 * len(self.accounts))
            account = self.accounts[name] = Account(now)
        return account

    def _over_budget(self, claim: Claim, index: int, account: Account) -> Verdict | None:
        rule = claim.plan.rules[index]
        known = account.spent.get(rule.period)
        if known is None or known[0] < period_of(rule.period, self._day()):
            return Verdict("spend_unknown", index)
        cost = claim.nanousd or 1
        if known[1] + account.held + cost <= rule.budget:
            return None
        wait = NEVER if known[1] + cost > rule.budget else _HELD_WAIT_MS
        return Verdict("budget", index, rule.budget, known[1] + account.held, wait)

    def _take(self, claim: Claim, taken: list[tuple[Window, int]]) -> None:
        for window, cost in taken:
            window.current += cost
        claim.starts = [window.start for window, _ in taken]
        claim.is_open = True
        for rule in claim.plan.rules:
            if rule.concurrent:
                self.accounts[rule.name].running += 1
            if rule.budget >= 0:
                self.accounts[rule.name].held += claim.nanousd

    def _close(self, claim: Claim, tokens: int, nanousd: int, *, requests: int) -> None:
        if not claim.is_open:
            return
        claim.is_open = False
        now = self._clock()
        starts = iter(claim.starts)
        change = tokens - claim.tokens
        for rule in claim.plan.rules:
            account = self._account(rule.name, now)
            if rule.concurrent:
                account.running -= 1
            for span in rule.spans:
                start, amount = next(starts), change if span.is_tokens else requests
                if amount:
                    account.windows[span.slot].correct(now, span.length, start, amount)
            if rule.budget >= 0:
                account.held -= claim.nanousd
                if nanousd:
                    self._spend(account, rule, nanousd)

    def _spend(self, account: Account, rule: Rule, nanousd: int) -> None:
        period = period_of(rule.period, self._day())
        known = account.spent.get(rule.period)
        if known is None or known[0] < period:
            return  # what was spent is read from the database when it is asked for
        account.spent[rule.period] = (known[0], known[1] + nanousd)
        self.on_spend(rule, known[1], known[1] + nanousd)


def _refused(index: int, span: Span, window: Window, now: int, cost: int) -> Verdict:
    used = window.used(now, span.length)
    wait = window.room_in(now, span.length, span.limit - cost)
    meter = Meter(span.limit, max(0, span.limit - used), window.empty_in(now, span.length))
    if span.is_tokens:
        return Verdict("tokens", index, span.limit, used, wait, tokens=meter)
    return Verdict("requests", index, span.limit, used, wait, requests=meter)


def _meter(found: _Found, now: int) -> Meter:
    left, span, window = found
    if span is None or window is None:
        return NO_METER
    return Meter(span.limit, int(left), window.empty_in(now, span.length))

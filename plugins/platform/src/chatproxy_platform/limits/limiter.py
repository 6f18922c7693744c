"""Limiter: a reservation before each exchange, and its settlement at the end, however that came."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from chatproxy import ChatRequest, Exchange, PermissionDenied, RequestContext
from chatproxy_platform.config import Config
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.limits.answers import rate_headers, refusal
from chatproxy_platform.limits.counters import Claim, Counters, CountersUnavailable, Verdict
from chatproxy_platform.limits.estimates import Estimate, estimate
from chatproxy_platform.limits.memory import MemoryCounters
from chatproxy_platform.limits.plans import Plan, Plans
from chatproxy_platform.limits.spending import BudgetWarning, Spending
from chatproxy_platform.storage.database import Database
from chatproxy_platform.usage.prices import Prices

logger = logging.getLogger("chatproxy.platform")

_KEY = "platform.limits"
_MOST_TOKENS = 10**9  # what an upstream says may be anything
_MOST_NANOUSD = 2**52  # what Lua's numbers hold exactly


class Limiter:
    """Lets requests through as far as the limits and budgets of whoever asks have room.

    Args:
        database: where spending is read from; None: budgets begin with nothing spent.
        counters: of this process or of all.
        warn: called when a share of a budget is passed, see `PricesConfig.warn_at`; must not wait.

    Attributes:
        fallback: counts in this process while the others cannot be reached, under ``fail_open``.
    """

    def __init__(
        self,
        config: Config,
        prices: Prices,
        database: Database | None,
        counters: Counters,
        *,
        warn: Callable[[BudgetWarning], None] | None = None,
    ) -> None:
        self.counters = counters
        self.fallback = MemoryCounters()
        self._limits = config.limits
        self._refuses_unknown = config.prices.unknown_model == "refuse"
        self._is_open = config.limits.on_counter_failure == "fail_open"
        self._prices = prices
        self._plans = Plans(config.limits.models)
        self._spending = Spending(database, config.prices.warn_at, warn)
        self.counters.on_spend = self.fallback.on_spend = self._spending.passed

    async def open(self, *, workers: int = 1) -> None:
        """Begin; the counters need not be reachable."""
        if workers > 1 and isinstance(self.counters, MemoryCounters):
            logger.warning(
                "limits: %d workers count for themselves, so that limits are up to %d times as high; set redis_url",
                workers,
                workers,
            )
        await self.counters.open()
        self._spending.open(self.counters)

    async def aclose(self) -> None:
        """Settle what waits, and end."""
        await self._spending.aclose()
        await self.counters.aclose()

    def report(self) -> Mapping[str, Any]:
        """For ``/readyz``."""
        return self.counters.report()

    async def admit(self, ctx: RequestContext, identity: Identity) -> None:
        """Let an exchange in whose body passes through: it counts as a request; its tokens count when it ends.

        Raises:
            LimitExceeded: no room (429). StorageUnavailable: nobody knows (503).
        """
        plan = self._plans.find(identity, ctx.exchange.model)
        if plan is not None:
            await self._reserve(ctx, Claim(plan))

    async def reserve(self, ctx: RequestContext, identity: Identity, request: ChatRequest) -> None:
        """Reserve what a request will use at most, everywhere or nowhere.

        Raises:
            LimitExceeded: no room (429). StorageUnavailable: nobody knows (503).
            PermissionDenied: there is a budget, and the model has no price (403).
        """
        plan = self._plans.find(identity, model := request.model)
        if plan is None:
            return
        if not plan.has_tokens and not plan.has_budget:
            await self._reserve(ctx, Claim(plan))
            return
        expected = estimate(ctx.surface, request, self._limits.estimated_output_tokens)
        nanousd = self._price(model, expected) if plan.has_budget else 0
        await self._reserve(ctx, Claim(plan, _tokens(plan, expected), nanousd, input_tokens=expected.input_tokens))

    def settle(self, ctx: RequestContext, exchange: Exchange, cost: int | None) -> None:
        """Put what was used in place of what was reserved; for every exchange, once, when it is over."""
        found = ctx.state.pop(_KEY, None)
        if found is None:
            return
        counters, claim = found
        counters.settle(claim, _used(claim, exchange), min(cost or 0, _MOST_NANOUSD))

    # -- reserving ------------------------------------------------------------------------------------------------

    async def _reserve(self, ctx: RequestContext, claim: Claim) -> None:
        counters, verdict = await self._acquire(claim)
        if verdict.reason:
            raise refusal(verdict, claim.plan.rules[verdict.rule])
        ctx.state[_KEY] = counters, claim
        ctx.reply_headers.update(rate_headers(verdict))

    async def _acquire(self, claim: Claim) -> tuple[Counters, Verdict]:
        try:
            return self.counters, await self._ask(self.counters, claim)
        except CountersUnavailable as exc:
            if not self._is_open:
                raise StorageUnavailable("Limits cannot be checked at the moment; try again soon.") from exc
        return self.fallback, await self._ask(self.fallback, claim)

    async def _ask(self, counters: Counters, claim: Claim) -> Verdict:
        verdict = await counters.acquire(claim)
        for _ in claim.plan.rules:  # each may be one whose spending nobody has asked for yet
            if verdict.reason != "spend_unknown":
                break
            try:
                await self._spending.load(claim.plan.rules[verdict.rule], counters)
            except StorageUnavailable:
                if not self._is_open:
                    raise
                claim.plan = claim.plan.without_budgets
            verdict = await counters.acquire(claim)
        return verdict

    def _price(self, model: str, expected: Estimate) -> int:
        nanousd = self._prices.estimate(model, expected.input_tokens, expected.output_tokens)
        if nanousd is None:
            if self._refuses_unknown:
                message = f"The model {model!r} has no price, and a budget applies: ask your administrator to set one."
                raise PermissionDenied(message, code="model_without_price", param="model")
            return 0
        return min(nanousd, _MOST_NANOUSD)


def _tokens(plan: Plan, expected: Estimate) -> int:
    """What to reserve; where the client has set no maximum, no more than could ever be granted."""
    tokens = expected.input_tokens + expected.output_tokens
    if plan.max_tokens is None or expected.is_bounded:
        return tokens
    return min(tokens, max(plan.max_tokens, expected.input_tokens))


def _used(claim: Claim, exchange: Exchange) -> int:
    usage = exchange.usage
    if usage is not None:
        return min(max(0, usage.total_tokens, usage.prompt_tokens + usage.completion_tokens), _MOST_TOKENS)
    # A client that left before anything came: the upstream has read the prompt all the same.
    return claim.input_tokens if exchange.outcome == "client_disconnected" and exchange.attempts else 0

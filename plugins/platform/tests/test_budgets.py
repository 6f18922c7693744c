"""Budgets: money reserved and spent, what the database knows of it, warnings, and models without a price."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.config import Budget
from chatproxy_platform.errors import LimitExceeded, StorageUnavailable
from chatproxy_platform.limits.counters import Claim, Counters
from chatproxy_platform.limits.limiter import Limiter
from chatproxy_platform.limits.memory import MemoryCounters
from chatproxy_platform.limits.periods import ends_in_s, period_of, today
from chatproxy_platform.limits.spending import BudgetWarning, Spending
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Spend
from chatproxy_platform.usage.prices import Prices

from chatproxy import PermissionDenied

from .limiting import ask, config, context, forget, identity, new_prefix, plan, shared, subject, used

# 1000 nano-USD for an input token, 10 000 for one of output.
PRICES = {"models": {"m": {"input": 1.0, "output": 10.0}}}
DOLLAR = 10**9


def limiter(database: Database | None = None, counters: Counters | None = None, **tables: Any) -> Limiter:
    made = config(**{"prices": PRICES, **tables})
    return Limiter(made, Prices(made.prices), database, counters or MemoryCounters())


def who(usd: float, period: Any = "month") -> Any:
    return identity(subject("key:a", budget=Budget(usd=usd, period=period)))


async def spend(made: Limiter, someone: Any, nanousd: int, **fields: Any) -> None:
    ctx = context()
    await made.reserve(ctx, someone, ask(max_tokens=1, **fields))
    made.settle(ctx, used(ctx, 1, 1), nanousd)


async def refusal(made: Limiter, someone: Any, **fields: Any) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        await made.reserve(context(), someone, ask(**{"max_tokens": 1, **fields}))
    return caught.value


async def test_budget_that_is_used_up_stops_hard() -> None:
    made = limiter()
    await spend(made, who(1.0), DOLLAR)
    error = await refusal(made, who(1.0))
    assert (error.status, error.code, error.type) == (429, "insufficient_quota", "rate_limit_error")
    assert error.headers["x-should-retry"] == "false"
    assert 0 < int(error.headers["retry-after"]) <= 31 * 86_400
    assert error.message == (
        "The budget of this key (1.00 US dollars a month) is used up, or too small for this request."
    )


async def test_budget_without_a_period_has_no_time_to_come_back() -> None:
    made = limiter()
    await spend(made, who(1.0, "total"), DOLLAR)
    assert "retry-after" not in (await refusal(made, who(1.0, "total"))).headers


async def test_requests_that_run_at_once_cannot_spend_the_same_money() -> None:
    """Each reserves about a tenth of a dollar, of the dollar there is."""
    made, someone = limiter(), who(1.0)
    tries = [made.reserve(context(), someone, ask(max_tokens=9_990)) for _ in range(200)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert outcomes.count(None) == 10
    assert {each.headers["retry-after"] for each in outcomes if isinstance(each, LimitExceeded)} == {"1"}


async def test_budget_of_nothing_lets_nothing_through() -> None:
    assert (await refusal(limiter(), who(0.0))).code == "insufficient_quota"


async def test_exchange_that_cost_nothing_gives_its_money_back() -> None:
    made, someone = limiter(), who(0.001)
    for _ in range(50):
        ctx = context()
        await made.reserve(ctx, someone, ask(max_tokens=90))
        made.settle(ctx, ctx.exchange, None)


async def test_spending_of_earlier_processes_is_read_from_the_database(database: Database) -> None:
    async with database.write() as session:
        session.add(Spend(subject="key:a", period=period_of("month", today()), nanousd=DOLLAR))
        session.add(Spend(subject="key:a", period="total", nanousd=9 * DOLLAR))
        session.add(Spend(subject="key:b", period="total", nanousd=99 * DOLLAR))
    assert (await refusal(limiter(database), who(1.0))).code == "insufficient_quota"
    await spend(limiter(database), who(1.5), 1)
    await spend(limiter(database), who(9.5, "total"), 1)
    await refusal(limiter(database), who(9.0, "total"))
    await spend(limiter(database), who(1.0, "day"), 1)


async def test_spending_is_asked_for_once(database: Database) -> None:
    made, someone = limiter(database), who(10.0)
    await spend(made, someone, 1)
    await database.aclose()
    await spend(made, someone, 1)


async def test_what_other_processes_spent_is_found_at_the_next_look(database: Database) -> None:
    counters = MemoryCounters()
    spending = Spending(database, (), None)
    made, someone = limiter(database, counters), who(1.0)
    await spend(made, someone, 1)
    (rule,) = plan(*someone.subjects).rules
    await spending.load(rule, counters)
    async with database.write() as session:
        session.add(Spend(subject="key:a", period=period_of("month", today()), nanousd=2 * DOLLAR))
    await spending.refresh(counters)
    await refusal(made, someone)


async def test_closed_database_closes_a_budget_nobody_knows(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")  # without tables
    with pytest.raises(StorageUnavailable):
        await limiter(database).reserve(context(), who(1.0), ask())
    lenient = limiter(database, limits={"on_counter_failure": "fail_open"})
    await spend(lenient, who(1.0), 1)
    await database.aclose()


async def test_model_without_a_price_is_refused_where_a_budget_applies() -> None:
    with pytest.raises(PermissionDenied) as caught:
        await limiter().reserve(context(), who(1.0), ask("nobody-knows-it"))
    assert (caught.value.code, caught.value.param) == ("model_without_price", "model")
    await limiter().reserve(context(), identity(subject("key:a", requests_per_minute=1)), ask("nobody-knows-it"))


async def test_model_without_a_price_is_free_where_that_is_the_policy() -> None:
    made = limiter(prices={**PRICES, "unknown_model": "free"})
    ctx = context("nobody-knows-it")
    await made.reserve(ctx, who(1e-9), ask("nobody-knows-it", max_tokens=10**6))
    made.settle(ctx, used(ctx, 1, 1), None)


async def test_warnings_come_once_for_each_share(caplog: pytest.LogCaptureFixture) -> None:
    warnings: list[BudgetWarning] = []
    made = config(prices=PRICES)
    found = Limiter(made, Prices(made.prices), None, MemoryCounters(), warn=warnings.append)
    with caplog.at_level(logging.WARNING, "chatproxy.platform"):
        for _ in range(10):
            await spend(found, who(1.0), DOLLAR // 10)
    period = period_of("month", today())
    assert [(each.subject, each.period, each.share) for each in warnings] == [
        ("key:a", period, 0.8),
        ("key:a", period, 0.95),
    ]
    assert len(caplog.messages) == 2


async def test_two_nodes_share_money_and_warn_once(redis_url: str) -> None:
    prefix, neutral = new_prefix(), plan(subject("key:other", requests_per_day=1000))
    warnings: list[BudgetWarning] = []
    made = config(prices=PRICES)
    async with (
        shared(redis_url, prefix, day=today) as one,
        shared(redis_url, prefix, day=today) as other,
    ):
        nodes = [Limiter(made, Prices(made.prices), None, each, warn=warnings.append) for each in (one, other)]
        for turn in range(10):
            await spend(nodes[turn % 2], who(1.0), DOLLAR // 10)
            await asyncio.gather(*(node.acquire(Claim(neutral)) for node in (one, other)))  # settles first
        for node in nodes:
            await refusal(node, who(1.0))
    assert [each.share for each in warnings] == [0.8, 0.95]
    await forget(redis_url, prefix)


def test_periods_are_those_of_the_utc_calendar() -> None:
    moment = 1_795_262_400  # 2026-11-21T12:00:00Z
    assert today(moment) == "2026-11-21"
    assert [period_of(kind, today(moment)) for kind in ("day", "month", "total")] == ["2026-11-21", "2026-11", "total"]
    assert (ends_in_s("day", moment), ends_in_s("total", moment)) == (12 * 3600 + 1, None)
    assert ends_in_s("month", moment) == 9 * 86_400 + 12 * 3600 + 1

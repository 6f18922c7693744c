"""Counters of both kinds: what is reserved, settled and given back, and what a refusal says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from chatproxy_platform.config import Budget
from chatproxy_platform.limits.counters import Claim, Counters, Meter
from chatproxy_platform.limits.plans import Plan
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import REDIS
from .limiting import DAY, Clock, counters_of_kind, forget, granted, new_prefix, plan, shared, subject

MINUTE_MS = 60_000
KINDS = pytest.mark.parametrize("kind", ["memory", "redis"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest, redis_url: str, clock: Clock) -> AsyncIterator[Counters]:
    async with counters_of_kind(request.param, redis_url, clock) as made:
        yield made


async def test_requests_over_the_limit_are_refused_until_the_window_has_faded(counters: Counters, clock: Clock) -> None:
    found = plan(subject("key:a", requests_per_minute=2))
    assert await granted(counters, Claim(found))
    assert await granted(counters, Claim(found))
    refused = await counters.acquire(Claim(found))
    assert (refused.reason, refused.limit, refused.used) == ("requests", 2, 2)
    assert refused.wait_ms == MINUTE_MS + MINUTE_MS // 2
    clock.now += refused.wait_ms - 1
    assert not await granted(counters, Claim(found))
    clock.now += 1
    assert await granted(counters, Claim(found))


async def test_refusal_at_one_limit_takes_nothing_from_the_others(counters: Counters) -> None:
    narrow = plan(subject("key:a", requests_per_minute=10), subject("org:o", requests_per_minute=1))
    assert await granted(counters, Claim(narrow))
    for _ in range(20):
        assert (await counters.acquire(Claim(narrow))).rule == 1
    alone = plan(subject("key:a", requests_per_minute=10))
    verdict = await counters.acquire(Claim(alone))
    assert verdict.requests == Meter(10, 8, 2 * MINUTE_MS)


async def test_settling_puts_real_tokens_in_place_of_the_estimate(counters: Counters) -> None:
    found = plan(subject("key:a", tokens_per_minute=1000))
    first = Claim(found, 900)
    assert await granted(counters, first)
    assert not await granted(counters, Claim(found, 200))
    counters.settle(first, 100, 0)
    verdict = await counters.acquire(Claim(found, 900))
    assert verdict.tokens == Meter(1000, 0, 2 * MINUTE_MS)


async def test_more_used_than_reserved_counts_too(counters: Counters) -> None:
    found = plan(subject("key:a", tokens_per_minute=1000))
    first = Claim(found, 100)
    assert await granted(counters, first)
    counters.settle(first, 1500, 0)
    assert (await counters.acquire(Claim(found, 0))).used == 1500


async def test_tokens_given_back_in_the_next_window_leave_the_one_they_came_from(
    counters: Counters, clock: Clock
) -> None:
    found = plan(subject("key:a", tokens_per_minute=1000))
    first = Claim(found, 1000)
    assert await granted(counters, first)
    clock.now += MINUTE_MS
    assert not await granted(counters, Claim(found, 100))
    counters.settle(first, 0, 0)
    assert await granted(counters, Claim(found, 1000))


async def test_settling_twice_and_after_an_abort_changes_nothing(counters: Counters) -> None:
    found = plan(subject("key:a", tokens_per_minute=1000, concurrent_requests=2))
    first, second = Claim(found, 500), Claim(found, 500)
    assert await granted(counters, first)
    assert await granted(counters, second)
    counters.settle(first, 400, 0)
    counters.settle(first, 900, 0)
    counters.abort(first)
    counters.abort(second)
    counters.settle(second, 900, 0)
    assert (await counters.acquire(Claim(found, 600))).tokens == Meter(1000, 0, 2 * MINUTE_MS)
    assert await granted(counters, Claim(found, 0))
    assert (await counters.acquire(Claim(found, 0))).reason == "concurrency"


async def test_aborted_claim_gives_its_request_back(counters: Counters) -> None:
    found = plan(subject("key:a", requests_per_minute=1))
    first = Claim(found)
    assert await granted(counters, first)
    counters.abort(first)
    assert await granted(counters, Claim(found))


async def test_claim_that_no_window_can_ever_hold_says_so(counters: Counters) -> None:
    refused = await counters.acquire(Claim(plan(subject("key:a", tokens_per_minute=100)), 101))
    assert (refused.reason, refused.wait_ms) == ("tokens", -1)


async def test_money_is_asked_for_once_and_then_counted(counters: Counters) -> None:
    found = plan(subject("key:a", budget=Budget(usd=1e-6, period="month")))
    (rule,) = found.rules
    seen: list[tuple[int, int]] = []
    counters.on_spend = lambda rule, before, after: seen.append((before, after))
    assert (await counters.acquire(Claim(found, nanousd=100))).reason == "spend_unknown"
    counters.learn(rule, DAY[:7], 300)
    first = Claim(found, nanousd=700)
    assert await granted(counters, first)
    held = await counters.acquire(Claim(found, nanousd=1))
    assert (held.reason, held.used, held.wait_ms) == ("budget", 1000, 1000)
    counters.settle(first, 0, 690)
    assert await granted(counters, Claim(found, nanousd=10))
    assert seen == [(300, 990)]
    counters.learn(rule, DAY[:7], 1000)
    spent = await counters.acquire(Claim(found, nanousd=0))
    assert (spent.reason, spent.wait_ms) == ("budget", -1)


async def test_less_money_than_is_known_is_not_learnt(counters: Counters) -> None:
    found = plan(subject("key:a", budget=Budget(usd=1e-6, period="total")))
    (rule,) = found.rules
    for known in (1000, 0):
        counters.learn(rule, "total", known)
        assert (await counters.acquire(Claim(found))).reason == "budget"


async def test_two_hundred_at_once_get_exactly_the_hundred_there_are(counters: Counters) -> None:
    found = plan(subject("key:a", requests_per_minute=100), subject("org:o", requests_per_day=150))
    results = await asyncio.gather(*(granted(counters, Claim(found)) for _ in range(200)))
    assert sum(results) == 100


# -- properties -------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("acquire"), st.integers(0, 400), st.integers(0, 300)),
        st.tuples(st.just("settle"), st.integers(0, 10), st.integers(0, 600)),
        st.tuples(st.just("abort"), st.integers(0, 10), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([1, 777, 20_000, 60_000, 61_000, 130_000]), st.just(0)),
    ),
    max_size=40,
)


def rich_plan() -> Plan:
    return plan(
        subject("key:a", requests_per_minute=8, tokens_per_minute=1000, concurrent_requests=4),
        subject("org:o", requests_per_day=30, tokens_per_day=5000, budget=Budget(usd=2e-6, period="day")),
    )


async def run_steps(
    counters: Counters, clock: Clock, steps: list[tuple[str, int, int]]
) -> tuple[list[object], list[Claim]]:
    """Every answer in order, and the claims that are still open."""
    found = rich_plan()
    counters.learn(found.rules[1], DAY, 5)
    said: list[object] = []
    counters.on_spend = lambda rule, before, after: said.append((rule.name, before, after))
    open_claims: list[Claim] = []
    for what, one, two in steps:
        if what == "wait":
            clock.now += one
        elif what == "acquire":
            claim = Claim(found, one, two)
            verdict = await counters.acquire(claim)
            said.append(verdict)
            if not verdict.reason:
                open_claims.append(claim)
        elif open_claims:
            claim = open_claims.pop(one % len(open_claims))
            if what == "settle":
                counters.settle(claim, two, two // 3)
            else:
                counters.abort(claim)
            await counters.acquire(Claim(plan(subject("key:other", requests_per_day=10_000))))
    return said, open_claims


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_memory_and_redis_answer_alike(steps: list[tuple[str, int, int]]) -> None:
    async def run() -> None:
        answers = []
        for kind in ("memory", "redis"):
            clock = Clock()
            async with counters_of_kind(kind, REDIS, clock) as counters:
                answers.append((await run_steps(counters, clock, steps))[0])
        assert answers[0] == answers[1]

    asyncio.run(run())


@KINDS
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_nothing_leaks_in_any_order_of_reserving_settling_and_aborting(
    kind: str, steps: list[tuple[str, int, int]]
) -> None:
    """When all is settled and the windows have faded, everything fits again, save for the money that was spent."""

    async def run() -> None:
        clock = Clock()
        async with counters_of_kind(kind, REDIS, clock) as counters:
            said, still_open = await run_steps(counters, clock, steps)
            for claim in still_open:
                counters.settle(claim, 0, 0)
            clock.now += 3 * 86_400_000
            spent = max((entry[2] for entry in said if isinstance(entry, tuple)), default=5)
            everything = plan(
                subject("key:a", requests_per_minute=1, tokens_per_minute=1000, concurrent_requests=1),
                subject("org:o", requests_per_day=1, tokens_per_day=5000, budget=Budget(usd=2e-6, period="day")),
            )
            rest = 2000 - spent
            assert (await counters.acquire(Claim(everything, 1000, rest + 1))).reason == "budget"
            assert await granted(counters, Claim(everything, 1000, rest)) is (rest > 0)

    asyncio.run(run())


@KINDS
@settings(max_examples=40, deadline=None)
@given(steps=STEPS.map(lambda steps: [step for step in steps if step[0] != "wait"]))
def test_windows_hold_what_was_really_used(kind: str, steps: list[tuple[str, int, int]]) -> None:
    async def run() -> None:
        clock = Clock()
        async with counters_of_kind(kind, REDIS, clock) as counters:
            found, tokens, requests = rich_plan(), 0, 0
            counters.learn(found.rules[1], DAY, 0)
            waiting: list[Claim] = []
            for what, one, two in steps:
                if what == "acquire":
                    claim = Claim(found, one, 0)
                    if await granted(counters, claim):
                        waiting.append(claim)
                elif waiting and what == "settle":
                    counters.settle(waiting.pop(one % len(waiting)), two, 0)
                    tokens, requests = tokens + two, requests + 1
                elif waiting:
                    counters.abort(waiting.pop(one % len(waiting)))
            for claim in waiting:
                counters.settle(claim, 7, 0)
                tokens, requests = tokens + 7, requests + 1
            for fields, expected in (({"tokens_per_minute": 1}, tokens), ({"tokens_per_day": 1}, 0)):
                seen = await counters.acquire(Claim(plan(subject("key:a", **fields)), 10**9))
                assert seen.used == expected
            if requests:
                seen = await counters.acquire(Claim(plan(subject("key:a", requests_per_minute=1))))
                assert seen.used == requests

    asyncio.run(run())


async def test_leaving_and_coming_processes_share_one_count(redis_url: str) -> None:
    prefix, found = new_prefix(), plan(subject("key:a", requests_per_day=3))
    for _ in range(3):
        async with shared(redis_url, prefix) as counters:
            assert await granted(counters, Claim(found))
    async with shared(redis_url, prefix) as counters:
        assert not await granted(counters, Claim(found))
    await forget(redis_url, prefix)

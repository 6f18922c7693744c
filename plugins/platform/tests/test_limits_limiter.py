"""Limiter: what a request reserves, what an exchange settles, and what clients read of it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from chatproxy_platform.errors import LimitExceeded
from chatproxy_platform.limits.answers import duration
from chatproxy_platform.limits.estimates import Estimate, estimate
from chatproxy_platform.limits.limiter import Limiter
from chatproxy_platform.limits.memory import MemoryCounters
from chatproxy_platform.usage.prices import Prices

from chatproxy import ChatRequest

from .limiting import Clock, ask, config, context, identity, subject, used


def limiter(clock: Clock | None = None, **tables: object) -> Limiter:
    made = config(**tables)
    return Limiter(made, Prices(made.prices), None, MemoryCounters(clock=clock or Clock()))


async def refused(made: Limiter, *arguments: object) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        await made.reserve(context(), *arguments)  # type: ignore[arg-type]
    return caught.value


async def test_nobody_with_limits_meets_none() -> None:
    ctx = context()
    await limiter().reserve(ctx, identity(subject("key:a")), ask())
    assert ctx.reply_headers == {}
    limiter().settle(ctx, used(ctx, 1, 1), None)


async def test_answer_carries_openais_headers() -> None:
    who = identity(subject("key:a", requests_per_minute=60, tokens_per_minute=5000))
    ctx = context()
    await limiter().reserve(ctx, who, ask(max_tokens=979))
    assert ctx.reply_headers == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "2m0s",
        "x-ratelimit-limit-tokens": "5000",
        "x-ratelimit-remaining-tokens": "4002",
        "x-ratelimit-reset-tokens": "2m0s",
    }


async def test_tightest_of_several_limits_is_the_one_that_is_told() -> None:
    who = identity(subject("key:a", requests_per_minute=60), subject("org:o", requests_per_day=7))
    ctx = context()
    await limiter().reserve(ctx, who, ask())
    assert ctx.reply_headers["x-ratelimit-limit-requests"] == "7"


async def test_refusal_says_what_limit_and_when_to_come_back() -> None:
    made, who = limiter(), identity(subject("org:secret-name", requests_per_minute=1))
    await made.reserve(context(), who, ask())
    error = await refused(made, who, ask())
    assert (error.status, error.code, error.type) == (429, "rate_limit_exceeded", "rate_limit_error")
    assert error.message == (
        "Rate limit reached for this organization: 1 requests per minute, used 1. Try again in 120 s."
    )
    assert error.headers["retry-after"] == "120"
    assert error.headers["x-ratelimit-remaining-requests"] == "0"


async def test_coming_back_when_told_is_let_through() -> None:
    clock, who = Clock(), identity(subject("key:a", requests_per_minute=3, tokens_per_day=5000))
    made = limiter(clock)
    while True:
        try:
            await made.reserve(context(), who, ask(max_tokens=979))
        except LimitExceeded as error:
            clock.now += 1000 * int(error.headers["retry-after"])
            break
    await made.reserve(context(), who, ask(max_tokens=979))


async def test_request_larger_than_its_limit_is_told_so_without_a_time() -> None:
    error = await refused(limiter(), identity(subject("key:a", tokens_per_minute=100)), ask(max_tokens=200))
    assert "retry-after" not in error.headers
    assert "at most 100 tokens" in error.message


async def test_request_without_a_maximum_fits_a_limit_below_the_usual_estimate() -> None:
    ctx, who = context(), identity(subject("key:a", tokens_per_minute=100))
    made = limiter()
    await made.reserve(ctx, who, ask())
    await refused(made, who, ask())
    made.settle(ctx, used(ctx, 5, 5), None)
    assert (await refused(made, who, ask())).headers["x-ratelimit-remaining-tokens"] == "90"


async def test_two_hundred_at_once_never_run_more_than_the_limit() -> None:
    made, who = (
        limiter(),
        identity(subject("key:a", requests_per_minute=100), subject("user:u", concurrent_requests=30)),
    )
    running = peak = admitted = 0

    async def one() -> None:
        nonlocal running, peak, admitted
        ctx = context()
        try:
            await made.reserve(ctx, who, ask())
        except LimitExceeded:
            return
        running, admitted = running + 1, admitted + 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1
        made.settle(ctx, used(ctx, 1, 1), None)

    for _ in range(10):
        await asyncio.gather(*(one() for _ in range(20)))
    await asyncio.gather(*(one() for _ in range(200)))
    assert (peak <= 30, admitted) == (True, 100)


async def test_tokens_go_over_by_at_most_one_reservation() -> None:
    made, who = limiter(), identity(subject("key:a", tokens_per_minute=1000))
    spent = 0
    contexts = [context() for _ in range(200)]

    async def one(ctx: object) -> None:
        nonlocal spent
        try:
            await made.reserve(ctx, who, ask(max_tokens=90))  # type: ignore[arg-type]
        except LimitExceeded:
            return
        spent += 100
        made.settle(ctx, used(ctx, 10, 90), None)  # type: ignore[arg-type]

    await asyncio.gather(*(one(ctx) for ctx in contexts))
    assert 900 <= spent <= 1000 + 110


@pytest.mark.parametrize("outcome", ["completed", "failed", "rejected", "client_disconnected"])
async def test_end_of_whatever_kind_gives_back_what_was_not_used(outcome: str) -> None:
    made, who = limiter(), identity(subject("key:a", tokens_per_minute=1000, concurrent_requests=1))
    for _ in range(20):
        ctx = context()
        await made.reserve(ctx, who, ask(max_tokens=900))
        ctx.exchange.outcome = outcome  # type: ignore[assignment]
        made.settle(ctx, ctx.exchange, None)


async def test_client_that_left_before_any_usage_pays_for_its_prompt() -> None:
    made, who = limiter(), identity(subject("key:a", tokens_per_minute=1000))
    ctx = context()
    await made.reserve(ctx, who, ask(text="x" * 2000, max_tokens=10))
    ctx.begin_attempt("upstream")
    ctx.exchange.outcome = "client_disconnected"
    made.settle(ctx, ctx.exchange, None)
    error = await refused(made, who, ask(max_tokens=900))
    assert int(error.headers["x-ratelimit-remaining-tokens"]) < 500


async def test_models_share_one_limit_for_everybody() -> None:
    made = limiter(limits={"models": {"gpt-*": {"requests_per_minute": 2}}})
    await made.reserve(context(), identity(name="a"), ask("gpt-5"))
    await made.reserve(context(), identity(name="b"), ask("gpt-4"))
    assert "the models 'gpt-*'" in (await refused(made, identity(name="c"), ask("gpt-5"))).message
    await made.reserve(context(), identity(name="c"), ask("other"))


async def test_changed_limits_of_a_key_apply_at_once() -> None:
    made = limiter()
    await made.reserve(context(), identity(subject("key:a", requests_per_minute=1)), ask())
    await made.reserve(context(), identity(subject("key:a", requests_per_minute=2)), ask())
    await refused(made, identity(subject("key:a", requests_per_minute=2)), ask())


async def test_body_that_passes_through_counts_as_a_request_and_its_tokens_at_the_end() -> None:
    made, who = limiter(), identity(subject("key:a", requests_per_minute=9, tokens_per_minute=100))
    ctx = context(surface="audio")
    await made.admit(ctx, who)
    assert ctx.reply_headers["x-ratelimit-remaining-tokens"] == "100"
    made.settle(ctx, used(ctx, 60, 60), None)
    with pytest.raises(LimitExceeded):
        await made.admit(context(surface="audio"), who)


async def test_several_workers_without_redis_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "chatproxy.platform"):
        for workers in (1, 4):
            made = limiter()
            await made.open(workers=workers)
            await made.aclose()
    (message,) = caplog.messages
    assert "4 workers" in message
    assert "redis_url" in message


@pytest.mark.parametrize(
    ("surface", "fields", "expected"),
    [
        ("chat", {}, (1000, False)),
        ("chat", {"max_tokens": 5}, (5, True)),
        ("chat", {"max_tokens": 5, "max_completion_tokens": 7}, (7, True)),
        ("responses", {"max_output_tokens": 9, "n": 3}, (27, True)),
        ("completions", {"max_tokens": 2, "best_of": 4, "n": 2}, (8, True)),
        ("chat", {"max_tokens": True, "n": -1}, (1000, False)),
        ("chat", {"max_tokens": 10**40, "n": 10**40}, (10**9, True)),
        ("chat", {"max_tokens": "many", "n": None}, (1000, False)),
        ("embeddings", {"max_tokens": 7}, (0, True)),
    ],
)
def test_output_is_estimated_by_what_the_client_allows(
    surface: str, fields: dict[str, object], expected: tuple[int, bool]
) -> None:
    found = estimate(surface, ChatRequest({"model": "m", "messages": [], **fields}), 1000)
    assert (found.output_tokens, found.is_bounded) == expected


def test_input_of_a_large_body_is_its_text_without_its_media() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    text = {"type": "text", "text": "x" * 400}
    request = ChatRequest({"model": "m", "messages": [{"role": "user", "content": [text, image]}]})
    assert estimate("chat", request, 10) == Estimate(101, 10, False)


def test_twice_named_field_is_estimated_as_it_is_sent() -> None:
    request = ChatRequest.decode(b'{"model":"m","messages":[],"max_tokens":1,"max_tokens":500}')
    assert estimate("chat", request, 10).output_tokens == 500
    assert request.encode().count(b"max_tokens") == 1


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0ms"), (12, "12ms"), (1500, "1.5s"), (59_000, "59s"), (360_000, "6m0s"), (3_600_001, "1h0m0.001s")],
)
def test_durations_are_written_as_openai_writes_them(ms: int, text: str) -> None:
    assert duration(ms) == text

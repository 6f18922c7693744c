"""Redis that is down, slow or cut off: the policy within the deadline, and nothing left behind afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import redis.asyncio
from chatproxy_platform.errors import LimitExceeded, StorageUnavailable
from chatproxy_platform.limits.counters import Claim, Counters, CountersUnavailable, Verdict
from chatproxy_platform.limits.limiter import Limiter
from chatproxy_platform.limits.redis import RedisCounters
from chatproxy_platform.usage.prices import Prices

from .faults import FaultProxy, fault_proxy
from .limiting import Clock, ask, config, context, forget, granted, identity, new_prefix, plan, shared, subject, used

SOON_S = 0.05


@asynccontextmanager
async def behind_proxy(url: str, **options: object) -> AsyncIterator[tuple[RedisCounters, FaultProxy, str]]:
    """Counters whose Redis can be cut off; short deadlines, no rest after a failure."""
    target, prefix = urlsplit(url), new_prefix()
    async with fault_proxy(target.hostname or "", target.port or 6379) as proxy:
        options = {"deadline_s": SOON_S, "cooling_s": 0.0, **options}
        async with shared(f"redis://127.0.0.1:{proxy.port}/0", prefix, **options) as counters:
            yield counters, proxy, prefix
    await forget(url, prefix)


async def in_the_end(counters: Counters, claim: Claim) -> Verdict:
    """The first answer after an outage."""
    while True:
        try:
            return await counters.acquire(claim)
        except CountersUnavailable:
            await asyncio.sleep(0)


async def test_redis_that_refuses_connections_is_unavailable_and_then_back(redis_url: str) -> None:
    found = plan(subject("key:a", requests_per_day=2, concurrent_requests=1))
    async with behind_proxy(redis_url) as (counters, proxy, _):
        first = Claim(found)
        assert not (await in_the_end(counters, first)).reason
        await proxy.refuse()
        with pytest.raises(CountersUnavailable):
            await counters.acquire(Claim(found))
        assert counters.report()["state"] == "open"
        counters.settle(first, 0, 0)
        await proxy.listen()
        assert not (await in_the_end(counters, Claim(found))).reason
        assert counters.report() == {"counters": "redis", "state": "closed", "waiting": 0, "in_flight": 0}
        assert (await in_the_end(counters, Claim(plan(subject("key:a", requests_per_day=2))))).reason == "requests"


async def test_redis_that_does_not_answer_ends_by_the_deadline(redis_url: str) -> None:
    """The proxy holds everything for as long as the test waits: only the deadline can end it."""
    found = plan(subject("key:a", requests_per_day=10))
    async with behind_proxy(redis_url) as (counters, proxy, _):
        await in_the_end(counters, Claim(found))
        proxy.is_flowing.clear()
        outcomes = await asyncio.gather(*(counters.acquire(Claim(found)) for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {CountersUnavailable}
        proxy.is_flowing.set()


async def test_redis_that_is_slow_from_the_start_ends_by_the_deadline(redis_url: str) -> None:
    async with behind_proxy(redis_url) as (counters, proxy, _):
        proxy.is_flowing.clear()
        with pytest.raises(CountersUnavailable):
            await counters.acquire(Claim(plan(subject("key:a", requests_per_day=10))))
        proxy.is_flowing.set()


async def test_after_a_failure_nothing_is_tried_for_a_while(redis_url: str) -> None:
    found = plan(subject("key:a", requests_per_day=10))
    async with behind_proxy(redis_url, cooling_s=3600.0) as (counters, proxy, _):
        await proxy.refuse()
        for _ in range(3):
            with pytest.raises(CountersUnavailable):
                await counters.acquire(Claim(found))
        await proxy.listen()
        accepted = proxy.accepted
        with pytest.raises(CountersUnavailable):
            await counters.acquire(Claim(found))
        assert proxy.accepted == accepted


async def test_claim_without_an_answer_holds_nothing_afterwards(redis_url: str) -> None:
    """What was held back on the way arrives after the claim was taken back by a later connection."""
    found = plan(subject("key:a", requests_per_day=2, concurrent_requests=2))
    async with behind_proxy(redis_url) as (counters, proxy, _):
        assert not (await in_the_end(counters, Claim(found))).reason
        proxy.is_flowing.clear()
        with pytest.raises(CountersUnavailable):
            await counters.acquire(Claim(found))
        proxy.is_flowing.set()
        second = await in_the_end(counters, Claim(found))
        assert (second.reason, second.requests.remaining) == ("", 0)


async def test_late_command_of_an_old_connection_is_refused(redis_url: str) -> None:
    prefix, found = new_prefix(), plan(subject("key:a", requests_per_day=10))
    async with shared(redis_url, prefix) as counters, redis.asyncio.Redis.from_url(redis_url) as client:
        await counters.acquire(Claim(found))
        (node,) = [key async for key in client.scan_iter(match=f"{prefix}node:*")]
        await client.hset(node, "epoch", 99)
        with pytest.raises(CountersUnavailable):
            await counters.acquire(Claim(found))
        assert int(await client.hlen(node)) == 2
    await forget(redis_url, prefix)


async def test_server_that_lost_its_scripts_and_closed_the_connection_goes_unnoticed(redis_url: str) -> None:
    found = plan(subject("key:a", requests_per_day=10))
    async with behind_proxy(redis_url, deadline_s=30.0) as (counters, proxy, _):
        assert await granted(counters, Claim(found))
        await proxy.refuse()
        await proxy.listen()
        verdict = await counters.acquire(Claim(found))
        assert (verdict.reason, verdict.requests.remaining) == ("", 8)


async def test_claim_whose_answer_was_lost_is_sent_again_and_counts_once(redis_url: str) -> None:
    """The server does what it is told, and the connection ends before it can say so."""
    target, prefix, swallows = urlsplit(redis_url), new_prefix(), [False]
    found = plan(subject("key:a", requests_per_day=10))

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(target.hostname, target.port or 6379)
        while data := await reader.read(1 << 16):
            far_writer.write(data)
            answer = await far_reader.read(1 << 16)
            if swallows.pop():
                break
            writer.write(answer)
            swallows.append(False)
        swallows.append(False)
        far_writer.transport.abort()
        writer.transport.abort()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with shared(f"redis://127.0.0.1:{port}/0", prefix) as counters:
        assert await granted(counters, Claim(found))
        swallows[:] = [True]
        again = Claim(found)
        assert await granted(counters, again)
        assert (await counters.acquire(Claim(found))).requests.remaining == 7
        counters.abort(again)
        assert (await counters.acquire(Claim(found))).requests.remaining == 7
    server.close()
    await server.wait_closed()
    await forget(redis_url, prefix)


async def test_request_that_is_cancelled_while_it_waits_holds_nothing(redis_url: str) -> None:
    found = plan(subject("key:a", requests_per_day=1))
    async with behind_proxy(redis_url, deadline_s=30.0) as (counters, proxy, _):
        await counters.acquire(Claim(plan(subject("key:b", requests_per_day=1))))
        proxy.is_flowing.clear()
        waiting = asyncio.create_task(counters.acquire(Claim(found)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert counters.report()["in_flight"] == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        proxy.is_flowing.set()
        assert await granted(counters, Claim(found))


async def test_reservations_of_a_dead_process_are_given_back(redis_url: str) -> None:
    prefix, clock = new_prefix(), Clock()
    found = plan(subject("key:a", tokens_per_day=1000, requests_per_day=3, concurrent_requests=1))
    dead = RedisCounters(redis_url, prefix=prefix, lease_s=60, clock_ms=clock, deadline_s=30)
    await dead.open()
    assert await granted(dead, Claim(found, 1000))
    async with shared(redis_url, prefix, lease_s=60, clock_ms=clock) as living:
        assert (await living.acquire(Claim(found, 1000))).reason == "concurrency"
        clock.now += 61_000
        living.keep()
        verdict = await living.acquire(Claim(found, 1000))
        assert (verdict.reason, verdict.requests.remaining, verdict.tokens.remaining) == ("", 1, 0)
    await dead.aclose()
    await forget(redis_url, prefix)


# -- policies ---------------------------------------------------------------------------------------------------------

WHO = identity(subject("key:a", requests_per_day=3, concurrent_requests=2))


def limiter(policy: str, counters: Counters) -> Limiter:
    made = config(limits={"on_counter_failure": policy})
    return Limiter(made, Prices(made.prices), None, counters)


async def test_closed_policy_answers_503_while_redis_is_down(redis_url: str) -> None:
    async with behind_proxy(redis_url) as (counters, proxy, _):
        closed = limiter("fail_closed", counters)
        await proxy.refuse()
        with pytest.raises(StorageUnavailable) as caught:
            await closed.reserve(context(), WHO, ask())
        assert (caught.value.status, caught.value.headers["retry-after"]) == (503, "1")


async def test_open_policy_counts_in_this_process_while_redis_is_down(redis_url: str) -> None:
    async with behind_proxy(redis_url) as (counters, proxy, _):
        lenient = limiter("fail_open", counters)
        await proxy.refuse()
        for _ in range(3):
            ctx = context()
            await lenient.reserve(ctx, WHO, ask())
            lenient.settle(ctx, used(ctx, 10, 10), None)
        with pytest.raises(LimitExceeded):
            await lenient.reserve(context(), WHO, ask())
        await proxy.listen()
        assert not (await in_the_end(counters, Claim(plan(*WHO.subjects)))).reason


async def test_exchange_that_ends_while_redis_is_down_is_settled_when_it_is_back(redis_url: str) -> None:
    who = identity(subject("key:a", tokens_per_day=10_000, concurrent_requests=1))
    async with behind_proxy(redis_url) as (counters, proxy, _):
        closed = limiter("fail_closed", counters)
        await in_the_end(counters, Claim(plan(subject("key:b", requests_per_day=9))))
        ctx = context()
        await closed.reserve(ctx, who, ask(max_tokens=9000))
        await proxy.refuse()
        closed.settle(ctx, used(ctx, 10, 20), None)
        with pytest.raises(StorageUnavailable):
            await closed.reserve(context(), who, ask())
        await proxy.listen()
        verdict = await in_the_end(counters, Claim(plan(*who.subjects), 9970))
        assert (verdict.reason, verdict.tokens.remaining) == ("", 0)

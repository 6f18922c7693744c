"""Limits through a whole gateway: many at once, two gateways with one Redis, and Redis that is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import urlsplit

import pytest

from .faults import fault_proxy
from .opened import opened

LIMITS = {"key": {"requests_per_day": 100}}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_two_hundred_at_once_get_a_hundred_answers(sqlite_url: str, stream: bool) -> None:
    async with opened(sqlite_url, tables={"limits": LIMITS}) as found:
        answers = await asyncio.gather(*(found.chat(stream=stream) for _ in range(200)))
    assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 100}


async def test_two_gateways_with_one_redis_let_through_what_one_would(database_url: str, redis_url: str) -> None:
    tables = {"limits": {**LIMITS, "redis_deadline_s": 30.0}, "redis_url": redis_url}
    async with opened(database_url, tables=tables) as one, opened(database_url, tables=tables) as other:
        calls = [gateway.chat(key=one.key) for _ in range(100) for gateway in (one, other)]
        answers = await asyncio.gather(*calls)
    assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 100}


async def test_concurrent_streams_are_limited_and_their_ends_make_room(sqlite_url: str) -> None:
    async with opened(sqlite_url) as found:
        key = await found.new_key(limits={"concurrent_requests": 1})
        headers, body = {"authorization": f"Bearer {key}"}, {"model": "demo", "stream": True}
        body["messages"] = [{"role": "user", "content": "Hello"}]
        for _ in range(3):
            async with found.gateway.client.stream("POST", "/v1/chat/completions", headers=headers, json=body) as first:
                assert first.status_code == 200
                assert (await found.chat(key=key)).status_code == 429


@pytest.mark.parametrize(("policy", "status"), [("fail_closed", 503), ("fail_open", 200)])
async def test_redis_that_is_away_follows_the_policy_and_readyz_tells(
    sqlite_url: str, redis_url: str, policy: str, status: int
) -> None:
    target = urlsplit(redis_url)
    async with fault_proxy(target.hostname or "", target.port or 6379) as proxy:
        tables = {
            "limits": {**LIMITS, "on_counter_failure": policy, "redis_deadline_s": 1.0},
            "redis_url": f"redis://127.0.0.1:{proxy.port}/0",
        }
        await proxy.refuse()
        async with opened(sqlite_url, tables=tables) as found:
            answer = await found.chat()
            ready = (await found.ask("/readyz")).json()
    assert answer.status_code == status
    assert (answer.headers.get("retry-after") == "1") is (status == 503)
    assert ready["plugins"]["platform"]["limits"]["state"] == "open"

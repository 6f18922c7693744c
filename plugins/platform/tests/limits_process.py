"""A process that asks for many reservations at once, for tests with several of them.

Arguments: URL, prefix, limits of requests and of tokens a day, how many to ask for with ten tokens each. It says
``ready``, waits for a line, asks for all at once, says how many were granted, and waits for ``end`` or to be killed.
"""

from __future__ import annotations

import asyncio
import sys

from chatproxy_platform.config import Limits
from chatproxy_platform.identity.records import Identity, Subject
from chatproxy_platform.limits.counters import Claim
from chatproxy_platform.limits.plans import Plans
from chatproxy_platform.limits.redis import RedisCounters


async def main(url: str, prefix: str, requests: int, tokens: int, count: int) -> None:
    limits = Limits(requests_per_day=requests, tokens_per_day=tokens)
    subject = Subject(name="key:shared", limits=limits)
    plan = Plans({}).find(Identity(id="key_a", owner="key:a", subjects=(subject,)), "m")
    assert plan is not None
    counters = RedisCounters(url, prefix=prefix, deadline_s=30)
    await counters.open()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    claims = [Claim(plan, 10) for _ in range(count)]
    verdicts = await asyncio.gather(*(counters.acquire(claim) for claim in claims))
    sys.stdout.write(f"{sum(not verdict.reason for verdict in verdicts)}\n")
    sys.stdout.flush()
    if await asyncio.to_thread(sys.stdin.readline) == "end\n":
        for claim in claims:
            counters.settle(claim, 10, 0)
        await counters.aclose()


asyncio.run(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])))

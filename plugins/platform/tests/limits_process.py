"""A process that asks for many reservations at once, for tests with several of them.

Arguments: URL. It says ``ready``; for each line ``<prefix> <requests a day> <tokens a day> <count>`` it asks for
that many reservations of ten tokens at once, and says how many were granted; at ``end`` it settles them all and ends.
"""

from __future__ import annotations

import asyncio
import sys

from chatproxy_platform.config import Limits
from chatproxy_platform.identity.records import Identity, Subject
from chatproxy_platform.limits.counters import Claim
from chatproxy_platform.limits.plans import Plan, Plans
from chatproxy_platform.limits.redis import RedisCounters


def shared_plan(requests: int, tokens: int) -> Plan:
    subject = Subject(name="key:shared", limits=Limits(requests_per_day=requests, tokens_per_day=tokens))
    plan = Plans({}).find(Identity(id="key_a", owner="key:a", subjects=(subject,)), "m")
    assert plan is not None
    return plan


def say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(url: str) -> None:
    say("ready")
    rounds: list[tuple[RedisCounters, list[Claim]]] = []
    while (line := (await asyncio.to_thread(sys.stdin.readline)).strip()) != "end":
        prefix, requests, tokens, count = line.split()
        counters = RedisCounters(url, prefix=prefix, deadline_s=30)
        await counters.open()
        plan = shared_plan(int(requests), int(tokens))
        claims = [Claim(plan, 10) for _ in range(int(count))]
        verdicts = await asyncio.gather(*(counters.acquire(claim) for claim in claims))
        rounds.append((counters, claims))
        say(sum(not verdict.reason for verdict in verdicts))
    for counters, claims in rounds:
        for claim in claims:
            counters.settle(claim, 10, 0)
        await counters.aclose()


asyncio.run(main(sys.argv[1]))

"""Two processes that share a Redis let no more through than one would."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chatproxy_platform.limits.counters import Claim

from .limiting import forget, new_prefix, plan, shared, subject

PROGRAM = Path(__file__).with_name("limits_process.py")


@asynccontextmanager
async def processes(url: str) -> AsyncIterator[list[Process]]:
    """Two of them, ready."""
    command = [sys.executable, str(PROGRAM), url]
    made = [await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE) for _ in range(2)]
    try:
        assert [await heard(each) for each in made] == ["ready", "ready"]
        yield made
    finally:
        for each in made:
            if each.returncode is None:
                each.kill()
            await each.wait()
            each._transport.close()  # type: ignore[attr-defined]


async def heard(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def say(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()


async def granted_together(made: list[Process], *words: object) -> int:
    for each in made:
        await say(each, " ".join(map(str, words)))
    return sum([int(await heard(each)) for each in made])


async def test_two_processes_let_no_more_through_than_the_limit(redis_url: str) -> None:
    for_requests, for_tokens = new_prefix(), new_prefix()
    async with processes(redis_url) as made:
        assert await granted_together(made, for_requests, 100, 10**6, 200) == 100
        assert await granted_together(made, for_tokens, 10**6, 1000, 200) == 100
    await forget(redis_url, for_requests)
    await forget(redis_url, for_tokens)


async def test_tokens_of_a_killed_process_are_given_back_after_its_lease(redis_url: str) -> None:
    prefix = new_prefix()
    async with processes(redis_url) as made:
        await say(made[0], f"{prefix} 1000 1000 30")
        assert int(await heard(made[0])) == 30
        await say(made[1], f"{prefix} 1000 1000 20")
        assert int(await heard(made[1])) == 20
        made[0].kill()
        await say(made[1], "end")
        await asyncio.gather(*(each.wait() for each in made))
    found = plan(subject("key:shared", tokens_per_day=1000))
    async with shared(redis_url, prefix, clock_ms=an_hour_from_now) as counters:
        counters.keep()
        assert (await counters.acquire(Claim(found, 10))).tokens.remaining == 1000 - 200 - 10
    await forget(redis_url, prefix)


def an_hour_from_now() -> int:
    """After every lease of now has ended, and within the same day's window."""
    return time.time_ns() // 1_000_000 + 3_600_000

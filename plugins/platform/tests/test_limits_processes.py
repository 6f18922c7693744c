"""Two processes that share a Redis let no more through than one would."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from chatproxy_platform.limits.counters import Claim

from .limiting import forget, new_prefix, plan, shared, subject

PROGRAM = Path(__file__).with_name("limits_process.py")


@asynccontextmanager
async def processes(url: str, prefix: str, *arguments: int) -> AsyncIterator[list[Process]]:
    """Two of them, ready."""
    command = [sys.executable, str(PROGRAM), url, prefix, *map(str, arguments)]
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
        await forget(url, prefix)


async def heard(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def say(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()


async def granted_together(made: list[Process]) -> int:
    for each in made:
        await say(each, "go")
    return sum([int(await heard(each)) for each in made])


@pytest.mark.parametrize(("requests", "tokens"), [(100, 10**6), (10**6, 1000)], ids=["requests", "tokens"])
async def test_two_processes_let_no_more_through_than_the_limit(redis_url: str, requests: int, tokens: int) -> None:
    async with processes(redis_url, new_prefix(), requests, tokens, 200) as made:
        assert await granted_together(made) == 100


async def test_killed_process_leaves_its_reservations_to_its_lease(redis_url: str) -> None:
    prefix = new_prefix()
    async with processes(redis_url, prefix, 1000, 1000, 60) as made:
        assert await granted_together(made) == 100
        made[0].kill()
        await say(made[1], "end")
        await asyncio.gather(*(each.wait() for each in made))
        found = plan(subject("key:shared", tokens_per_day=1000))
        async with shared(redis_url, prefix, clock_ms=later) as counters:
            counters.keep()
            left = (await counters.acquire(Claim(found, 10))).tokens.remaining
            assert left in {1000 - 10 * count - 10 for count in range(40, 61)}


def later() -> int:
    """After every lease of now has ended, and within the same day's window."""
    return time.time_ns() // 1_000_000 + 3_600_000

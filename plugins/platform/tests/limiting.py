"""Identities with limits, contexts, and counters of each kind with a clock that tests move."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import redis.asyncio
from chatproxy_platform.config import Budget, Config, Limits
from chatproxy_platform.identity.records import Identity, Subject
from chatproxy_platform.limits.counters import Claim, Counters
from chatproxy_platform.limits.memory import MemoryCounters
from chatproxy_platform.limits.plans import Plan, Plans
from chatproxy_platform.limits.redis import RedisCounters

from chatproxy import App, ChatRequest, Exchange, RequestContext, Usage
from chatproxy.types import CHAT

DAY = "2026-11-21"


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_795_262_400_000

    def __call__(self) -> int:
        return self.now


def subject(name: str, *, budget: Budget | None = None, **limits: Any) -> Subject:
    return Subject(name=name, limits=Limits(**limits), budget=budget)


def identity(*subjects: Subject, name: str = "a") -> Identity:
    return Identity(id=f"key_{name}", key_id=name, owner=f"key:{name}", subjects=subjects)


def plan(*subjects: Subject) -> Plan:
    found = Plans({}).find(identity(*subjects), "m")
    assert found is not None
    return found


def context(model: str = "m", surface: str = "chat") -> RequestContext:
    exchange = Exchange(request_id=secrets.token_hex(4), model=model, surface=surface)
    ctx = RequestContext(app=cast("App", None), exchange=exchange, layout=CHAT)
    ctx.is_exchange = True
    return ctx


def ask(model: str = "m", text: str = "Hi", **fields: Any) -> ChatRequest:
    return ChatRequest({"model": model, "messages": [{"role": "user", "content": text}], **fields})


def used(ctx: RequestContext, prompt: int = 0, completion: int = 0) -> Exchange:
    ctx.exchange.usage = Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
    ctx.exchange.outcome = "completed"
    return ctx.exchange


def new_prefix() -> str:
    return f"chatproxy-test:{{{secrets.token_hex(8)}}}:"


@asynccontextmanager
async def shared(url: str, prefix: str, **options: Any) -> AsyncIterator[RedisCounters]:
    """Counters in Redis, opened."""
    counters = RedisCounters(url, prefix=prefix, **{"deadline_s": 30.0, "day": lambda: DAY, **options})
    await counters.open()
    try:
        yield counters
    finally:
        await counters.aclose()


async def forget(url: str, prefix: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        async for key in client.scan_iter(match=f"{prefix}*", count=1000):
            await client.delete(key)


@asynccontextmanager
async def counters_of_kind(kind: str, url: str, clock: Clock) -> AsyncIterator[Counters]:
    """Counters of this process (``memory``) or shared ones (``redis``)."""
    if kind == "memory":
        yield MemoryCounters(clock=clock, day=lambda: DAY)
        return
    prefix = new_prefix()
    async with shared(url, prefix, clock_ms=clock) as counters:
        yield counters
    await forget(url, prefix)


async def granted(counters: Counters, claim: Claim) -> bool:
    return not (await counters.acquire(claim)).reason


def config(**tables: Any) -> Config:
    return msgspec.convert(tables, Config)

"""The watchdog names the plugin that blocks the loop, takes memory or leaks tasks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.hooks.cases import Plugin

from chatproxy.plugins import watchdog
from chatproxy.testing import make_app


class Awaited(logging.Handler):
    """Collects messages and lets a test wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.messages: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.loop.call_soon_threadsafe(self.messages.put_nowait, record.getMessage())

    async def wait_for(self, part: str) -> str:
        while part not in (message := await self.messages.get()):
            continue
        return message


@pytest.fixture
async def log() -> AsyncIterator[Awaited]:
    handler = Awaited()
    logger = logging.getLogger("chatproxy.plugins")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "SAMPLE_S", 0.02)
    monkeypatch.setattr(watchdog, "BLOCKED_S", 0.1)
    monkeypatch.setattr(watchdog, "MEMORY_JUMP_BYTES", 64 << 20)
    monkeypatch.setattr(watchdog, "TASKS_EVERY", 2)


async def test_blocked_loop_is_reported_with_its_plugin(log: Awaited) -> None:
    async def block() -> None:
        time.sleep(0.5)  # noqa: ASYNC251 - the fault under test

    async with make_app(plugins=[Plugin("sleepy", before_request=block)]) as app:
        await app.chat("hi")
        message = await log.wait_for("blocked")
        report = (await app.client.get("/readyz")).json()
    assert "'sleepy'" in message
    assert "test_watchdog.py" in message
    assert report["event_loop_blocked"] == {"sleepy": 1}


async def test_memory_jump_names_the_plugin_that_ran(log: Awaited) -> None:
    kept: list[Any] = []

    async def take() -> None:
        kept.append(bytearray(b"x") * (256 << 20))

    async with make_app(plugins=[Plugin("greedy", before_request=take)]) as app:
        await app.chat("hi")
        message = await log.wait_for("memory grew")
    assert "greedy" in message


async def test_leaked_tasks_name_their_plugin(log: Awaited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "TASKS_PER_PLUGIN", 10)
    gate = asyncio.Event()
    leaked: list[asyncio.Task[bool]] = []

    async def wait() -> bool:
        return await gate.wait()

    async def leak() -> None:
        leaked.extend(asyncio.ensure_future(wait()) for _ in range(20))

    async with make_app(plugins=[Plugin("leaky", before_request=leak)]) as app:
        await app.chat("hi")
        message = await log.wait_for("tasks running")
    gate.set()
    await asyncio.gather(*leaked)
    assert "'leaky' has 20 tasks" in message

"""What the gateway tells telemetry about itself: exchanges, plugins, their queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.hooks.cases import Plugin, gateway, hang, policy

from chatproxy import hookimpl
from chatproxy.testing import Fault, Recorder, Scripted, ScriptedUpstream
from chatproxy.types import App, GatewayStats


class Watching:
    """A plugin that keeps what it needs to look at the gateway."""

    chatproxy_name = "watching"
    app: App

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        self.app = app
        yield


async def test_exchanges_in_flight_are_counted() -> None:
    watching, upstream, recorder = Watching(), ScriptedUpstream(Scripted(fault=Fault.STALL_BEFORE)), Recorder()
    async with gateway(watching, recorder, upstream=upstream, max_concurrency=7) as app:
        before = watching.app.stats()
        asked = [asyncio.ensure_future(app.chat("hi")) for _ in range(2)]
        await upstream.wait_asked(2)
        during = watching.app.stats()
        for request in asked:
            request.cancel()
        await recorder.wait(2)
        after = watching.app.stats()
    assert [(stats.in_flight, stats.max_in_flight) for stats in (before, during, after)] == [(0, 7), (2, 7), (0, 7)]
    assert not during.draining


async def test_calls_and_failures_are_counted_by_plugin() -> None:
    async def broken() -> None:
        raise ValueError("no")

    watching, recorder = Watching(), Recorder()
    bad = Plugin("bad", before_request=broken)
    settings = policy("bad", on_error="quarantine", quarantine_after=2)
    async with gateway(watching, recorder, bad, **settings) as app:
        for _ in range(3):
            await app.chat("hi")
        await recorder.wait(3)
        stats = watching.app.stats()
    assert set(stats.plugins) >= {"watching", "recorder", "bad"}
    found = stats.plugins["bad"]
    assert (found.calls, found.failures, found.skipped, found.quarantined) == (2, 2, 1, True)
    assert (stats.plugins["recorder"].failures, stats.plugins["recorder"].quarantined) == (0, False)


async def test_background_calls_that_wait_and_that_were_dropped_are_counted() -> None:
    entered = asyncio.Event()

    async def slow(exchange: Any) -> None:
        entered.set()
        await hang()

    watching = Watching()
    async with gateway(watching, Plugin("slow", after_response=slow)) as app:
        await app.chat("hi")
        await app.chat("hi")
        await entered.wait()
        waiting = watching.app.stats().plugins["slow"]
    assert (waiting.telemetry_waiting, waiting.telemetry_dropped) == (2, 0)
    dropped = watching.app.stats().plugins["slow"]
    assert (dropped.telemetry_waiting, dropped.telemetry_dropped) == (0, 2)


def test_an_app_without_a_gateway_says_nothing() -> None:
    store: Any = object()
    app = App(version="1", session_store=store, settings={})
    assert app.stats() == GatewayStats()
    assert app.redact("sk-123") == "sk-123"


async def test_secrets_of_the_gateway_are_taken_out_for_plugins() -> None:
    watching, key = Watching(), "canary-0123456789-key"
    async with gateway(watching, upstream_api_key=key) as app:
        await app.chat("hi")
        cleaned = watching.app.redact(f"it was {key} and Bearer sk-proj-abcdefghijklmnop1234")
    assert "canary" not in cleaned
    assert "abcdefghijklmnop" not in cleaned
    assert cleaned.startswith("it was ")

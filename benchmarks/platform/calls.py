"""Counting: how many Python and C functions run for one event of a stream, with keys and limits and without.

Rule: in memory and without a clock, so that nothing is a matter of luck. ``python -m benchmarks.platform.calls``
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import chatproxy_platform.plugin
import msgspec
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec
from chatproxy_platform.platform import Platform

from benchmarks.platform.databases import REDIS
from benchmarks.platform.gateways import Name
from benchmarks.platform.results import Calls
from chatproxy import App, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, make_app, stream_reply

COUNTED: tuple[Name, ...] = ("without", "memory", "redis")
_FEW, _MANY = 100, 300
_LIMITS = {"requests_per_minute": 10**9, "tokens_per_minute": 10**12, "concurrent_requests": 10**5}
_FAR_S = 3600.0  # nothing may happen in between


class _KeyMaker:
    """Makes a key as soon as the platform runs."""

    def __init__(self) -> None:
        self.key = ""

    @hookimpl(trylast=True)
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        _, self.key = await app.plugin(Platform).keys.create(OPERATOR, KeySpec(name="benchmark"))
        yield


def _settings(name: Name, folder: Path) -> dict[str, Any]:
    return {
        "database_url": f"sqlite+aiosqlite:///{folder / 'platform.db'}",
        "redis_url": REDIS if name == "redis" else None,
        "allowed_hosts": ["gateway"],
        "keys": {"revocation_s": _FAR_S, "bootstrap": False},
        "limits": {"key": _LIMITS},
        "sessions": {"enabled": False},
        "usage": {"flush_interval_s": _FAR_S},
    }


def _gateway(name: Name, folder: Path, maker: _KeyMaker) -> Gateway:
    upstream = ScriptedUpstream(*(stream_reply(["word"] * size) for size in (_FEW, _FEW, _MANY)))
    if name == "without":
        return make_app(upstream=upstream)
    plugins: Sequence[object] = [chatproxy_platform.plugin, maker]
    return make_app(plugins=plugins, plugin_settings={"platform": _settings(name, folder)}, upstream=upstream)


async def calls_per_event(name: Name) -> Calls:
    """Functions called for each event of a chat stream; those of the request itself cancel out."""
    maker = _KeyMaker()
    with TemporaryDirectory(prefix="bench-calls-") as folder:
        async with _gateway(name, Path(folder), maker) as gateway:
            await _stream(gateway, maker.key)
            counted = []
            for _ in (_FEW, _MANY):
                counter = _Counter()
                sys.setprofile(counter)
                await _stream(gateway, maker.key)
                sys.setprofile(None)
                counted.append(counter.count)
    per_event = (counted[1] - counted[0]) / (_MANY - _FEW)
    return Calls(gateway=name, per_event=round(per_event, 1))  # a timer may run in between


async def _stream(gateway: Gateway, key: str) -> None:
    body = {"model": "mock", "messages": [{"role": "user", "content": "Go."}], "stream": True}
    answer = await gateway.client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    answer.raise_for_status()


class _Counter:
    """Counts calls, resumed generators and coroutines among them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.count += event in {"call", "c_call"}


if __name__ == "__main__":
    print(msgspec.json.encode([asyncio.run(calls_per_event(name)) for name in COUNTED]).decode())

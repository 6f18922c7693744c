"""Counting: how many Python and C functions run for one event of a stream, with the plugin and without.

Rule: in memory and without a clock, so that nothing is a matter of luck: two gateways that count the same do the same.
"""

from __future__ import annotations

import asyncio
import sys
from types import FrameType
from typing import Any

import chatproxy_mcp

from chatproxy.testing import ScriptedUpstream, make_app, stream_reply

_FEW, _MANY = 100, 300
_SERVERS = {"somewhere": {"url": "http://127.0.0.1:9/mcp"}}
_SETTINGS: dict[str, dict[str, Any] | None] = {
    "without": None,
    "no servers": {},
    "off": {"mode": "off", "servers": _SERVERS, "pinning": "off"},
}


def calls_per_event() -> dict[str, float]:
    """By gateway: functions called for each event of a chat stream; those of the request itself cancel out."""
    return {name: asyncio.run(_calls(settings)) for name, settings in _SETTINGS.items()}


async def _calls(settings: dict[str, Any] | None) -> float:
    plugins = [] if settings is None else [chatproxy_mcp]
    tables = {} if settings is None else {"mcp": settings}
    upstream = ScriptedUpstream(*(stream_reply(["word"] * size) for size in (_FEW, _FEW, _MANY)))
    async with make_app(plugins=plugins, plugin_settings=tables, upstream=upstream) as gateway:
        await gateway.chat("Go.", stream=True)
        counted = []
        for _ in (_FEW, _MANY):
            counter = _Counter()
            sys.setprofile(counter)
            await gateway.chat("Go.", stream=True)
            sys.setprofile(None)
            counted.append(counter.count)
    return round((counted[1] - counted[0]) / (_MANY - _FEW), 1)  # a timer may run in between


class _Counter:
    """Counts calls, resumed generators and coroutines among them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.count += event in {"call", "c_call"}

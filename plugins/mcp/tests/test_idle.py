"""Idle: what the plugin costs streams that have no tools."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import chatproxy_mcp
import pytest

from chatproxy.testing import Gateway, ScriptedUpstream, make_app, stream_reply

FEW, MANY = 20, 220
SERVERS = {"somewhere": {"url": "http://127.0.0.1:9/mcp"}}


async def calls_in(gateway: Gateway, path: str) -> int:
    """How many functions of the modules under a path run for one streamed answer; what is resumed counts again."""
    count = 0

    def note(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call" and path in frame.f_code.co_filename

    sys.setprofile(note)
    try:
        answer = await gateway.chat("Go.", stream=True)
    finally:
        sys.setprofile(None)
    assert answer.text.endswith("data: [DONE]\n\n")
    return count


@pytest.mark.parametrize(
    "settings", [{}, {"mode": "off", "servers": SERVERS, "pinning": "off"}], ids=["no servers", "off"]
)
async def test_a_stream_event_without_tools_runs_nothing_of_the_plugin(settings: dict[str, Any]) -> None:
    upstream = ScriptedUpstream(*(stream_reply(["word"] * size) for size in (FEW, FEW, MANY)))
    plugins: dict[str, Any] = {"plugins": [chatproxy_mcp], "plugin_settings": {"mcp": settings}}
    async with make_app(upstream=upstream, **plugins) as gateway:
        await gateway.chat("Go.", stream=True)
        few, many = [await calls_in(gateway, "chatproxy_mcp") for _ in (FEW, MANY)]
    assert few > 0
    assert (many - few) // (MANY - FEW) == 0  # the catalogue may look at its file of pins meanwhile

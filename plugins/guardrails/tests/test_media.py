"""Tool results with media: texts are checked, what is encoded stays whole."""

from __future__ import annotations

from typing import Any

import chatproxy_guardrails
import pytest

from chatproxy import RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.testing import make_app

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
SOUND = {"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}
LINK = {"type": "image_url", "image_url": {"url": "https://x.example/aGVsbG8="}}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Runs:
    """A plugin that runs a tool in every exchange."""

    def __init__(self, content: list[dict[str, Any]]) -> None:
        self.content = content
        self.got: Any = None

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: Any, call_next: Any) -> Any:
        async def run(call: ToolCall) -> ToolResult:
            return ToolResult(content=self.content)

        self.got = (await ctx.call_tool(ToolCall(id="1", name="look", arguments={}), run)).content
        return await call_next(request)


async def test_encoded_media_and_kinds_stay_whole_where_a_pattern_fits_them() -> None:
    patterns = [{"name": "code", "pattern": "(?:aGVsbG8=|image|wav)"}]
    policy = {
        "name": "p",
        "check": "regex",
        "options": {"patterns": patterns},
        "action": "redact",
        "on": ["tool_results"],
    }
    runs = Runs([{"type": "text", "text": "an image: aGVsbG8="}, IMAGE, SOUND, LINK])
    settings = {"guardrails": {"policy": [policy]}}
    async with make_app(plugins=[chatproxy_guardrails, runs], plugin_settings=settings) as gateway:
        await gateway.chat("Hi")
    text, image, sound, link = runs.got
    assert text["text"].count("[REDACTED") == 2
    assert (image, sound) == (IMAGE, SOUND)
    assert "REDACTED" in link["image_url"]["url"]

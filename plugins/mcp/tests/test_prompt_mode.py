"""Tools as text, for models that cannot call them: the same loop, on every surface."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.testing.matrix import Cell, Said, cells_with

from .asking import CLOCK, answering, clock_config, gateway_of, saying
from .servers import SdkServer

CALL = '<tool_call>\n{"name": "clock__echo", "arguments": {"text": "round and round"}}\n</tool_call>'
ASKS = Said(content=f"Let me look.\n\n{CALL}", usage=(10, 5))
SAYS = Said(content="It is noon.", usage=(30, 7))


@pytest.fixture(scope="module")
def server() -> Any:
    with SdkServer(**CLOCK) as running:
        running.answer = answering({"now": "12:00 sharp"})
        yield running


@pytest.mark.parametrize("cell", cells_with(calls=True), ids=str)
async def test_a_call_in_the_text_is_run_and_never_shown(cell: Cell, server: SdkServer) -> None:
    upstream = saying(cell, ASKS, SAYS)
    async with gateway_of(upstream, clock_config(server, mode="prompt"), cell=cell) as gateway:
        heard = await cell.ask(gateway, "What time is it?")
    assert (heard.status, heard.error, heard.is_complete) == (200, None, True)
    shown = [heard.content] + ([heard.whole.content] if heard.whole is not None else [])
    for text in shown:
        assert "tool_call" not in text
        assert "clock__echo" not in text
        assert text.replace("\n", "").replace(" ", "") == "Letmelook.Itisnoon."
    assert heard.usage == (40, 12)
    first, second = upstream.requests
    assert cell.upstream_dialect.tool_names(first.json) == []
    assert b"clock__now" in first.body
    assert b"tool_response" in second.body
    assert b"round and round" in second.body.split(b"tool_response", 1)[1]


async def test_tools_that_wait_for_a_word_are_not_offered_as_text(server: SdkServer) -> None:
    cell = cells_with(calls=True)[0]
    upstream = saying(cell, SAYS)
    config = clock_config(server, mode="prompt", server_approval=["now"])
    async with gateway_of(upstream, config, cell=cell) as gateway:
        await cell.ask(gateway, "Hi")
    assert b"clock__echo" in upstream.requests[0].body
    assert b"clock__now" not in upstream.requests[0].body


async def test_a_model_has_its_own_mode(server: SdkServer) -> None:
    cell = cells_with(calls=True)[0]
    config = clock_config(server, models={"small-*": {"mode": "prompt"}, "mute": {"mode": "off"}})
    for model, has_tools, has_text in (("gpt", True, False), ("small-1", False, True), ("mute", False, False)):
        upstream = saying(cell, SAYS)
        async with gateway_of(upstream, config, cell=cell) as gateway:
            heard = await cell.ask(gateway, "Hi", model=model)
        assert heard.content == "It is noon."
        [request] = upstream.requests
        assert ("tools" in request.json) == has_tools
        assert (b"<tool_call>" in request.body) == has_text

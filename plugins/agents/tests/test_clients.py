"""A real client over a real socket: openai-python, streams, and clients that leave at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import uvicorn
from openai import AsyncOpenAI, InternalServerError

from chatproxy.testing import Gateway
from chatproxy.testing.matrix import CELLS, Cell

from .agentapi import AgentApi
from .asking import QUICK, ask, gateway_of, reported, said

TEXT = "First I look.\nThen I write.\nDone."


@asynccontextmanager
async def served(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    """A client of the gateway behind a socket."""
    config = uvicorn.Config(gateway.app, port=0, log_level="error", http="chatproxy.server:GatewayProtocol", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while True:
        if server.started:
            break
        assert not serving.done(), serving.result()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with AsyncOpenAI(api_key="none", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0) as client:
            yield client
    finally:
        server.should_exit = True
        await serving


async def grow(agent: AgentApi, text: str) -> None:
    lines = TEXT.split("\n")
    for at in range(len(lines)):
        agent.show("\n".join([*lines[: at + 1], f"* Thinking… ({at}s)"]))
        await asyncio.sleep(0.005)
    agent.show(TEXT)


async def test_openai_python_hears_the_whole_answer(agent: AgentApi) -> None:
    agent.script = grow
    async with served(gateway_of(agent, **QUICK)) as client:
        whole = await client.chat.completions.create(model="coder", messages=[{"role": "user", "content": "Go"}])
        assert whole.choices[0].message.content == TEXT
        stream = await client.chat.completions.create(
            model="coder", messages=[{"role": "user", "content": "Go on"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(pieces) == TEXT


async def test_openai_python_is_told_of_a_failure(agent: AgentApi) -> None:
    agent.faults["/message"] = ["reset"]
    async with served(gateway_of(agent, **QUICK)) as client:
        with pytest.raises(InternalServerError) as caught:
            await client.chat.completions.create(model="coder", messages=[{"role": "user", "content": "Go"}])
    assert (caught.value.status_code, caught.value.code) == (502, "agent_disconnected")


async def test_clients_that_leave_at_any_moment_leave_nothing_behind(agent: AgentApi) -> None:
    agent.script = grow
    rng = Random(7)  # noqa: S311 - a choice of moments
    async with gateway_of(agent, **QUICK) as gateway:
        for at in range(60):
            asking = asyncio.create_task(ask(gateway, "Go", stream=at % 2 == 0))
            await asyncio.wait([asking], timeout=rng.random() * 0.03)
            asking.cancel()
            await asyncio.wait([asking])
        agent.script = fine
        assert said(await ask(gateway, "Go")) == "Fine."
        report = await reported(gateway, lambda report: report["agents"]["coder"]["state"] != "working")
    assert report["agents"]["coder"]["waiting"] == 0
    await agent.until(lambda: agent.connections == 0)


async def fine(agent: AgentApi, text: str) -> None:
    agent.show("Fine.")


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.is_native and cell.is_streamed], ids=str)
async def test_an_agent_that_is_silent_for_long_keeps_the_stream_alive(agent: AgentApi, cell: Cell) -> None:
    async def think(agent: AgentApi, text: str) -> None:
        await agent.count("/status", 3)
        agent.show("At last.")

    agent.script = think
    limits: dict[str, Any] = {**QUICK, "keepalive_s": 0.01, "probe_s": 0.02}
    async with gateway_of(agent, **limits) as gateway:
        heard = await cell.ask(gateway, "Go", model="coder")
    assert (heard.content, heard.error, heard.is_complete) == ("At last.", None, True)

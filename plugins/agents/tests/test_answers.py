"""An agent's answers: on every surface, buffered and streamed."""

from __future__ import annotations

import asyncio
import json

import pytest

from chatproxy.testing.matrix import CELLS, Cell

from .agentapi import AgentApi
from .asking import QUICK, ask, gateway_of, pieces, said

NATIVE = [cell for cell in CELLS if cell.is_native]
TEXT = "First I look.\nThen I write.\n\nDone: it works."


async def grow(agent: AgentApi, text: str) -> None:
    """The screen grows by lines, under a spinner that turns."""
    lines = TEXT.split("\n")
    for at in range(len(lines)):
        agent.show("\n".join([*lines[: at + 1], f"* Thinking… ({at}s)"]))
        await asyncio.sleep(0.01)
    agent.show(TEXT)


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_an_agent_answers_on_every_surface(agent: AgentApi, cell: Cell) -> None:
    agent.script = grow
    async with gateway_of(agent, hold_lines=1, settle_s=0) as gateway:
        heard = await cell.ask(gateway, "Build it", model="coder")
    assert (heard.status, heard.content, heard.error, heard.is_complete) == (200, TEXT, None, True)
    assert agent.sent() == ["Build it"]


async def test_a_stream_brings_lines_as_they_settle(agent: AgentApi) -> None:
    heard = asyncio.Event()

    async def write(agent: AgentApi, text: str) -> None:
        agent.show("First.\nSecond.\n* Thinking…")
        await heard.wait()
        agent.show("First.\nSecond.\nThird.")

    agent.script = write
    body = {"model": "coder", "stream": True, "messages": [{"role": "user", "content": "Go"}]}
    said = ""
    async with (
        gateway_of(agent, hold_lines=1, settle_s=0.05) as gateway,
        gateway.client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                (choice,) = json.loads(line.removeprefix("data: "))["choices"]
                said += choice["delta"].get("content") or ""
            if said == "First.\nSecond.":
                heard.set()
    assert said == "First.\nSecond.\nThird."


async def test_one_agent_after_another_answer_follows(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        assert said(await ask(gateway, "One")) == "You said: One"
        assert said(await ask(gateway, "One", "You said: One", "Two")) == "You said: Two"
    assert agent.sent() == ["One", "Two"]
    assert agent.listeners == 0


async def test_models_list_the_agents(agent: AgentApi) -> None:
    async with gateway_of(agent, description="Writes code") as gateway:
        listed = (await gateway.client.get("/v1/models")).json()["data"]
    (model,) = [entry for entry in listed if entry["id"] == "coder"]
    assert (model["owned_by"], model["provider"], model["description"]) == (
        "chatproxy-agents",
        "agentapi",
        "Writes code",
    )


async def test_an_answer_of_thousands_of_updates_is_whole(agent: AgentApi) -> None:
    lines = [f"line {at} of the work" for at in range(2000)]

    async def write(agent: AgentApi, text: str) -> None:
        for at in range(0, len(lines), 5):
            agent.show("\n".join(lines[: at + 5]))
            await asyncio.sleep(0)

    agent.script = write
    async with gateway_of(agent, **QUICK) as gateway:
        assert "".join(pieces(await ask(gateway, "Go", stream=True))) == "\n".join(lines)


async def test_an_answer_without_text_is_an_answer(agent: AgentApi) -> None:
    async def nothing(agent: AgentApi, text: str) -> None:
        agent.show("")

    agent.script = nothing
    async with gateway_of(agent, **QUICK) as gateway:
        answer = await ask(gateway, "Go")
    assert answer.status_code == 200
    assert not answer.json()["choices"][0]["message"]["content"]


async def test_another_person_at_the_agent_ends_the_answer_before_their_message(agent: AgentApi) -> None:
    async def interrupted(agent: AgentApi, text: str) -> None:
        agent.show("Mine.")
        agent.messages += [
            {"id": 3, "role": "user", "content": "Hey", "time": "t"},
            {"id": 4, "role": "agent", "content": "Theirs.", "time": "t"},
        ]
        for message in agent.messages[-2:]:
            agent.tell("message_update", {**message, "message": message["content"]})
        await asyncio.Event().wait()

    agent.script = interrupted
    async with gateway_of(agent, **QUICK) as gateway:
        assert said(await ask(gateway, "Go")) == "Mine."

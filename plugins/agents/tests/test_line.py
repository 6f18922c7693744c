"""One request at a time: the others wait in their order, or are told to come back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .agentapi import AgentApi
from .asking import QUICK, ask, error_of, gateway_of, said, waiting


class Gated:
    """A script that waits for its gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def __call__(self, agent: AgentApi, text: str) -> None:
        agent.show("Working")
        opened, stopped = (asyncio.create_task(event.wait()) for event in (self.gate, agent.interrupted))
        await asyncio.wait((opened, stopped), return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        stopped.cancel()
        agent.show(f"Done with {text}")


@pytest.fixture
def script(agent: AgentApi) -> Gated:
    agent.script = gated = Gated()
    return gated


async def test_requests_are_answered_in_the_order_they_came(agent: AgentApi, script: Gated) -> None:
    texts = [f"request {at}" for at in range(6)]
    async with gateway_of(agent, **QUICK) as gateway:
        asking = []
        for at, text in enumerate(texts):
            asking.append(asyncio.create_task(ask(gateway, text)))
            await (waiting(gateway, at) if at else agent.count("/message"))
        script.gate.set()
        answers = await asyncio.gather(*asking)
    assert [text.splitlines()[-1] for text in agent.sent()] == texts
    assert all(said(answer).endswith(text) for text, answer in zip(texts, answers, strict=True))


async def test_one_too_many_is_told_to_come_back(agent: AgentApi, script: Gated) -> None:
    async with gateway_of(agent, queue_limit=1, **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.count("/message")
        second = asyncio.create_task(ask(gateway, "Second"))
        await waiting(gateway, 1)
        third = await ask(gateway, "Third", stream=True)
        assert error_of(third) == (503, "agent_queue_full")
        assert int(third.headers["retry-after"]) >= 1
        script.gate.set()
        assert "First" in said(await first)
        assert "Second" in said(await second)


async def test_one_that_waits_too_long_is_told_to_come_back(agent: AgentApi, script: Gated) -> None:
    async with gateway_of(agent, queue_timeout_s=0.1, **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.count("/message")
        late = await ask(gateway, "Second")
        assert error_of(late) == (503, "agent_queue_timeout")
        assert int(late.headers["retry-after"]) >= 1
        script.gate.set()
        assert "First" in said(await first)


async def test_with_no_queue_a_second_request_is_refused_at_once(agent: AgentApi, script: Gated) -> None:
    async with gateway_of(agent, queue_limit=0, **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.count("/message")
        assert error_of(await ask(gateway, "Second")) == (503, "agent_queue_full")
        script.gate.set()
        assert "First" in said(await first)
        assert "Third" in said(await ask(gateway, "Third"))


async def test_agents_do_not_wait_for_each_other(agent: AgentApi, script: Gated) -> None:
    async with AgentApi() as other, gateway_of(agent, other, **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.count("/message")
        assert said(await ask(gateway, "Second", model="coder-1")) == "You said: Second"
        script.gate.set()
        await first


async def test_one_that_leaves_the_queue_makes_room(agent: AgentApi, script: Gated) -> None:
    async with gateway_of(agent, queue_limit=1, **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.count("/message")
        second = asyncio.create_task(ask(gateway, "Second"))
        await waiting(gateway, 1)
        await cancelled(second)
        await waiting(gateway, 0)
        third = asyncio.create_task(ask(gateway, "Third"))
        await waiting(gateway, 1)
        script.gate.set()
        await first
        assert "Third" in said(await third)
    assert not any("Second" in text for text in agent.sent())


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_a_client_that_leaves_interrupts_the_agent(agent: AgentApi, script: Gated, stream: bool) -> None:
    async with gateway_of(agent, interrupt="\x03", **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First", stream=stream))
        await agent.count("/message")
        await agent.count("/events")
        await cancelled(first)
        await agent.interrupted.wait()
        script.gate.set()
        assert "Second" in said(await ask(gateway, "Second"))
    assert agent.typed == ["\x03"]
    assert agent.listeners == 0


async def test_a_client_that_leaves_mid_stream_interrupts_the_agent(agent: AgentApi) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        agent.show("One line.\nAnother.\nA third.")
        await agent.interrupted.wait()

    agent.script = write
    body = {"model": "coder", "stream": True, "messages": [{"role": "user", "content": "Go"}]}
    async with gateway_of(agent, **QUICK) as gateway:
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if "Another" in line:
                    break
        await agent.interrupted.wait()
        await agent.until(lambda: agent.listeners == 0)
    assert agent.typed == ["\x1b"]


async def test_without_interrupt_keys_the_agent_goes_on(agent: AgentApi, script: Gated) -> None:
    async with gateway_of(agent, interrupt="", **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.count("/message")
        await cancelled(first)
        second = asyncio.create_task(ask(gateway, "Second"))
        await agent.count("/events", 2)
        script.gate.set()
        assert "Second" in said(await second)
    assert agent.typed == []


async def test_a_client_that_leaves_while_the_agent_is_busy_types_nothing(agent: AgentApi) -> None:
    agent.status = "running"
    async with gateway_of(agent, **QUICK) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.until(lambda: agent.listeners == 1)
        await cancelled(first)
        await agent.until(lambda: agent.listeners == 0)
        agent.set_status("stable")
        assert said(await ask(gateway, "Second")) == "You said: Second"
    assert agent.typed == []


async def cancelled(asking: asyncio.Task[Any]) -> None:
    """A client that leaves."""
    asking.cancel()
    await asyncio.wait([asking])

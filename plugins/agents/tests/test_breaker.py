"""An agent that fails again and again is left alone for a while; and what `/health` says of agents."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chatproxy_agents import AgentsPlugin
from chatproxy_agents.breaker import Breaker, worst

from chatproxy.testing import make_app

from .agentapi import AgentApi
from .asking import QUICK, ask, error_of, gateway_of, reported, said, waiting

NEVER: dict[str, Any] = {**QUICK, "breaker_failures": 2, "breaker_cooldown_s": 1000}
ALWAYS: dict[str, Any] = {**QUICK, "breaker_failures": 2, "breaker_cooldown_s": 1e-6}


class Clock:
    """Seconds that stand still."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_breaker_opens_half_opens_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(2, 10, clock)
    breaker.failed()
    assert (breaker.state, breaker.wait_s) == ("closed", 0)
    breaker.failed()
    assert (breaker.state, breaker.wait_s) == ("open", 10)
    clock.now_s += 4
    assert (breaker.state, breaker.wait_s) == ("open", 6)
    clock.now_s += 6
    assert (breaker.state, breaker.wait_s) == ("half_open", 0)
    breaker.failed()
    assert (breaker.state, breaker.wait_s) == ("open", 10)
    clock.now_s += 10
    breaker.succeeded()
    assert (breaker.state, breaker.wait_s) == ("closed", 0)


def test_a_success_forgets_failures() -> None:
    breaker = Breaker(2, 10, Clock())
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"


@pytest.mark.parametrize(
    ("states", "state"),
    [([], "closed"), (["closed", "half_open"], "half_open"), (["open", "half_open", "closed"], "open")],
)
def test_the_worst_state_speaks_for_all(states: list[Any], state: str) -> None:
    assert worst(states) == state


async def test_failures_in_a_row_open_the_breaker(agent: AgentApi) -> None:
    agent.faults["/events"] = ["reset", "reset"]
    async with gateway_of(agent, **NEVER) as gateway:
        for _ in range(2):
            assert error_of(await ask(gateway, "Hi")) == (502, "agent_disconnected")
        seen = len(agent.asked)
        refused = await ask(gateway, "Hi", stream=True)
        assert error_of(refused) == (503, "agent_unavailable")
        assert 1 <= int(refused.headers["retry-after"]) <= 1000
        assert len(agent.asked) == seen
        assert (await reported(gateway))["circuit_breaker_status"] == "open"


async def test_an_open_breaker_lets_one_through_and_closes(agent: AgentApi) -> None:
    agent.faults["/events"] = ["reset", "reset", "reset"]
    async with gateway_of(agent, **ALWAYS) as gateway:
        for _ in range(3):
            await ask(gateway, "Hi")
        assert (await reported(gateway))["circuit_breaker_status"] == "half_open"
        assert said(await ask(gateway, "Hi")) == "You said: Hi"
        assert (await reported(gateway))["circuit_breaker_status"] == "closed"


async def test_those_who_wait_are_refused_when_the_breaker_opens(agent: AgentApi) -> None:
    gate = asyncio.Event()

    async def fail(agent: AgentApi, text: str) -> None:
        await gate.wait()
        agent.tell("message_update", "nonsense")
        await agent.interrupted.wait()

    agent.script = fail
    async with gateway_of(agent, **{**NEVER, "breaker_failures": 1}) as gateway:
        first = asyncio.create_task(ask(gateway, "First"))
        await agent.count("/message")
        second = asyncio.create_task(ask(gateway, "Second"))
        await waiting(gateway, 1)
        gate.set()
        assert error_of(await first) == (502, "agent_invalid_answer")
        assert error_of(await second) == (503, "agent_unavailable")


async def test_what_is_the_clients_fault_or_the_queues_does_not_count(agent: AgentApi) -> None:
    async with gateway_of(agent, **{**NEVER, "breaker_failures": 1, "stable_timeout_s": 0.05}) as gateway:
        assert (await ask(gateway, "")).status_code == 400
        agent.status = "running"
        assert error_of(await ask(gateway, "Hi")) == (503, "agent_busy")
        agent.set_status("stable")
        assert said(await ask(gateway, "Hi")) == "You said: Hi"


async def test_health_names_the_agents_that_answer(agent: AgentApi) -> None:
    async with AgentApi() as gone:
        pass
    async with gateway_of(agent, gone, check_interval_s=30, **QUICK) as gateway:
        await agent.count("/status")
        report = await reported(
            gateway, lambda report: all(agent["state"] != "unknown" for agent in report["agents"].values())
        )
        health = (await gateway.client.get("/health")).json()
    assert (health["active_agents"], health["circuit_breaker_status"]) == (["coder"], "closed")
    assert report == {
        "active_agents": ["coder"],
        "circuit_breaker_status": "closed",
        "agents": {
            "coder": {"state": "idle", "waiting": 0, "circuit_breaker_status": "closed"},
            "coder-1": {"state": "unreachable", "waiting": 0, "circuit_breaker_status": "closed"},
        },
    }


async def test_checks_that_fail_open_the_breaker_before_a_client_comes() -> None:
    async with AgentApi() as gone:
        pass
    async with gateway_of(gone, check_interval_s=0.01, **NEVER) as gateway:
        await reported(gateway, lambda report: report["circuit_breaker_status"] == "open")
        assert error_of(await ask(gateway, "Hi")) == (503, "agent_unavailable")


async def test_without_agents_nothing_is_reported() -> None:
    async with make_app(plugins=[AgentsPlugin()]) as gateway:
        assert "plugins" not in (await gateway.client.get("/health")).json()

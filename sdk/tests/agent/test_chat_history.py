"""What is kept of a conversation, and what turns at the same time make of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chatproxy_sdk.exceptions import ConfigurationError
from chatproxy_sdk.messages import Message

from ..servers import FaultServer, Gate, Reply, Request, by, says
from .talking import ONE_OK, agent_of, both_ways, counts, said, say


@both_ways
async def test_a_turn_that_is_not_to_be_kept_still_sees_the_others(server: FaultServer, way: str) -> None:
    server.replies(says("one"), says("two"))
    async with agent_of(server) as agent:
        await say(agent, way, "first")
        assert await say(agent, way, "aside", add_to_history=False) == "two"
        assert said(agent) == [("user", "first"), ("assistant", "one")]
    assert len(server.requests[1].json["messages"]) == 3


async def test_history_is_a_copy(server: FaultServer) -> None:
    server.replies(says("one"))
    async with agent_of(server) as agent:
        await agent.chat("first")
        agent.history[0].content = "changed"
        agent.history.clear()
        assert agent.last_response is not None
        agent.last_response.choices[0].message.content = "changed"
        assert said(agent) == [("user", "first"), ("assistant", "one")]


@pytest.mark.parametrize(("keep", "left"), [(True, ["system", "developer"]), (False, [])], ids=["keep", "all"])
async def test_clearing_the_history_keeps_instructions_if_told_to(
    server: FaultServer, keep: bool, left: list[str]
) -> None:
    async with agent_of(server) as agent:
        agent.add_message({"role": "developer", "content": "In verse."})
        agent.add_message("Hello")
        agent.add_message(Message(role="assistant", content="Hi"))
        agent.set_system_prompt("Be brief.")
        agent.clear_history(keep_system=keep)
        assert [role for role, _ in said(agent)] == left


async def test_an_empty_system_prompt_is_none(server: FaultServer) -> None:
    async with agent_of(server) as agent:
        agent.set_system_prompt("Be brief.")
        agent.set_system_prompt("")
        assert said(agent) == []


@pytest.mark.parametrize("message", [3, None, {"content": 3}, ["a"]], ids=["number", "none", "content", "list"])
async def test_what_is_no_message_is_refused(server: FaultServer, message: Any) -> None:
    async with agent_of(server) as agent:
        with pytest.raises(ConfigurationError):
            agent.add_message(message)
        assert said(agent) == []


async def test_the_oldest_turns_are_dropped_whole(server: FaultServer) -> None:
    server.replies(says("ok"))
    async with agent_of(server, max_history_messages=3) as agent:
        agent.set_system_prompt("Be brief.")
        for text in ("a", "b", "c"):
            await agent.chat(text)
        assert said(agent) == [("system", "Be brief."), ("user", "c"), ("assistant", "ok")]


async def test_the_last_turn_is_kept_however_long_it_is(server: FaultServer) -> None:
    server.replies(says("ok"))
    async with agent_of(server, max_history_messages=1) as agent:
        await agent.chat("a")
        await agent.chat("b")
        assert said(agent) == [("user", "b"), ("assistant", "ok")]


@both_ways
async def test_turns_at_the_same_time_are_each_added_whole(server: FaultServer, way: str) -> None:
    gate = Gate()

    def echo(request: Request) -> Reply:
        text = request.json["messages"][-1]["content"]
        if text != "slow":
            return says(text.upper())
        return _late(gate, "SLOW")

    server.replies(by(echo))
    async with agent_of(server, enable_debug=True) as agent:
        slow = asyncio.ensure_future(say(agent, way, "slow"))
        await asyncio.to_thread(server.wait_requests, 1)
        fast = await asyncio.gather(*(say(agent, way, name) for name in ("a", "b")))
        gate.open()
        assert [*fast, await slow] == ["A", "B", "SLOW"]
        pairs = said(agent)
        assert sorted(zip(pairs[::2], pairs[1::2], strict=True)) == [
            (("user", "a"), ("assistant", "A")),
            (("user", "b"), ("assistant", "B")),
            (("user", "slow"), ("assistant", "SLOW")),
        ]
        assert pairs[-1] == ("assistant", "SLOW")
        assert counts(agent) == {
            **ONE_OK,
            "total_requests": 3,
            "total_tokens": 15,
            "prompt_tokens": 9,
            "completion_tokens": 6,
        }
        noted = [
            (one.request["body"]["messages"][-1]["content"], one.response["body"]["choices"][0]["message"]["content"])
            for one in agent.debug
        ]
        assert sorted(noted) == [("a", "A"), ("b", "B"), ("slow", "SLOW")]


async def test_two_agents_know_nothing_of_each_other(server: FaultServer) -> None:
    server.replies(says("ok"))
    async with agent_of(server, model={"model": "one"}) as one, agent_of(server, model={"model": "two"}) as two:
        one.set_system_prompt("One.")
        await asyncio.gather(one.chat("to one"), two.chat("to two"), two.chat("again"))
        assert said(one) == [("system", "One."), ("user", "to one"), ("assistant", "ok")]
        assert counts(two)["total_requests"] == 2
        await one.close()
        assert await two.chat("still there") == "ok"


def _late(gate: Gate, text: str) -> Reply:
    """An answer that begins when a gate opens."""

    async def reply(wire: Any) -> None:
        await gate.passed()
        await says(text)(wire)

    return reply

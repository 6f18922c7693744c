"""Turns with tools: rounds, limits, failures, and what is left of a turn that ends in the middle."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from chatproxy_sdk.agent import Tool
from chatproxy_sdk.exceptions import APIResponseError, ConfigurationError, ToolExecutionError

from ..servers import FaultServer, by, call, chat, error, hang, says
from .talking import agent_of, both_ways, counts, said, say

SUM = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}


@both_ways
async def test_a_call_is_made_and_its_result_answered(server: FaultServer, way: str) -> None:
    server.replies(says("Let me see. ", tool_calls=[call("add", {"a": 1, "b": 2})]), says("3"))
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "Add.", SUM), lambda a, b: a + b)
        assert await say(agent, way, "1 + 2?") == ("3" if way == "chat" else "Let me see. 3")
        assert said(agent) == [("user", "1 + 2?"), ("assistant", "Let me see. "), ("tool", "3"), ("assistant", "3")]
        found = counts(agent)
        assert (found["total_requests"], found["total_tokens"], agent.pending_tool_calls) == (2, 10, [])
    first, second = (request.json for request in server.requests)
    assert first["tools"] == second["tools"]
    assert first["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Add.", "parameters": SUM}}
    ]
    asked = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    assert second["messages"][1:] == [
        {"role": "assistant", "content": "Let me see. ", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
    ]


@both_ways
async def test_a_decorated_function_is_a_tool(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("weather_of", {"city": "Paris"})]), says("Sunny."))
    async with agent_of(server) as agent:

        @agent.tool
        def weather(city: str) -> str:
            """What the weather is like.

            Args:
                city: its name.
            """
            return f"sunny in {city}"

        @agent.tool(name="weather_of", description="The weather.")
        async def other(city: str) -> str:
            return f"sun in {city}"

        assert weather("Rome") == "sunny in Rome"
        assert await other("Rome") == "sun in Rome"
        assert agent.tools == ["weather", "weather_of"]
        assert await say(agent, way) == "Sunny."
        assert agent.history[2].content == "sun in Paris"
    first, second = server.requests[0].json["tools"]
    assert first["function"]["description"] == "What the weather is like."
    assert first["function"]["parameters"]["properties"]["city"]["description"] == "its name."
    assert second["function"]["description"] == "The weather."


async def test_tools_that_cannot_be_used_are_refused_at_once(server: FaultServer) -> None:
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        with pytest.raises(ConfigurationError, match="add"):
            agent.register_tool(Tool("add", "", SUM), lambda a, b: a - b)
        with pytest.raises(ConfigurationError):
            agent.register_tool(Tool("sub", "", SUM), lambda a: a)
        assert agent.tools == ["add"]
        agent.clear_tools()
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        agent.clear_tools()
        await agent.chat("Hello")
    assert "tools" not in server.requests[0].json


@both_ways
async def test_parallel_calls_run_at_the_same_time_and_are_answered_in_order(server: FaultServer, way: str) -> None:
    numbers = range(3)
    server.replies(says(tool_calls=[call("meet", {"n": n}, id=f"call_{n}") for n in numbers]), says("met"))
    here = threading.Barrier(3, timeout=5)
    async with agent_of(server) as agent:

        @agent.tool
        def meet(n: int) -> str:
            here.wait()
            return f"{n} was here"

        assert await say(agent, way) == "met"
        tools = [(one.tool_call_id, one.content) for one in agent.history if one.role == "tool"]
        assert tools == [(f"call_{n}", f"{n} was here") for n in numbers]


@both_ways
async def test_rounds_go_on_until_the_model_answers(server: FaultServer, way: str) -> None:
    server.replies(*(says(tool_calls=[call("add", {"a": n, "b": n}, id=f"call_{n}")]) for n in range(3)), says("done"))
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        assert await say(agent, way) == "done"
        assert [content for role, content in said(agent) if role == "tool"] == ["0", "2", "4"]
        assert counts(agent)["total_requests"] == 4


@both_ways
@pytest.mark.parametrize("limit", [0, 2])
async def test_after_the_last_round_the_model_must_answer(server: FaultServer, way: str, limit: int) -> None:
    server.replies(
        by(
            lambda request: (
                says("I give up")
                if request.json.get("tool_choice") == "none"
                else says(tool_calls=[call("add", {"a": 1, "b": 1})])
            )
        )
    )
    async with agent_of(server, max_tool_iterations=limit) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        assert await say(agent, way) == "I give up"
        assert [role for role, _ in said(agent)].count("tool") == limit
    assert [request.json.get("tool_choice") for request in server.requests] == [*[None] * limit, "none"]


@both_ways
async def test_a_model_that_never_stops_is_an_error(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("add", {"a": 1, "b": 1})]))
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        with pytest.raises(ToolExecutionError, match="max_tool_iterations") as caught:
            await say(agent, way, max_tool_iterations=2)
        assert caught.value.details["tool"] == "add"
        assert (said(agent), counts(agent)["total_requests"], counts(agent)["errors"]) == ([], 3, 0)


@both_ways
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}], ids=["any", "one"])
async def test_a_forced_call_is_forced_once(server: FaultServer, way: str, choice: Any) -> None:
    server.replies(says(tool_calls=[call("add", {"a": 1, "b": 1})]), says("2"))
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        assert await say(agent, way, tool_choice=choice) == "2"
    assert [request.json.get("tool_choice") for request in server.requests] == [choice, None]


@both_ways
async def test_tools_of_one_call_are_the_callers_to_run(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("look", {})]))
    async with agent_of(server) as agent:
        assert await say(agent, way, tools=[Tool("look")]) == ""
        assert [one.function.name for one in agent.pending_tool_calls if one.function] == ["look"]
    assert server.requests[0].json["tools"][0]["function"]["name"] == "look"


# -- failures ---------------------------------------------------------------------------------------------------------

FAILURES = {
    "raises": (call("fail", {"n": 1}), "ValueError: not 1"),
    "unknown": (call("gone", {}), "gone"),
    "no JSON": (call("fail", "{"), "JSON"),
    "wrong type": (call("fail", {"n": "x"}), "n"),
    "missing": (call("fail", {}), "n"),
}


@both_ways
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("policy", ["inject_message", "retry_once"])
async def test_a_failed_call_is_told_to_the_model(server: FaultServer, way: str, policy: str, failure: str) -> None:
    made, told = FAILURES[failure]
    server.replies(says(tool_calls=[made]), says("sorry"))
    calls: list[int] = []
    async with agent_of(server, tool_failure_policy=policy) as agent:

        @agent.tool
        def fail(n: int) -> None:
            calls.append(n)
            raise ValueError(f"not {n}")

        assert await say(agent, way) == "sorry"
        assert [role for role, _ in said(agent)] == ["user", "assistant", "tool", "assistant"]
        assert told in str(agent.history[2].content)
        assert counts(agent)["errors"] == 0
    tries = 2 if policy == "retry_once" else 1
    assert calls == ([1] * tries if failure == "raises" else [])


@both_ways
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failed_call_ends_the_turn_if_it_is_to_raise(server: FaultServer, way: str, failure: str) -> None:
    made, told = FAILURES[failure]
    server.replies(says("before"), says(tool_calls=[made]), says("after"))
    async with agent_of(server, tool_failure_policy="raise") as agent:

        @agent.tool
        def fail(n: int) -> None:
            raise ValueError(f"not {n}")

        await say(agent, way)
        with pytest.raises(ToolExecutionError) as caught:
            await say(agent, way)
        assert caught.value.details["tool"] == made["function"]["name"]
        assert told in caught.value.details["error"]
        assert said(agent) == [("user", "Hello"), ("assistant", "before")]
        assert await say(agent, way) == "after"


@both_ways
async def test_a_call_that_takes_too_long_is_a_failure(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("wait", {})]), says("sorry"))
    async with agent_of(server, tool_timeout=0.05) as agent:

        @agent.tool
        async def wait() -> None:
            await asyncio.Event().wait()

        assert await say(agent, way) == "sorry"
        assert '"error"' in str(agent.history[2].content)


async def test_a_long_error_of_a_tool_is_cut(server: FaultServer) -> None:
    server.replies(says(tool_calls=[call("fail", {})]))
    async with agent_of(server, tool_failure_policy="raise", max_error_length=50) as agent:

        @agent.tool
        def fail() -> None:
            raise ValueError("x" * 5_000)

        with pytest.raises(ToolExecutionError) as caught:
            await agent.chat("Hello")
    assert len(caught.value.message) == len(caught.value.details["error"]) == 51
    assert isinstance(caught.value.__cause__, ValueError)


@both_ways
async def test_a_server_that_fails_after_a_call_leaves_no_half_turn(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("add", {"a": 1, "b": 1})]), error(400))
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        with pytest.raises(APIResponseError):
            await say(agent, way)
        found = counts(agent)
        assert (said(agent), found["total_requests"], found["errors"]) == ([], 2, 1)


# -- endings in the middle --------------------------------------------------------------------------------------------


@both_ways
async def test_cancelling_a_turn_cancels_its_tools(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("wait", {"n": n}, id=f"call_{n}") for n in range(2)]))
    begun, ended = asyncio.Semaphore(0), []
    async with agent_of(server) as agent:

        @agent.tool
        async def wait(n: int) -> None:
            begun.release()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(n)

        turn = asyncio.ensure_future(say(agent, way))
        await begun.acquire()
        await begun.acquire()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert sorted(ended) == [0, 1]
        assert (said(agent), counts(agent)["aborted"], len(server.requests)) == ([], 0, 1)


@both_ways
async def test_cancelling_a_turn_in_its_second_round_closes_the_connection(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("add", {"a": 1, "b": 1})]), hang())
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        turn = asyncio.ensure_future(say(agent, way))
        await asyncio.to_thread(server.wait_requests, 2)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        await asyncio.to_thread(server.wait_closed)
        assert (said(agent), counts(agent)["total_requests"], counts(agent)["aborted"]) == ([], 2, 1)


# -- servers that do it their own way ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        {"function": {"name": "add", "arguments": {"a": 1, "b": 2}}},
        {"id": None, "type": None, "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}},
        {"id": "", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}, "index": 0},
    ],
    ids=["an object", "nulls", "empty id"],
)
async def test_calls_in_other_forms_are_understood(server: FaultServer, made: dict[str, Any]) -> None:
    server.replies(chat(None, tool_calls=[made]), chat("3"))
    async with agent_of(server) as agent:
        agent.register_tool(Tool("add", "", SUM), lambda a, b: a + b)
        assert await agent.chat("Hello") == "3"
        assert agent.history[2].content == "3"
    asked, answered = server.requests[1].json["messages"][1:]
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] != ""
    assert asked["tool_calls"][0]["function"]["arguments"].replace(" ", "") == '{"a":1,"b":2}'


@both_ways
async def test_no_arguments_at_all_are_none(server: FaultServer, way: str) -> None:
    server.replies(says(tool_calls=[call("now", "")]), says("noon"))
    async with agent_of(server) as agent:

        @agent.tool
        def now() -> str:
            return "12:00"

        assert await say(agent, way) == "noon"
        assert agent.history[2].content == "12:00"

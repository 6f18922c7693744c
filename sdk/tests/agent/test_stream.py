"""Streams: pieces as they come, and what becomes of one that is left early."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from chatproxy_sdk.exceptions import APIConnectionError

from ..servers import FaultServer, Gate, call, chat_stream, reset_after, says, sse, stall_after
from .talking import agent_of, counts, said

ABORTED = {"total_requests": 1, "errors": 0, "success_rate": 1.0, "aborted": 1}


async def test_pieces_come_before_the_answer_is_whole(server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("one ", gate, "two"))
    async with agent_of(server) as agent:
        pieces = agent.chat_stream("Hello")
        assert await anext(pieces) == "one "
        assert (said(agent), counts(agent)["total_requests"]) == ([], 0)
        gate.open()
        assert [piece async for piece in pieces] == ["two"]
        assert said(agent) == [("user", "Hello"), ("assistant", "one two")]
        assert counts(agent)["total_tokens"] == 5


@pytest.mark.parametrize("how", ["break", "aclose", "raise", "forget", "cancel"])
async def test_a_stream_that_is_left_closes_its_connection_at_once(server: FaultServer, how: str) -> None:
    server.replies(says("before"), stall_after("one", "two"), says("after"))
    async with agent_of(server) as agent:
        await agent.chat("first")
        agent.reset_stats()
        await _LEAVE[how](agent)
        await asyncio.to_thread(server.wait_closed)
        assert {name: counts(agent)[name] for name in ABORTED} == ABORTED
        assert agent.get_stats()["total_latency"] > 0
        assert said(agent) == [("user", "first"), ("assistant", "before")]
        assert await agent.chat("next") == "after"


async def _break(agent: Any) -> None:
    async for _ in agent.chat_stream("Hello"):
        break


async def _aclose(agent: Any) -> None:
    async with aclosing(agent.chat_stream("Hello")) as pieces:
        await anext(pieces)


async def _raise(agent: Any) -> None:
    async def read() -> None:
        async for _ in agent.chat_stream("Hello"):
            raise LookupError

    with pytest.raises(LookupError):
        await read()


async def _forget(agent: Any) -> None:
    pieces = agent.chat_stream("Hello")
    await anext(pieces)
    del pieces
    gc.collect()


async def _cancel(agent: Any) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in agent.chat_stream("Hello"):
            begun.set()

    task = asyncio.ensure_future(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


_LEAVE: dict[str, Callable[[Any], Any]] = {
    "break": _break,
    "aclose": _aclose,
    "raise": _raise,
    "forget": _forget,
    "cancel": _cancel,
}


async def test_tokens_that_were_told_of_count_even_if_the_stream_is_left(server: FaultServer) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    chunk = {"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": usage}
    server.replies(stall_after(chunk))
    async with agent_of(server) as agent:
        await _aclose(agent)
        assert counts(agent)["total_tokens"] == 10


async def test_a_stream_that_is_never_read_asks_nothing(server: FaultServer) -> None:
    async with agent_of(server) as agent:
        pieces = agent.chat_stream("Hello")
        await pieces.aclose()
        assert counts(agent)["total_requests"] == 0
    assert server.requests == []


async def test_a_hundred_streams_that_are_left_leave_nothing(server: FaultServer) -> None:
    server.replies(stall_after("one"))
    async with agent_of(server) as agent:
        for _ in range(100):
            await _aclose(agent)
        await asyncio.to_thread(server.wait_closed)
        assert (counts(agent)["aborted"], said(agent)) == (100, [])


async def test_usage_in_a_chunk_of_its_own_and_with_the_last_text_count_alike(server: FaultServer) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
    server.replies(says("ok"), sse(["ok", last]), sse(["ok", last], done=False))
    async with agent_of(server) as agent:
        for expected in (5, 10, 15):
            assert "".join([piece async for piece in agent.chat_stream("Hello")]) == "ok"
            assert counts(agent)["total_tokens"] == expected


# -- callback and display ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_a_callback_gets_each_piece(server: FaultServer, is_async: bool) -> None:
    server.replies(says("one ", "two"))
    got: list[str] = []

    async def later(piece: str) -> None:
        await asyncio.sleep(0)
        got.append(piece)

    async with agent_of(server, stream_chunk_callback=later if is_async else got.append) as agent:
        pieces = [piece async for piece in agent.chat_stream("Hello")]
        await agent.chat("Hello")
    assert got == pieces == ["one ", "two"]


async def test_a_callback_that_raises_ends_the_stream(server: FaultServer) -> None:
    server.replies(stall_after("one"))

    def fail(piece: str) -> None:
        raise LookupError(piece)

    async with agent_of(server, stream_chunk_callback=fail) as agent:
        with pytest.raises(LookupError, match="one"):
            await anext(agent.chat_stream("Hello"))
        await asyncio.to_thread(server.wait_closed)
        assert (counts(agent)["aborted"], said(agent)) == (1, [])


@pytest.mark.parametrize(
    ("enabled", "displayed", "shown"),
    [(True, True, "one two\n"), (True, False, ""), (False, True, "")],
    ids=["both", "not displayed", "not enabled"],
)
async def test_a_stream_is_printed_only_if_both_sides_want_it(
    server: FaultServer, capsys: pytest.CaptureFixture[str], enabled: bool, displayed: bool, shown: str
) -> None:
    server.replies(says("one ", "two"))
    async with agent_of(server, stream_enable_progress=enabled) as agent:
        async for _ in agent.chat_stream("Hello", display_stream=displayed):
            pass
    assert capsys.readouterr().out == shown


async def test_a_broken_stream_leaves_no_half_line(server: FaultServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.replies(reset_after("one"))
    async with agent_of(server, stream_enable_progress=True) as agent:
        with pytest.raises(APIConnectionError):
            async for _ in agent.chat_stream("Hello"):
                pass
    assert capsys.readouterr().out == "one\n"


# -- calls that are left to the caller --------------------------------------------------------------------------------


async def test_calls_of_a_stream_are_left_to_the_caller_unless_told_otherwise(server: FaultServer) -> None:
    server.replies(says(tool_calls=[call("add", {"a": 1, "b": 2})]), says("three"))
    async with agent_of(server) as agent:

        @agent.tool
        def add(a: int, b: int) -> int:
            raise AssertionError

        assert [piece async for piece in agent.chat_stream("1 + 2?")] == []
        (pending,) = agent.pending_tool_calls
        assert pending.function is not None
        assert (pending.function.name, pending.function.arguments) == ("add", '{"a": 1, "b": 2}')
        agent.add_message({"role": "tool", "tool_call_id": pending.id, "content": "3"})
        assert [piece async for piece in agent.chat_stream("")] == ["three"]
        assert agent.pending_tool_calls == []
    assert [one["role"] for one in server.requests[1].json["messages"]] == ["user", "assistant", "tool"]


async def test_calls_that_nobody_answers_do_not_block_the_conversation(server: FaultServer) -> None:
    calls = [call("add", {"a": 1}), call("add", {"a": 2}, id="call_2")]
    server.replies(says(tool_calls=calls), says("fine"))
    async with agent_of(server) as agent:
        assert await agent.chat("add", auto_execute_tools=False) == ""
        agent.add_message({"role": "tool", "tool_call_id": "call_1", "content": "1"})
        assert await agent.chat("never mind") == "fine"
        assert [role for role, _ in said(agent)] == ["user", "assistant", "tool", "tool", "user", "assistant"]
    messages = server.requests[1].json["messages"]
    assert messages[3] == {"role": "tool", "tool_call_id": "call_2", "content": '{"error":"this call was not run"}'}

"""Everything that can go wrong with a server: the right exception, the right counts, nothing left open or half kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from chatproxy_sdk.exceptions import (
    APIConnectionError,
    APIResponseError,
    ChatAPIException,
    ModelNotFoundError,
    TokenLimitError,
)

from ..servers import (
    FaultServer,
    Gate,
    Reply,
    answer,
    by,
    chat,
    error,
    error_event,
    hang,
    html,
    huge,
    invalid_event,
    invalid_json,
    redirect,
    reset_after,
    says,
    server_error,
    sse,
    stall_after,
    too_many,
    trickle,
    truncated,
)
from .talking import agent_of, both_ways, counts, said, say

BROKEN = {"total_requests": 1, "errors": 1, "success_rate": 0.0, "aborted": 0}
SHORT = 0.8
SHORTER = 0.25  # where no answer is to come in time

EITHER: dict[str, tuple[Reply, type[ChatAPIException], dict[str, Any]]] = {
    "400": (error(400, "No.", param="n"), APIResponseError, {"status_code": 400, "param": "n", "request_id": "req-1"}),
    "401": (error(401, "Who?", code="invalid_api_key"), APIResponseError, {"code": "invalid_api_key"}),
    "404 model": (error(404, "No model 'x'."), ModelNotFoundError, {"status_code": 404}),
    "model code": (error(400, "No.", code="model_not_found"), ModelNotFoundError, {"code": "model_not_found"}),
    "tokens": (error(400, "Too long.", code="context_length_exceeded"), TokenLimitError, {"status_code": 400}),
    "429": (too_many("7"), APIResponseError, {"status_code": 429, "retry_after": 7.0}),
    "500": (server_error(), APIResponseError, {"status_code": 500, "type": "api_error"}),
    "html": (html(502), APIResponseError, {"status_code": 502}),
    "redirect": (redirect("http://127.0.0.1:1/v1"), APIResponseError, {"status_code": 307}),
    "reset": (reset_after(), APIConnectionError, {}),
    "hang": (hang(), APIConnectionError, {"timeout": True}),
    "slow head": (trickle("head"), APIConnectionError, {"timeout": True}),
    "huge error": (huge("error"), APIResponseError, {"status_code": 500}),
}
BUFFERED: dict[str, tuple[Reply, type[ChatAPIException], dict[str, Any]]] = {
    "no JSON": (invalid_json(), APIResponseError, {"request_id": "req-1"}),
    "cut short": (truncated(), APIConnectionError, {}),
    "slow body": (trickle("body"), APIConnectionError, {"timeout": True}),
    "200": (answer({"error": {"message": "No.", "code": 429}}), APIResponseError, {"status_code": 429}),
    "no choices": (chat(choices=None), APIResponseError, {}),
    "a list": (answer([1]), APIResponseError, {}),
    "a web page": (html(200), APIResponseError, {}),
}
STREAMED: dict[str, tuple[Reply, type[ChatAPIException], dict[str, Any]]] = {
    "no stream": (answer({"status": "ok"}), APIResponseError, {"request_id": "req-1"}),
    "no JSON": (invalid_event("a"), APIResponseError, {"request_id": "req-1"}),
    "reset": (reset_after("a"), APIConnectionError, {}),
    "cut": (truncated("a"), APIConnectionError, {}),
    "ended": (sse(["a"], done=False), APIConnectionError, {}),
    "stall": (stall_after("a"), APIConnectionError, {"timeout": True}),
    "slow event": (trickle("event"), APIConnectionError, {"timeout": True}),
    "only comments": (trickle("comments"), APIConnectionError, {"timeout": True}),
    "error event": (
        error_event("a", message="It broke.", code="x"),
        APIResponseError,
        {"status_code": 500, "code": "x"},
    ),
    "huge event": (huge("event"), APIResponseError, {}),
}
CASES = [
    *(pytest.param(way, *case, id=f"{way}-{name}") for name, case in EITHER.items() for way in ("chat", "chat_stream")),
    *(pytest.param("chat", *case, id=f"chat-{name}") for name, case in BUFFERED.items()),
    *(pytest.param("chat_stream", *case, id=f"chat_stream-{name}") for name, case in STREAMED.items()),
]


@pytest.mark.parametrize(("way", "reply", "kind", "details"), CASES)
async def test_a_fault_is_raised_counted_and_leaves_nothing(
    server: FaultServer, way: str, reply: Reply, kind: type[ChatAPIException], details: dict[str, Any]
) -> None:
    server.replies(says("before"), reply, says("after"))
    async with agent_of(server, timeout=SHORT) as agent:
        await say(agent, way, "first")
        agent.reset_stats()
        with pytest.raises(ChatAPIException) as caught:
            await say(agent, way, "second")
        assert type(caught.value) is kind
        assert caught.value.message
        assert {name: caught.value.details.get(name) for name in details} == details
        assert {name: counts(agent)[name] for name in BROKEN} == BROKEN
        assert said(agent) == [("user", "first"), ("assistant", "before")]
        assert await say(agent, way, "third") == "after"
        assert [one["content"] for one in server.requests[-1].json["messages"]] == ["first", "before", "third"]
    server.wait_closed()


@pytest.mark.parametrize("broken", [name for name in STREAMED if name != "no stream"])
async def test_a_broken_stream_closes_its_connection_at_once(server: FaultServer, broken: str) -> None:
    server.replies(STREAMED[broken][0])
    async with agent_of(server, timeout=SHORTER) as agent:
        with pytest.raises(ChatAPIException):
            await say(agent, "chat_stream")
        if broken not in {"no JSON", "ended"}:
            await asyncio.to_thread(server.wait_closed)
    server.wait_closed()


@both_ways
async def test_no_server_at_all_is_a_connection_error(server: FaultServer, way: str) -> None:
    async with agent_of(server, model={"api_base_url": "http://127.0.0.1:9/v1"}) as agent:
        with pytest.raises(APIConnectionError, match=r"127\.0\.0\.1:9"):
            await say(agent, way)
        assert counts(agent)["errors"] == 1


# -- retries ----------------------------------------------------------------------------------------------------------


def _date(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@both_ways
@pytest.mark.parametrize(
    "fault",
    [too_many(), too_many("0"), too_many(_date(-5)), server_error(), server_error(503), reset_after(), html(502)],
    ids=["429", "in seconds", "by date", "500", "503", "reset", "html"],
)
async def test_what_may_pass_is_tried_again(server: FaultServer, way: str, fault: Reply) -> None:
    server.replies(fault, fault, says("at last"))
    async with agent_of(server, max_retries=2) as agent:
        assert await say(agent, way) == "at last"
        found = counts(agent)
        assert (found["total_requests"], found["errors"], found["retries"], found["total_tokens"]) == (1, 0, 2, 5)
        assert said(agent) == [("user", "Hello"), ("assistant", "at last")]
    assert len(server.requests) == 3
    server.wait_closed()


@both_ways
async def test_the_last_failure_is_raised_when_retries_are_used_up(server: FaultServer, way: str) -> None:
    server.replies(server_error(500), server_error(503, "Still broken."))
    async with agent_of(server, max_retries=1) as agent:
        with pytest.raises(APIResponseError, match="Still broken") as caught:
            await say(agent, way)
        assert caught.value.details["status_code"] == 503
        found = counts(agent)
        assert (found["total_requests"], found["errors"], found["retries"]) == (1, 1, 1)


@both_ways
@pytest.mark.parametrize("fault", [error(400), error(401), error(404), hang()], ids=["400", "401", "404", "late"])
async def test_what_will_not_pass_is_not_tried_again(server: FaultServer, way: str, fault: Reply) -> None:
    server.replies(fault, says("never"))
    async with agent_of(server, max_retries=3, timeout=SHORTER) as agent:
        with pytest.raises(ChatAPIException):
            await say(agent, way)
        assert counts(agent)["retries"] == 0
    assert len(server.requests) == 1


@both_ways
@pytest.mark.parametrize("wait", ["3600", _date(3600)], ids=["in seconds", "by date"])
async def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for(
    server: FaultServer, way: str, wait: str
) -> None:
    server.replies(too_many(wait), says("never"))
    async with agent_of(server, max_retries=3, max_retry_wait=1) as agent:
        with pytest.raises(APIResponseError) as caught:
            await say(agent, way)
        assert 1 < caught.value.details["retry_after"] <= 3600
    assert len(server.requests) == 1


async def test_a_stream_that_has_said_nothing_is_tried_again(server: FaultServer) -> None:
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    server.replies(reset_after(role), error_event(role), says("at ", "last"))
    async with agent_of(server, max_retries=2) as agent:
        assert [piece async for piece in agent.chat_stream("Hello")] == ["at ", "last"]
        assert counts(agent)["retries"] == 2


async def test_a_stream_that_has_said_something_is_not_tried_again(server: FaultServer) -> None:
    server.replies(reset_after("a"), says("never"))
    async with agent_of(server, max_retries=2) as agent:
        pieces = agent.chat_stream("Hello")
        assert await anext(pieces) == "a"
        with pytest.raises(APIConnectionError):
            await anext(pieces)
        assert (counts(agent)["retries"], said(agent)) == (0, [])
    assert len(server.requests) == 1


# -- messages ---------------------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize(
    ("settings", "length"),
    [({"max_error_length": 40}, 41), ({}, 501), ({"truncate_long_errors": False}, 1500)],
    ids=["cut", "default", "whole"],
)
async def test_long_errors_are_cut(server: FaultServer, way: str, settings: dict[str, Any], length: int) -> None:
    server.replies(error(400, "x" * 1500))
    async with agent_of(server, **settings) as agent:
        with pytest.raises(APIResponseError) as caught:
            await say(agent, way)
    assert len(caught.value.message) == length
    assert len(caught.value.details["body"]) <= max(length, 2_000 if length == 1500 else 0)


# -- endings ----------------------------------------------------------------------------------------------------------


@both_ways
async def test_a_turn_that_is_cancelled_is_aborted_and_its_connection_closed(server: FaultServer, way: str) -> None:
    server.replies(hang())
    async with agent_of(server) as agent:
        turn = asyncio.ensure_future(say(agent, way))
        await asyncio.to_thread(server.wait_requests, 1)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        await asyncio.to_thread(server.wait_closed)
        found = counts(agent)
        assert (found["total_requests"], found["aborted"], found["errors"], said(agent)) == (1, 1, 0, [])


@both_ways
@pytest.mark.parametrize("retries", [0, 2])
async def test_closing_ends_turns_that_are_under_way(server: FaultServer, way: str, retries: int) -> None:
    server.replies(hang())
    agent = agent_of(server, max_retries=retries)
    turn = asyncio.ensure_future(say(agent, way))
    await asyncio.to_thread(server.wait_requests, 1)
    await agent.close()
    with pytest.raises(APIConnectionError):
        await turn
    assert (counts(agent)["errors"], said(agent)) == (1, [])
    server.wait_closed()


async def test_closing_ends_streams_that_are_under_way(server: FaultServer) -> None:
    gate = Gate()
    server.replies(sse(["a", gate]))
    agent = agent_of(server)
    pieces = agent.chat_stream("Hello")
    assert await anext(pieces) == "a"
    await agent.close()
    with pytest.raises(APIConnectionError):
        await anext(pieces)
    gate.open()
    assert (counts(agent)["errors"], said(agent)) == (1, [])
    server.wait_closed()


@both_ways
@pytest.mark.parametrize("scope", [asyncio.timeout, anyio.fail_after], ids=["asyncio", "anyio"])
async def test_a_turn_inside_a_timeout_ends_with_it(server: FaultServer, way: str, scope: Any) -> None:
    server.replies(by(lambda request: stall_after("a") if request.json["stream"] else hang()))
    async with agent_of(server) as agent:
        with pytest.raises(TimeoutError):
            async with _entered(scope(SHORTER)):
                await say(agent, way)
        await asyncio.to_thread(server.wait_closed)
        assert (counts(agent)["aborted"], said(agent)) == (1, [])


@asynccontextmanager
async def _entered(scope: Any) -> AsyncIterator[None]:
    """A scope of either library."""
    if hasattr(scope, "__aenter__"):
        async with scope:
            yield
    else:
        with scope:
            yield

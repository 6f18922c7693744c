"""Turns that do not come to their end: clients that leave, answers that break off, requests that are refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chatproxy_platform.storage.database import Database

from chatproxy import ChatRequest, Reject, RequestContext, hookimpl
from chatproxy.testing import Fault, ScriptedUpstream, error_reply, raw_reply, reply, stream_reply

from .sessions_gateway import PATHS, Running, question, running

BROKEN = stream_reply(["Hel", "lo"], finish_reason=None, fault=Fault.RESET)
HALF = stream_reply(["Hel", "lo"], finish_reason=None, fault=Fault.STALL)


async def leave(gateway: Running, surface: str = "chat", *, session_id: str = "s") -> None:
    """Read the first bytes of a stream and hang up."""
    body = question(surface, "hi", stream=True, metadata={"session_id": session_id})
    client = gateway.gateway.client
    headers = {"authorization": "Bearer ann"}
    async with client.stream("POST", PATHS[surface], json=body, headers=headers) as answer:
        seen = b""
        async for data in answer.aiter_bytes():
            seen += data
            if b'"lo"' in seen:
                return


async def stored(gateway: Running) -> list[Any]:
    """The messages, when those that are written in the background are there."""
    async with asyncio.timeout(10):
        await gateway.sessions.settled()
    return await gateway.messages()


@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
async def test_client_that_leaves_half_way_leaves_an_incomplete_turn(
    database: Database, tmp_path: Path, surface: str
) -> None:
    async with running(database, tmp_path, upstream=ScriptedUpstream(HALF)) as gateway:
        await leave(gateway, surface)
        messages = await stored(gateway)
    assert [(message.role, message.content) for message in messages] == [("user", "hi"), ("assistant", "Hello")]
    assert {message.attributes["incomplete"] for message in messages} == {"client_disconnected"}


async def test_client_that_leaves_before_the_answer_leaves_its_message(database: Database, tmp_path: Path) -> None:
    upstream = ScriptedUpstream(stream_reply(fault=Fault.STALL_BEFORE), reply("fine"))
    async with running(database, tmp_path, upstream=upstream) as gateway:
        asking = asyncio.ensure_future(gateway.ask("one", session_id="s"))
        await upstream.wait_asked()
        asking.cancel()
        await asyncio.wait([asking])
        (message,) = await stored(gateway)
        again = await gateway.ask("one, again", session_id="s")
        said = await gateway.said()
    assert message.attributes["incomplete"] == "client_disconnected"
    assert again.status_code == 200
    assert gateway.sent[1]["messages"] == [{"role": "user", "content": "one, again"}]
    assert [text for _, text in said] == ["one", "one, again", "fine"]


@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
async def test_answer_that_breaks_off_leaves_an_incomplete_turn(
    database: Database, tmp_path: Path, surface: str
) -> None:
    async with running(database, tmp_path, upstream=ScriptedUpstream(BROKEN)) as gateway:
        await gateway.ask(surface=surface, stream=True)
        messages = await stored(gateway)
    assert [(message.role, message.content) for message in messages] == [("user", "hi"), ("assistant", "Hello")]
    assert {message.attributes["incomplete"] for message in messages} == {"failed"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_response_that_failed_is_an_incomplete_turn(database: Database, tmp_path: Path, stream: bool) -> None:
    failed = {"id": "resp_1", "object": "response", "status": "failed", "model": "m", "output": [],
              "error": {"code": "server_error", "message": "No."}}  # fmt: skip
    begun = {"type": "response.created", "sequence_number": 0, "response": {**failed, "status": "in_progress"}}
    events = [begun, {"type": "response.failed", "sequence_number": 1, "response": failed}]
    frames = [f"event: {event['type']}\ndata: {msgspec.json.encode(event).decode()}\n\n".encode() for event in events]
    framed = raw_reply(*frames, content_type="text/event-stream")
    upstream = ScriptedUpstream(framed if stream else raw_reply(msgspec.json.encode(failed)))
    upstreams = {"default": {"base_url": "http://upstream/v1", "surfaces": ["responses"]}}
    async with running(database, tmp_path, upstream=upstream, upstreams=upstreams) as gateway:
        await gateway.ask(surface="responses", stream=stream)
        messages = await stored(gateway)
    assert [(message.role, message.attributes) for message in messages] == [
        ("user", {"incomplete": "failed", "surface": "responses"})
    ]


async def test_session_goes_on_after_half_an_answer(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, upstream=ScriptedUpstream(BROKEN, reply("fine"))) as gateway:
        await gateway.ask("one", stream=True, session_id="s")
        await stored(gateway)
        assert (await gateway.ask("go on", session_id="s")).status_code == 200
    assert [message["content"] for message in gateway.sent[1]["messages"]] == ["one", "Hello", "go on"]


async def test_calls_that_were_cut_off_are_not_said_again(database: Database, tmp_path: Path) -> None:
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "now", "arguments": '{"zo'}}
    begun = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
             "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}  # fmt: skip
    upstream = ScriptedUpstream(stream_reply(["Wait.", begun], finish_reason=None, fault=Fault.RESET), reply())
    async with running(database, tmp_path, upstream=upstream) as gateway:
        await gateway.ask("one", stream=True, session_id="s")
        await stored(gateway)
        await gateway.ask("two", session_id="s")
    assert gateway.sent[1]["messages"][1] == {"role": "assistant", "content": "Wait."}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_failure_before_an_answer_stores_nothing(database: Database, tmp_path: Path, stream: bool) -> None:
    async with running(database, tmp_path, upstream=ScriptedUpstream(error_reply(500))) as gateway:
        assert (await gateway.ask(stream=stream, session_id="s")).status_code >= 500
        assert await stored(gateway) == []


async def test_request_that_is_refused_is_not_stored(database: Database, tmp_path: Path) -> None:
    class Refusing:
        @hookimpl
        async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
            raise Reject("No.", status=400)

    async with running(database, tmp_path, plugins=(Refusing(),)) as gateway:
        assert (await gateway.ask("forbidden words")).status_code == 400
        assert await stored(gateway) == []
        assert await gateway.sessions_stored() == []

"""Streams: texts as they come, what is known besides, faults on the way, and leaving early."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chatproxy_sdk import exceptions
from chatproxy_sdk.async_client import AsyncChatServerClient
from chatproxy_sdk.client import ChatServerClient
from chatproxy_sdk.messages import MessageRole

from ..servers import (
    USAGE,
    FaultServer,
    Gate,
    Reply,
    answer,
    by,
    call,
    chat,
    chat_stream,
    error_event,
    invalid_event,
    reset_after,
    sse,
    stall_after,
    truncated,
)
from .adapters import Connect


def test_texts_come_one_by_one_and_none_is_empty(client: Any, server: FaultServer) -> None:
    server.replies(chat_stream("te", "", "xt"))
    stream = client.create_completion("demo", "hi", stream=True)
    assert list(stream) == ["te", "xt"]
    assert stream.text == "text"
    assert next(iter(stream), None) is None


def test_first_text_comes_before_the_second_is_sent(client: Any, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("a", gate, "b"))
    stream = client.create_completion("demo", "hi", stream=True)
    assert next(iter(stream)) == "a"
    assert stream.text == "a"
    assert stream.metadata["id"] == "chatcmpl-1"
    assert "finish_reason" not in stream.metadata
    gate.open()
    assert list(stream) == ["b"]
    assert stream.metadata["finish_reason"] == "stop"


def test_metadata_is_filled_while_the_stream_is_read(client: Any, server: FaultServer) -> None:
    server.replies(chat_stream("hi"))
    stream = client.create_completion("demo", "hi", stream=True)
    assert stream.metadata == {"request_id": "req-1"}
    assert list(stream) == ["hi"]
    assert stream.metadata == {
        "request_id": "req-1",
        "id": "chatcmpl-1",
        "created": 1_700_000_000,
        "model": "demo",
        "system_fingerprint": "fp_1",
        "finish_reason": "stop",
        "usage": USAGE,
    }


def test_message_can_go_into_the_next_request(client: Any, server: FaultServer) -> None:
    calls = [call("add", {"a": 1}), call("sub", {"b": 2}, id="call_2")]
    server.replies(chat_stream("so", tool_calls=calls))
    stream = client.create_completion("demo", "hi", stream=True)
    assert list(stream) == ["so"]
    assert [one.to_dict() for one in stream.tool_calls] == calls
    assert stream.message.role is MessageRole.ASSISTANT
    assert stream.message.to_dict() == {"role": "assistant", "content": "so", "tool_calls": calls}
    server.replies(chat())
    client.create_completion("demo", ["hi", stream.message])
    assert server.requests[1].json["messages"][1] == stream.message.to_dict()


def test_every_choice_is_assembled_and_the_first_is_read(client: Any, server: FaultServer) -> None:
    def chunk(index: int, text: str) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": None}]}

    both = {"choices": [*chunk(1, "y")["choices"], *chunk(0, "b")["choices"]]}
    ends = [
        {"choices": [{"index": i, "delta": {}, "finish_reason": reason}]} for i, reason in enumerate(("stop", "length"))
    ]
    server.replies(sse([chunk(1, "x"), chunk(0, "a"), both, *ends]))
    stream = client.create_completion("demo", "hi", stream=True, extra_body={"n": 2})
    assert list(stream) == ["a", "b"]
    assert [choice.message.content for choice in stream.choices] == ["ab", "xy"]
    assert [choice.finish_reason for choice in stream.choices] == ["stop", "length"]
    assert stream.metadata["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("reply", "kind", "status"),
    [
        (error_event("te", "xt"), exceptions.InternalServerError, 500),
        (error_event("te", "xt", type="rate_limit_error"), exceptions.RateLimitError, 429),
        (error_event("te", "xt", type="invalid_request_error"), exceptions.BadRequestError, 400),
        (error_event("te", "xt", type="authentication_error"), exceptions.UnauthorizedError, 401),
        (error_event("te", "xt", type="permission_error"), exceptions.ForbiddenError, 403),
        (error_event("te", "xt", code=404), exceptions.NotFoundError, 404),
        (reset_after("te", "xt"), exceptions.ServerConnectionError, None),
        (truncated("te", "xt"), exceptions.ServerConnectionError, None),
        (sse(["te", "xt"], done=False), exceptions.ServerConnectionError, None),
        (invalid_event("te", "xt"), exceptions.InvalidResponseError, None),
        (stall_after("te", "xt"), exceptions.ServerTimeoutError, None),
    ],
    ids=["500", "429", "400", "401", "403", "404", "reset", "cut", "no end", "broken JSON", "stall"],
)
def test_fault_on_the_way_is_raised_after_the_texts_before_it(
    connect: Connect, server: FaultServer, reply: Reply, kind: type[exceptions.ChatServerError], status: int | None
) -> None:
    server.replies(reply)
    client = connect("k", server.url, 0.5, max_retries=3, retry_delay=0)
    stream = client.create_completion("demo", "hi", stream=True)
    texts: list[str] = []
    with pytest.raises(exceptions.ChatServerError) as caught:
        texts.extend(stream)
    assert (type(caught.value), caught.value.status_code) == (kind, status)
    assert texts == ["te", "xt"]
    assert stream.text == "text"
    assert len(server.requests) == 1
    assert list(stream) == []
    client.close()
    server.wait_closed()


def test_break_before_any_text_is_tried_again(connect: Connect, server: FaultServer) -> None:
    role = {"id": "old", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    server.replies(reset_after(role), chat_stream("text", id="new"))
    stream = connect("k", server.url, max_retries=1, retry_delay=0).create_completion("demo", "hi", stream=True)
    assert list(stream) == ["text"]
    assert stream.metadata["id"] == "new"
    assert len(server.requests) == 2


def test_another_answer_where_a_stream_was_asked_for_is_invalid(client: Any, server: FaultServer) -> None:
    server.replies(answer({"status": "ok"}))
    with pytest.raises(exceptions.InvalidResponseError, match="stream"):
        client.create_completion("demo", "hi", stream=True)


@pytest.mark.parametrize("way", ["close", "with"])
def test_leaving_early_closes_the_connection(client: Any, server: FaultServer, way: str) -> None:
    server.replies(stall_after("a", "b"))
    stream = client.create_completion("demo", "hi", stream=True)
    if way == "with":
        with stream:
            assert next(iter(stream)) == "a"
    else:
        assert next(iter(stream)) == "a"
        stream.close()
        stream.close()
    server.wait_closed()
    assert list(stream) == []
    assert stream.message.content == "a"


def test_stream_that_is_never_read_can_be_closed(client: Any, server: FaultServer) -> None:
    server.replies(stall_after("a"))
    stream = client.create_completion("demo", "hi", stream=True)
    stream.close()
    server.wait_closed()
    assert (stream.text, stream.tool_calls, stream.choices) == ("", [], [])
    assert stream.message.to_dict() == {"role": "assistant", "content": ""}


def test_connection_is_used_again_after_a_whole_stream(client: Any, server: FaultServer) -> None:
    server.replies(chat_stream("a"))
    for _ in range(3):
        assert list(client.create_completion("demo", "hi", stream=True)) == ["a"]
    assert server.accepted_connections == 1


def test_many_streams_that_are_left_leave_nothing_open(server: FaultServer) -> None:
    server.replies(stall_after("a"))
    with ChatServerClient("k", server.url) as client:
        for _ in range(50):
            with client.create_completion("demo", "hi", stream=True) as stream:
                next(stream)
        server.wait_closed()


async def test_async_stream_is_iterated_and_closed(server: FaultServer) -> None:
    server.replies(chat_stream("a", "b"))
    async with AsyncChatServerClient("k", server.url) as client:
        async with await client.create_completion("demo", "hi", stream=True) as stream:
            assert [text async for text in stream] == ["a", "b"]
        server.replies(stall_after("a"))
        left = await client.create_completion("demo", "hi", stream=True)
        assert await anext(left) == "a"
        await left.aclose()
        server.wait_closed()


async def test_cancelled_reader_closes_the_connection(server: FaultServer) -> None:
    server.replies(stall_after("a"))
    texts: asyncio.Queue[str] = asyncio.Queue()
    async with AsyncChatServerClient("k", server.url) as client:

        async def read() -> None:
            async for text in await client.create_completion("demo", "hi", stream=True):
                texts.put_nowait(text)

        task = asyncio.create_task(read())
        assert await texts.get() == "a"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_closed)


async def test_streams_at_the_same_time_do_not_mix(server: FaultServer) -> None:
    server.replies(by(lambda request: chat_stream(*request.json["messages"][0]["content"])))
    async with AsyncChatServerClient("k", server.url) as client:

        async def read(text: str) -> str:
            return "".join([part async for part in await client.create_completion("demo", text, stream=True)])

        words = [f"word {n}" for n in range(20)]
        assert await asyncio.gather(*map(read, words)) == words


def test_threads_may_share_a_client(server: FaultServer) -> None:
    server.replies(by(lambda request: chat_stream(*request.json["messages"][0]["content"])))
    with ChatServerClient("k", server.url) as client, ThreadPoolExecutor(8) as pool:

        def read(text: str) -> str:
            return "".join(client.create_completion("demo", text, stream=True))

        words = [f"word {n}" for n in range(40)]
        assert list(pool.map(read, words)) == words

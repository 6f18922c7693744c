"""The fault server itself, seen by httpx."""

from __future__ import annotations

from collections import deque

import httpx
import pytest

from ..servers import FaultServer, Gate, Reply, call, chat, chat_stream, hang, reset_after, says, too_many, truncated


def test_replies_come_in_order_and_the_last_is_repeated(server: FaultServer) -> None:
    server.replies(too_many("1"), chat("one"))
    with httpx.Client() as client:
        answers = [client.post(server.url, json={"n": n}) for n in range(3)]
    assert [found.status_code for found in answers] == [429, 200, 200]
    assert [request.json for request in server.requests] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert server.accepted_connections == 1
    server.wait_closed()


def test_a_stream_and_a_buffer_say_the_same(server: FaultServer) -> None:
    server.replies(says("te", "xt", tool_calls=[call("add", {"a": 1})]))
    whole = httpx.post(server.url, json={}).json()
    events = httpx.post(server.url, json={"stream": True}).text.split("\n\n")
    assert whole["choices"][0]["message"]["content"] == "text"
    assert len(events) == 1 + 2 + 3 + 1 + 1 + 1 + 1
    assert events[-2:] == ["data: [DONE]", ""]


def test_a_reset_reaches_the_client_after_what_was_sent(server: FaultServer) -> None:
    server.replies(reset_after("a"))
    with httpx.Client() as client, client.stream("POST", server.url) as response:
        body = response.iter_bytes()
        assert b'"a"' in next(body)
        with pytest.raises(httpx.ReadError):
            next(body)


@pytest.mark.parametrize("reply", [reset_after(), truncated(), truncated("a")], ids=["reset", "short", "cut"])
def test_a_broken_answer_is_none(server: FaultServer, reply: Reply) -> None:
    server.replies(reply)
    with pytest.raises(httpx.TransportError):
        httpx.post(server.url, json={})
    server.wait_closed()


def test_a_client_that_hangs_up_is_seen(server: FaultServer) -> None:
    server.replies(hang())
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(server.url, timeout=0.2)
    server.wait_closed()
    assert server.open_connections == 0


def test_a_stream_may_wait_and_stay_open(server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("a", gate, "b", end="open"))
    with httpx.Client(timeout=0.2) as client, client.stream("POST", server.url) as response:
        body = response.iter_bytes()
        assert b'"a"' in b"".join(next(body) for _ in range(2))
        gate.open()
        assert b'"b"' in next(body)
        with pytest.raises(httpx.ReadTimeout):
            deque(body)
    server.wait_closed()


def test_a_server_ends_with_connections_open() -> None:
    with httpx.Client() as client, FaultServer() as server:
        assert client.get(server.url).is_success
        assert server.open_connections == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)

"""Connections are used again after whole exchanges, and closed after any other."""

from __future__ import annotations

import pytest
from chatproxy_sdk._core.terms import Call

from ..servers import FaultServer, Gate, Reply, chat_stream, html, says, server_error, sse, too_many
from .conftest import QUICK, Connect


@pytest.mark.parametrize(
    "reply",
    [says("a"), too_many(), server_error(), html()],
    ids=["answer", "429", "500", "web page"],
)
def test_a_whole_exchange_leaves_its_connection_to_the_next(
    connect: Connect, server: FaultServer, call: Call, reply: Reply
) -> None:
    server.replies(reply)
    driver = connect()
    for _ in range(10):
        driver.run(call)
    assert len(server.requests) == 10
    assert server.accepted_connections == 1


def test_attempts_share_a_connection(connect: Connect, server: FaultServer, call: Call) -> None:
    server.replies(too_many("0"), server_error(), says("a"))
    assert connect(retries=QUICK).run(call).error is None
    assert len({request.port for request in server.requests}) == 1


def test_an_end_that_comes_soon_after_done_is_waited_for(connect: Connect, server: FaultServer) -> None:
    late = b": a server that is slow to end\n\n"
    server.replies(sse(["a", b"data: [DONE]\n\n", late, late], done=False))
    driver = connect()
    for _ in range(5):
        assert driver.stream().text == "a"
    assert server.accepted_connections == 1


def test_an_end_that_does_not_come_is_not_waited_for(connect: Connect, server: FaultServer) -> None:
    server.replies(chat_stream("a", end="open"))
    driver = connect(timeout_s=60)
    for _ in range(2):
        assert driver.stream().error is None
    assert server.accepted_connections == 2


def test_the_last_chunk_is_given_before_the_end_is_waited_for(connect: Connect, server: FaultServer) -> None:
    gate = Gate()
    server.replies(sse(["a", b"data: [DONE]\n\n", gate], done=False))
    driver = connect()
    driver.on_chunk = gate.open
    assert driver.stream().text == "a"
    driver.on_chunk = None
    server.replies(chat_stream("b"))
    assert driver.stream().text == "b"
    assert server.accepted_connections == 1

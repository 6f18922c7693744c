"""Clients that several threads, or several loops, or a forked process use; and what they say of themselves."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chatproxy_sdk import AsyncChatServerClient, ChatServerClient, exceptions

from ..servers import FaultServer, says, stall_after

THREADS = 20
REQUESTS = 50


@pytest.fixture
def blocking(server: FaultServer) -> Iterator[ChatServerClient]:
    with ChatServerClient("k", server.url, 20) as client:
        yield client


def _ask_often(client: ChatServerClient) -> list[str]:
    texts = []
    for number in range(REQUESTS):
        if number % 2:
            texts.append(client.create_completion("m", "hi").choices[0].message.text)
            continue
        with client.create_completion("m", "hi", stream=True) as stream:
            # Every tenth is left after its first piece.
            texts.append(next(stream) + "b" if number % 10 == 0 else "".join(stream))
    return texts


def test_many_threads_share_a_client(blocking: ChatServerClient, server: FaultServer) -> None:
    server.replies(says("a", "b"))
    with ThreadPoolExecutor(THREADS) as threads:
        texts = [text for found in threads.map(_ask_often, [blocking] * THREADS) for text in found]
    assert texts == ["ab"] * (THREADS * REQUESTS)
    assert len(server.requests) == THREADS * REQUESTS
    blocking.close()
    server.wait_closed()


def test_a_stream_is_closed_by_another_thread_while_it_is_read(blocking: ChatServerClient, server: FaultServer) -> None:
    server.replies(stall_after("a"))
    stream = blocking.create_completion("m", "hi", stream=True)
    assert next(stream) == "a"
    reading, outcome = threading.Event(), []

    def read() -> None:
        reading.set()
        try:
            outcome.append(list(stream))
        except exceptions.ChatServerError as exc:
            outcome.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    while reader.is_alive():  # once is enough where it reads by now
        stream.close()
        reader.join(0.05)
    assert outcome == [[]]
    server.wait_closed()


def test_an_asynchronous_client_says_that_it_belongs_to_one_loop(server: FaultServer) -> None:
    client = AsyncChatServerClient("k", server.url, 5)
    with asyncio.Runner() as first:
        first.run(client.create_completion("m", "hi"))
        with asyncio.Runner() as second, pytest.raises(RuntimeError, match="another event loop"):
            second.run(client.create_completion("m", "hi"))
        assert len(server.requests) == 1
        first.run(client.close())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_client_works_in_a_forked_process(server: FaultServer) -> None:
    server.replies(says("a", "b"))
    with ChatServerClient("k", server.url, 5) as client:
        child = os.fork()
        if child == 0:
            is_fine = client.create_completion("m", "hi").choices[0].message.text == "ab"
            os._exit(0 if is_fine else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.create_completion("m", "hi").choices[0].message.text == "ab"


def test_no_log_and_no_error_has_a_secret(connect: Any, server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    server.replies(says("a"))
    caplog.set_level(logging.DEBUG)
    key = "sk-test-0123456789abcdef"
    connect(key, server.url, 5).create_completion("m", "hi")
    with_password = connect(None, server.url.replace("//", "//me:pass-word@"), 5)
    with_password.create_completion("m", "hi")
    assert server.requests[1].headers["authorization"] == "Basic bWU6cGFzcy13b3Jk"
    assert caplog.text
    server.replies(stall_after())
    with pytest.raises(exceptions.ServerConnectionError) as caught:
        connect(key, server.url.replace("//", "//me:pass-word@"), 0.2).create_completion("m", "hi")
    told = caplog.text + repr(with_password) + repr(vars(caught.value)) + repr(pickle.dumps(caught.value))
    for secret in (key, "pass-word", "cGFzcy13b3Jk"):
        assert secret not in told

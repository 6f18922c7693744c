"""Handlers whose clients leave, that cannot be ended, that block, and that run in threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from chatproxy_kit import ChatKitError

from chatproxy.testing import Recorder

from .asking import ask, error_of, gateway_of, kit_with, last_error, said


class Left:
    """A client that reads one piece and leaves."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def read_one(self, gateway: Any) -> None:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        async with gateway.client.stream("POST", "/chatkit", json=body) as answer:
            async for _ in answer.aiter_bytes():
                break


async def test_generator_is_closed_when_its_client_leaves() -> None:
    left = Left()

    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        try:
            while True:
                yield "more "
                await asyncio.sleep(0.001)
        finally:
            await asyncio.sleep(0)  # what cleans up may wait
            left.ended.set()

    async with gateway_of(kit_with(handler)) as gateway:
        await left.read_one(gateway)
        await asyncio.wait_for(left.ended.wait(), 5)


async def test_plain_generator_is_closed_when_its_client_leaves() -> None:
    ended = threading.Event()

    def handler(messages: Any, context: Any) -> Iterator[str]:
        try:
            while True:
                yield "more "
        finally:
            ended.set()

    async with gateway_of(kit_with(handler)) as gateway:
        await Left().read_one(gateway)
        assert await asyncio.to_thread(ended.wait, 5)


async def test_coroutine_is_cancelled_when_its_client_leaves() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(messages: Any, context: Any) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    async with gateway_of(kit_with(handler)) as gateway:
        asking = asyncio.ensure_future(ask(gateway))
        await begun.wait()
        asking.cancel()
        await asyncio.wait_for(ended.wait(), 5)


async def yields_when_closed(messages: Any, context: Any) -> AsyncIterator[str]:
    try:
        while True:
            yield "more "
            await asyncio.sleep(0.001)
    finally:
        yield "after the end"


async def hangs_when_closed(messages: Any, context: Any) -> AsyncIterator[str]:
    try:
        while True:
            yield "more "
            await asyncio.sleep(0.001)
    finally:
        await asyncio.Event().wait()


async def raises_when_closed(messages: Any, context: Any) -> AsyncIterator[str]:
    try:
        while True:
            yield "more "
            await asyncio.sleep(0.001)
    finally:
        raise ValueError("while closing")


@pytest.mark.parametrize("handler", [yields_when_closed, hangs_when_closed, raises_when_closed])
async def test_generator_that_cannot_be_closed_harms_nobody(handler: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with gateway_of(kit_with(handler)) as gateway:
        await Left().read_one(gateway)
        assert said(await gateway.chat("Hi", model="demo"))
    assert "the handler of 'chatkit'" in caplog.text


async def stubborn(messages: Any, context: Any) -> str:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def test_handler_that_ignores_its_clients_leaving_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("chatproxy_kit.stepping.LEAVING_S", 0.05)
    begun = asyncio.Event()

    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        yield "begun"
        begun.set()
        yield await stubborn(messages, context)

    recorder = Recorder()
    async with gateway_of(kit_with(handler), plugins=(recorder,)) as gateway:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        async with gateway.client.stream("POST", "/chatkit", json=body):
            await begun.wait()
        exchange = await asyncio.wait_for(recorder.wait(), 5)
        assert said(await gateway.chat("Hi", model="demo"))
    assert exchange.outcome == "client_disconnected"
    assert "ignored its cancellation and is abandoned" in caplog.text


async def scoped(messages: Any, context: Any) -> str:
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep_forever()
    await asyncio.sleep(0.2)
    return f"went on {scope.cancelled_caught}"


async def timed(messages: Any, context: Any) -> str:
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        await asyncio.sleep(0.2)
    return "went on True"


async def with_task(messages: Any, context: Any) -> str:
    task = asyncio.create_task(asyncio.sleep(20))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        await asyncio.sleep(0.2)
    return "went on True"


@pytest.mark.parametrize("handler", [scoped, timed, with_task])
async def test_handler_may_cancel_its_own_work_and_go_on(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy_kit.stepping.LEAVING_S", 0.02)
    async with gateway_of(kit_with(handler)) as gateway:
        assert said(await ask(gateway)) == "went on True"


async def test_handler_that_blocks_the_loop_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(messages: Any, context: Any) -> str:
        time.sleep(0.7)  # noqa: ASYNC251 - the fault under test
        return "late"

    async with gateway_of(kit_with(handler, timeout_s=0.1)) as gateway:
        assert error_of(await ask(gateway)) == (504, "timeout_error", "handler_timeout")
        assert said(await gateway.chat("Hi", model="demo"))
    assert "the handler of 'chatkit' blocked the event loop" in caplog.text


async def test_threads_are_bounded() -> None:
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def handler(messages: Any, context: Any) -> str:
        begun.release()
        go_on.wait(20)
        return "done"

    ck = kit_with(handler, max_threads=2)
    async with gateway_of(ck) as gateway:
        waiting = [asyncio.ensure_future(ask(gateway)) for _ in range(5)]
        for _ in range(2):
            await asyncio.to_thread(begun.acquire)
        health = (await gateway.client.get("/readyz")).json()["plugins"]
        go_on.set()
        answers = await asyncio.gather(*waiting)
    assert health == {"kit-chatkit": {"chatkit": {"threads": 2}}}
    assert [said(answer) for answer in answers] == ["done"] * 5


async def test_handler_whose_threads_all_hang_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy_kit.threads.WAIT_S", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def handler(messages: Any, context: Any) -> str:
        begun.set()
        go_on.wait(20)
        return "done"

    ck = kit_with(handler, max_threads=1)
    ck.auth()(lambda request: {})  # hooks have threads of their own
    async with gateway_of(ck) as gateway:
        first = asyncio.ensure_future(ask(gateway))
        await asyncio.to_thread(begun.wait)
        refused = await ask(gateway)
        assert error_of(refused) == (503, "api_error", "handler_busy")
        assert refused.headers["retry-after"] == "1"
        go_on.set()
        assert said(await first) == "done"
        assert said(await ask(gateway)) == "done"


def refusing(messages: Any, context: Any) -> str:
    raise ChatKitError("No.", "not_found")


def stopping(messages: Any, context: Any) -> str:
    raise StopIteration


def refusing_generator(messages: Any, context: Any) -> Iterator[str]:
    yield "so far"
    raise ChatKitError("No.", "not_found")


async def test_errors_of_plain_handlers_are_told_as_others() -> None:
    first, second = kit_with(refusing, model="a", path="/a"), kit_with(stopping, model="b", path="/b")
    third = kit_with(refusing_generator, model="c", path="/c")
    async with gateway_of(first, second, third) as gateway:
        assert error_of(await ask(gateway, "/a")) == (404, "invalid_request_error", "not_found")
        assert error_of(await ask(gateway, "/b")) == (500, "api_error", "handler_failed")
        assert error_of(await ask(gateway, "/c")) == (404, "invalid_request_error", "not_found")
        assert last_error(await ask(gateway, "/c", stream=True))["code"] == "not_found"


async def test_plain_generator_runs_only_a_little_ahead_of_its_reader() -> None:
    made: list[int] = []

    def handler(messages: Any, context: Any) -> Iterator[str]:
        for number in range(10_000):
            made.append(number)
            yield "x" * 10_000

    async with gateway_of(kit_with(handler)) as gateway:
        await Left().read_one(gateway)
    assert len(made) < 200

"""Code that exits, interrupts or never waits: nothing of it may reach the event loop, which serves everybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from chatproxy_kit import ChatKit

from chatproxy.testing import Recorder

from .asking import USER, ask, error_of, gateway_of, kit_with, last_error, said


class OwnExit(BaseException):
    """No `Exception`, as some libraries have them."""


EXITS = [SystemExit, KeyboardInterrupt, GeneratorExit, OwnExit]
FAILED = (500, "api_error", "handler_failed")


def at_once(kind: type[BaseException]) -> Callable[..., Any]:
    async def handler(messages: Any, context: Any) -> str:
        raise kind

    return handler


def after_a_wait(kind: type[BaseException]) -> Callable[..., Any]:
    async def handler(messages: Any, context: Any) -> str:
        await asyncio.sleep(0)
        raise kind

    return handler


def in_a_generator(kind: type[BaseException]) -> Callable[..., Any]:
    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        raise kind
        yield "never"

    return handler


def in_a_thread(kind: type[BaseException]) -> Callable[..., Any]:
    def handler(messages: Any, context: Any) -> Iterator[str]:
        raise kind
        yield "never"

    return handler


@pytest.mark.parametrize("kind", EXITS)
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("make", [at_once, after_a_wait, in_a_generator, in_a_thread])
async def test_handler_that_exits_has_failed(make: Any, kind: type[BaseException], stream: bool) -> None:
    async with gateway_of(kit_with(make(kind))) as gateway:
        assert error_of(await ask(gateway, stream=stream)) == FAILED
        assert said(await gateway.chat("Hi", model="demo"))


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, OwnExit])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_iterator_that_exits_when_it_is_begun_has_failed(kind: type[BaseException], stream: bool) -> None:
    class Pieces:
        def __aiter__(self) -> Any:
            raise kind

    async def handler(messages: Any, context: Any) -> Pieces:
        return Pieces()

    async with gateway_of(kit_with(handler)) as gateway:
        assert error_of(await ask(gateway, stream=stream)) == FAILED
        assert said(await gateway.chat("Hi", model="demo"))


@pytest.mark.parametrize("kind", EXITS)
async def test_generator_that_exits_in_mid_stream_ends_it_with_an_error(kind: type[BaseException]) -> None:
    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        yield "so far"
        await asyncio.sleep(0)
        raise kind

    async with gateway_of(kit_with(handler)) as gateway:
        assert last_error(await ask(gateway, stream=True))["code"] == "handler_failed"


@pytest.mark.parametrize("kind", EXITS)
async def test_generator_that_exits_while_it_is_closed_harms_nobody(kind: type[BaseException]) -> None:
    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        try:
            while True:
                yield "more "
                await asyncio.sleep(0.001)
        finally:
            raise kind

    recorder = Recorder()
    async with gateway_of(kit_with(handler), plugins=(recorder,)) as gateway:
        async with gateway.client.stream("POST", "/chatkit", json={"messages": [USER]}) as answer:
            await anext(answer.aiter_bytes())
        exchange = await asyncio.wait_for(recorder.wait(), 5)
        assert said(await gateway.chat("Hi", model="demo"))
    assert exchange.outcome == "client_disconnected"


def hooked(name: str, kind: type[BaseException]) -> ChatKit:
    async def handler(messages: Any, context: Any) -> str:
        return "well"

    async def hook(given: Any) -> None:
        raise kind

    ck = kit_with(handler)
    getattr(ck, name)()(hook)
    return ck


@pytest.mark.parametrize("kind", EXITS)
@pytest.mark.parametrize("name", ["auth", "on_connect", "on_disconnect"])
async def test_hook_that_exits_has_failed(name: str, kind: type[BaseException]) -> None:
    async with gateway_of(hooked(name, kind)) as gateway:
        answer = await ask(gateway)
        assert said(await gateway.chat("Hi", model="demo"))
    assert answer.status_code == (200 if name == "on_disconnect" else 500)


async def test_startup_hook_that_exits_stops_the_start() -> None:
    async def stop() -> None:
        raise SystemExit(3)

    ck = kit_with(at_once(ValueError))
    ck.on_startup()(stop)
    with pytest.raises(BaseException, match="SystemExit"):
        async with gateway_of(ck):
            pytest.fail("it started")


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_generator_that_never_waits_lets_others_have_their_turn(stream: bool) -> None:
    begun = asyncio.Event()
    goes_on = True

    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        begun.set()
        for _ in range(200_000):  # an end, so that a starved test fails and does not hang
            if not goes_on:
                return
            yield ""
        raise AssertionError("nobody had a turn")

    async with gateway_of(kit_with(handler)) as gateway:
        asking = asyncio.ensure_future(ask(gateway, stream=stream))
        await begun.wait()
        assert said(await gateway.chat("Hi", model="demo"))
        goes_on = False
        answer = await asking
    assert answer.status_code == 200
    assert "nobody" not in answer.text
    assert "error" not in answer.text

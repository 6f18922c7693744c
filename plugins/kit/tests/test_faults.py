"""Handlers that misbehave: a clear error, and the next request works."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from .asking import ask, error_of, gateway_of, kit_with, last_error, said


class Moody:
    """A handler that behaves badly first, and well afterwards."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces
        self.calls = 0

    async def __call__(self, messages: Any, context: Any) -> Any:
        self.calls += 1
        return self._bad() if self.calls == 1 else "well"

    async def _bad(self) -> AsyncIterator[Any]:
        for piece in self.pieces:
            yield piece


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ((3,), "yielded int, wanted a str or a chunk mapping with 'choices'."),
        ((None,), "yielded NoneType, wanted"),
        ((b"bytes",), "yielded bytes, wanted"),
        ((["list"],), "yielded list, wanted"),
        (({"content": "x"},), "yielded a mapping without them, wanted"),
        (({"choices": [{"message": {}}]},), "yielded a mapping without them, wanted"),
        (({"choices": [{"index": "0", "delta": {}}]},), "yielded a mapping without them, wanted"),
        ((), "yielded nothing."),
        (({"choices": []},), "yielded nothing."),
    ],
    ids=["int", "none", "bytes", "list", "message", "completion", "index", "nothing", "no choices"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_wrong_pieces_are_told(pieces: tuple[Any, ...], message: str, stream: bool) -> None:
    async with gateway_of(kit_with(Moody(*pieces))) as gateway:
        answer = await ask(gateway, stream=stream)
        assert said(await ask(gateway)) == "well"
    error = last_error(answer) if pieces == ({"choices": []},) and stream else answer.json()["error"]
    assert error["code"] == "handler_failed"
    assert f"The handler of 'chatkit' {message}" in error["message"]


async def test_wrong_piece_in_mid_stream_ends_it() -> None:
    async with gateway_of(kit_with(Moody("Hello", 3))) as gateway:
        error = last_error(await ask(gateway, stream=True))
        assert said(await ask(gateway)) == "well"
    assert "yielded int" in error["message"]


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ({"choices": [{"delta": {"content": object()}}]}, "gave a mapping that is not JSON"),
        ({"choices": [{"delta": {"content": "\ud800"}}]}, "gave a mapping that is not JSON"),
        ("\ud800", "gave a text with half a character"),
    ],
    ids=["object", "surrogate in a chunk", "surrogate"],
)
async def test_piece_that_is_no_json_ends_the_stream(piece: Any, message: str) -> None:
    async with gateway_of(kit_with(Moody("Hello", piece))) as gateway:
        error = last_error(await ask(gateway, stream=True))
        assert said(await ask(gateway)) == "well"
    assert error["code"] == "handler_failed"
    assert message in error["message"]


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        (None, "nothing (None)"),
        (3, "int"),
        (["a"], "list"),
        ({}, "a mapping without them"),
        ({"choices": []}, "a mapping"),
    ],
    ids=["none", "int", "list", "empty", "no choices"],
)
async def test_wrong_answers_are_told(returned: Any, shown: str) -> None:
    async def handler(messages: Any, context: Any) -> Any:
        return returned

    async with gateway_of(kit_with(handler)) as gateway:
        answer = await ask(gateway)
    assert error_of(answer) == (500, "api_error", "handler_failed")
    assert shown in answer.json()["error"]["message"]


async def hanging_coroutine(messages: Any, context: Any) -> str:
    await asyncio.Event().wait()
    return "never"


async def hanging_generator(messages: Any, context: Any) -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield "never"


def hanging_function(messages: Any, context: Any) -> str:
    threading.Event().wait(20)
    return "never"


def hanging_plain_generator(messages: Any, context: Any) -> Iterator[str]:
    threading.Event().wait(20)
    yield "never"


async def stubborn_coroutine(messages: Any, context: Any) -> str:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def stubborn_generator(messages: Any, context: Any) -> AsyncIterator[str]:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    yield "never"


async def late_swallower(messages: Any, context: Any) -> AsyncIterator[str]:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        yield "too late"


@pytest.mark.parametrize(
    "handler",
    [
        hanging_coroutine, hanging_generator, hanging_function, hanging_plain_generator, stubborn_coroutine,
        stubborn_generator, late_swallower,
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_handler_that_hangs_is_left_at_its_deadline(handler: Any, stream: bool) -> None:
    async with gateway_of(kit_with(handler, timeout_s=0.05)) as gateway:
        answer = await ask(gateway, stream=stream)
        assert error_of(answer) == (504, "timeout_error", "handler_timeout")
        assert answer.json()["error"]["message"] == "The handler of 'chatkit' took over 0.05 s."
        assert said(await gateway.chat("Hi", model="demo"))


async def test_deadline_is_for_each_piece() -> None:
    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        for _ in range(8):
            await asyncio.sleep(0.1)
            yield "x"
        await asyncio.Event().wait()

    async with gateway_of(kit_with(handler, timeout_s=0.6)) as gateway:
        answer = await ask(gateway, stream=True)
    assert last_error(answer)["code"] == "handler_timeout"
    assert answer.text.count('"content":"x"') == 8


async def test_handler_that_cancels_itself_has_failed() -> None:
    async def handler(messages: Any, context: Any) -> str:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def at_once(messages: Any, context: Any) -> str:
        raise asyncio.CancelledError

    first, second = kit_with(handler, model="a", path="/a"), kit_with(at_once, model="b", path="/b")
    async with gateway_of(first, second) as gateway:
        for path in ("/a", "/b"):
            assert error_of(await ask(gateway, path)) == (500, "api_error", "handler_failed")
        assert said(await gateway.chat("Hi", model="demo"))

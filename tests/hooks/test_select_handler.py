"""`select_handler`: FIRST."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import Completed, Stream
from chatproxy.testing import Recorder, events_of
from tests.hooks.cases import Plugin, error_of, gateway, hang, policy


class Echo:
    """A handler that answers its own name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def execute(self, ctx: Any, request: Any) -> Completed:
        return Completed({"choices": [], "handler": self.name, "model": request.model})


def chooser(handler: Any) -> Any:
    async def select_handler() -> Any:
        return handler

    return select_handler


async def test_hook_select_handler() -> None:
    async with gateway() as app:
        await app.chat("hi")
        assert len(app.upstream.requests) == 1


async def test_first_that_chooses_wins_and_later_ones_are_not_called() -> None:
    called = []

    async def late() -> Any:
        called.append(1)

    plugins = [
        Plugin("a", select_handler=chooser(None)),
        Plugin("b", select_handler=chooser(Echo("b"))),
        Plugin("c", select_handler=late),
    ]
    async with gateway(*plugins) as app:
        answer = await app.chat("hi")
    assert answer.json()["handler"] == "b"
    assert called == []


async def test_tryfirst_chooses_first() -> None:
    first = Plugin("z", options={"tryfirst": True}, select_handler=chooser(Echo("z")))
    async with gateway(Plugin("a", select_handler=chooser(Echo("a"))), first) as app:
        assert (await app.chat("hi")).json()["handler"] == "z"


async def test_handler_may_be_named() -> None:
    plugin = Plugin("a", handlers=lambda config: [Echo("echo")], select_handler=chooser("echo"))
    async with gateway(plugin) as app:
        assert (await app.chat("hi")).json()["handler"] == "echo"


async def test_unknown_name_is_the_plugins_failure() -> None:
    async with gateway(Plugin("a", select_handler=chooser("nobody"))) as app:
        answer = await app.chat("hi")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "plugin_failed"


async def test_raising_under_open_lets_the_next_choose() -> None:
    async def broken() -> Any:
        raise ValueError("no")

    plugins = [Plugin("a", select_handler=broken), Plugin("b", select_handler=chooser(Echo("b")))]
    async with gateway(*plugins, **policy("a", on_error="open")) as app:
        assert (await app.chat("hi")).json()["handler"] == "b"


async def test_hanging_is_ended_at_its_deadline() -> None:
    async with gateway(Plugin("a", select_handler=hang), **policy("a", deadline_s=0.05)) as app:
        assert (await app.chat("hi")).status_code == 504


async def test_it_sees_the_request_as_changed() -> None:
    async def rename(request: Any) -> None:
        request.model = "renamed"

    async def choose(request: Any) -> Any:
        return Echo("e") if request.model == "renamed" else None

    async with gateway(Plugin("a", before_request=rename), Plugin("b", select_handler=choose)) as app:
        assert (await app.chat("hi")).json() == {"choices": [], "handler": "e", "model": "renamed"}


class Breaking:
    """A handler whose stream raises something of its own."""

    name = "breaking"

    def __init__(self, after: int) -> None:
        self.after = after

    async def execute(self, ctx: Any, request: Any) -> Stream:
        async def events() -> Any:
            for _ in range(self.after):
                yield {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}
            raise ValueError("the secret")

        return Stream.of(events())


@pytest.mark.parametrize("transformed", [False, True])
async def test_stream_of_a_handler_that_raises_ends_with_one_error_event(transformed: bool) -> None:
    async def transform_stream() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                yield event

        return layer

    hooks = {"transform_stream": transform_stream} if transformed else {}
    recorder = Recorder()
    async with gateway(Plugin("a", select_handler=chooser(Breaking(2)), **hooks), recorder) as app:
        answer = await app.chat("hi", stream=True)
        exchange = await recorder.wait()
    events = events_of(answer.content)
    assert [event for event in events if "error" in event] == events[-1:]
    assert events[-1]["error"]["code"] == "handler_failed"
    assert "secret" not in answer.text
    assert exchange.error_code == "handler_failed"
    assert all(call.outcome != "error" for call in exchange.hook_calls)


async def test_stream_of_a_handler_that_raises_at_once_is_an_ordinary_error() -> None:
    async with gateway(Plugin("a", select_handler=chooser(Breaking(0)))) as app:
        answer = await app.chat("hi", stream=True)
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "handler_failed"

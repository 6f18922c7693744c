"""The ledger: which plugin changed which fields of a request and of a buffered reply."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.tracing import Tracing
from tests.hooks.cases import Plugin, policy

from chatproxy import ChatRequest, ChatResponse, Completed
from chatproxy.plugins.ledger import MAX_BYTES, MAX_NAME, MAX_NAMES
from chatproxy.testing import Recorder, ScriptedUpstream, make_app, reply
from chatproxy.types import Exchange

Changes = list[tuple[str, str, list[str], list[str], list[str]]]


async def recorded(*plugins: object, is_kept: bool = True, body: Any = None, **settings: Any) -> Exchange:
    """The record of one chat request."""
    recorder = Recorder()
    given = [*plugins, recorder, *([Tracing()] if is_kept else [])]
    async with make_app(plugins=given, upstream=ScriptedUpstream(reply("Hello.")), **settings) as app:
        sent = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **(body or {})}
        await app.client.post("/v1/chat/completions", json=sent)
        return await recorder.wait()


def changes(exchange: Exchange) -> Changes:
    return [(made.plugin, made.hook, made.added, made.changed, made.removed) for made in exchange.mutations]


async def change(request: ChatRequest) -> None:
    request["user"] = "canary-value"
    request["temperature"] = 1
    del request["top_p"]


async def read(request: ChatRequest) -> None:
    """Decoded fields are written anew, which is no change of what they say."""
    assert request.messages[0]["content"] == "hi"
    assert request.model == "m"
    request["temperature"] = request["temperature"]


async def replace_request(request: ChatRequest) -> ChatRequest:
    made = request.copy()
    made["messages"] = [{"role": "user", "content": "other"}]
    return made


async def replace_texts(response: ChatResponse) -> None:
    for text in response.texts():
        text.replace("canary-value")


async def another_response(response: ChatResponse) -> dict[str, Any]:
    return {**response.to_dict(), "note": 1}


BODY = {"temperature": 0.5, "top_p": 1, "metadata": {"a": [1, 2.5, "ä"]}}


async def test_each_plugin_has_its_own_changes_in_order() -> None:
    plugins = [
        Plugin("a", before_request=change, before_response=replace_texts),
        Plugin("b", before_request=read),
        Plugin("c", before_request=replace_request, before_response=another_response),
    ]
    exchange = await recorded(*plugins, body=BODY)
    assert changes(exchange) == [
        ("a", "before_request", ["user"], ["temperature"], ["top_p"]),
        ("c", "before_request", [], ["messages"], []),
        ("c", "before_response", ["note"], [], []),
        ("a", "before_response", [], ["choices"], []),
    ]
    times = [made.at_s for made in exchange.mutations]
    assert times == sorted(times)
    assert 0 < times[0] <= times[-1] <= exchange.duration_s
    assert "canary" not in repr(exchange.mutations)


async def test_nothing_is_kept_where_nobody_wants_it() -> None:
    exchange = await recorded(Plugin("a", before_request=change), is_kept=False, body=BODY)
    assert exchange.mutations == []


async def test_what_a_failed_plugin_changed_is_undone_and_not_on_record() -> None:
    async def half(request: ChatRequest) -> None:
        request["user"] = "half"
        raise ValueError("no")

    settings = policy("a", on_error="open")
    exchange = await recorded(
        Plugin("a", before_request=half), Plugin("b", before_request=change), body=BODY, **settings
    )
    assert [made[:2] for made in changes(exchange)] == [("b", "before_request")]


async def test_large_bodies_are_not_compared() -> None:
    exchange = await recorded(Plugin("a", before_request=change), body={**BODY, "metadata": "x" * MAX_BYTES})
    assert exchange.mutations == []
    assert exchange.outcome == "completed"


async def test_names_are_bounded() -> None:
    async def drop(request: ChatRequest) -> None:
        for name in [name for name in request if name.startswith("x")]:
            del request[name]

    fields = {f"x{number:03}" + "y" * 2000: 1 for number in range(100)}
    (made,) = (await recorded(Plugin("a", before_request=drop), body=fields)).mutations
    assert (len(made.removed), {len(name) for name in made.removed}) == (MAX_NAMES, {MAX_NAME})


@pytest.mark.parametrize("is_kept", [False, True], ids=["plain", "kept"])
async def test_plugin_that_breaks_a_body_is_answered_the_same(is_kept: bool) -> None:
    async def broken(request: ChatRequest) -> None:
        request["user"] = object()

    exchange = await recorded(Plugin("a", before_request=broken), is_kept=is_kept)
    assert (exchange.status, exchange.error_code) == (500, "plugin_failed")
    assert exchange.mutations == []


@pytest.mark.parametrize("is_kept", [False, True], ids=["plain", "kept"])
async def test_reply_that_is_no_json_is_answered_the_same(is_kept: bool) -> None:
    class Odd:
        name = "odd"

        async def execute(self, ctx: Any, request: Any) -> Any:
            return Completed({"choices": [], "odd": object()})

    async def select_handler() -> Any:
        return Odd()

    exchange = await recorded(Plugin("a", select_handler=select_handler), is_kept=is_kept)
    assert (exchange.status, exchange.error_code) == (500, "plugin_failed")

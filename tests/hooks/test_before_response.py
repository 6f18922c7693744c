"""`before_response`: CHAIN_BACK."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import ChatResponse, Reject
from chatproxy.testing import ScriptedUpstream, raw_reply, reply
from tests.hooks.cases import Plugin, error_of, gateway, hang, policy


def adder(text: str) -> Any:
    async def before_response(response: Any) -> None:
        for found in response.texts():
            found.replace(found.value + text)

    return before_response


def said(answer: Any) -> Any:
    return answer.json()["choices"][0]["message"]["content"]


async def test_hook_before_response() -> None:
    async with gateway(Plugin("a", before_response=adder("!")), upstream=ScriptedUpstream(reply("hi"))) as app:
        assert said(await app.chat("x")) == "hi!"


async def test_without_implementer_bytes_pass_untouched() -> None:
    body = b'{ "choices": [],  "odd": 1e-400, "big": 9007199254740993, "odd2": 1.0 }'
    async with gateway(upstream=ScriptedUpstream(raw_reply(body))) as app:
        assert (await app.chat("x")).content == body


async def test_order_is_the_reverse_of_before_request() -> None:
    plugins = [Plugin("a", before_response=adder("a")), Plugin("b", before_response=adder("b"))]
    async with gateway(*plugins, upstream=ScriptedUpstream(reply("-"))) as app:
        assert said(await app.chat("x")) == "-ba"


async def test_tryfirst_is_last_to_touch_it() -> None:
    first = Plugin("z", options={"tryfirst": True}, before_response=adder("z"))
    async with gateway(Plugin("a", before_response=adder("a")), first, upstream=ScriptedUpstream(reply("-"))) as app:
        assert said(await app.chat("x")) == "-az"


@pytest.mark.parametrize("kind", [dict, ChatResponse])
async def test_returned_response_replaces_it(kind: type) -> None:
    async def replace() -> Any:
        return kind({"choices": [], "mine": True})

    async with gateway(Plugin("a", before_response=replace)) as app:
        assert (await app.chat("x")).json() == {"choices": [], "mine": True}


async def test_reject_answers_an_error() -> None:
    async def refuse() -> Any:
        raise Reject("Unfit answer.", code="content_filter")

    async with gateway(Plugin("a", before_response=refuse)) as app:
        answer = await app.chat("x")
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "content_filter"


async def test_raising_fails_closed() -> None:
    async def broken() -> Any:
        raise ValueError("no")

    async with gateway(Plugin("a", before_response=broken)) as app:
        assert (await app.chat("x")).status_code == 500


async def test_raising_under_open_undoes_its_half_done_change() -> None:
    async def broken(response: Any) -> Any:
        response["choices"] = []
        raise ValueError("no")

    settings = policy("a", on_error="open")
    upstream = ScriptedUpstream(reply("whole"))
    async with gateway(Plugin("a", before_response=broken), upstream=upstream, **settings) as app:
        assert said(await app.chat("x")) == "whole"


async def test_hanging_is_ended_at_its_deadline() -> None:
    async with gateway(Plugin("a", before_response=hang), **policy("a", deadline_s=0.05)) as app:
        assert (await app.chat("x")).status_code == 504


async def test_it_gets_the_request_as_sent() -> None:
    seen = []

    async def change(request: Any) -> None:
        request["user"] = "u"

    async def look(request: Any, response: Any) -> None:
        seen.append(request["user"])

    async with gateway(Plugin("a", before_request=change, before_response=look)) as app:
        await app.chat("x")
    assert seen == ["u"]


async def test_what_json_cannot_hold_is_the_plugins_failure() -> None:
    async def spoil(response: Any) -> None:
        response["bad"] = object()

    async with gateway(Plugin("a", before_response=spoil)) as app:
        answer = await app.chat("x")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "plugin_failed"

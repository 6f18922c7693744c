"""The test kit itself: what a plugin's author relies on."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from chatproxy import hookimpl
from chatproxy.errors import ConfigError
from chatproxy.testing import (
    Fault,
    Recorder,
    Scripted,
    ScriptedUpstream,
    error_reply,
    events_of,
    make_app,
    reply,
    stream_reply,
    text_of,
    tool_calls_reply,
)


class Shout:
    """A plugin as a test's author writes it."""

    chatproxy_name = "shout"

    @hookimpl
    async def before_request(self, request: Any) -> None:
        for text in request.texts():
            text.replace(text.value.upper())


async def test_script_is_answered_in_order_and_its_last_entry_repeats() -> None:
    upstream = ScriptedUpstream(reply("one"), error_reply(500), reply("three"))
    async with make_app(upstream=upstream) as gateway:
        answers = [await gateway.chat("x") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 500, 200, 200]
    assert answers[3].json()["choices"][0]["message"]["content"] == "three"


async def test_script_may_look_at_the_request() -> None:
    def echo(seen: Any) -> Scripted:
        return reply(seen.json["messages"][0]["content"])

    async with make_app(plugins=[Shout()], upstream=ScriptedUpstream(echo)) as gateway:
        answer = await gateway.chat("hello")
    assert answer.json()["choices"][0]["message"]["content"] == "HELLO"


async def test_stream_comes_as_it_is_made() -> None:
    upstream = ScriptedUpstream(stream_reply(["first"], fault=Fault.STALL, finish_reason=None))
    async with make_app(upstream=upstream) as gateway:
        body = {"model": "m", "stream": True, "messages": []}
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            seen = b""
            async for chunk in answer.aiter_bytes():
                seen += chunk
                if text_of(seen) == "first":
                    break
        await upstream.wait_closed()
    assert upstream.closed_early == 1


async def test_tool_calls_are_shaped_as_openai_does() -> None:
    async with make_app(upstream=ScriptedUpstream(tool_calls_reply(("look", '{"q":1}')))) as gateway:
        choice = (await gateway.chat("x")).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"q":1}'}


def test_plain_tests_need_no_event_loop() -> None:
    recorder = Recorder()
    with make_app(plugins=[recorder], demo=True).sync() as gateway:
        assert gateway.chat("Hello", model="demo").status_code == 200
        assert gateway.request("GET", "/livez").json() == {"status": "ok"}
        exchange = gateway.run(recorder.wait())
    assert exchange.outcome == "completed"


async def test_environment_does_not_reach_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_DEFAULT_MODEL", "from-the-environment")
    async with make_app() as gateway:
        await gateway.chat("x", model="mine")
        assert gateway.upstream.requests[0].json["model"] == "mine"  # type: ignore[attr-defined]


def test_wrong_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_body_bites"):
        make_app(max_body_bites=1)


async def test_failing_test_stays_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        async with make_app():
            _ = 1 / 0


async def test_cancelled_request_is_a_client_that_leaves() -> None:
    recorder = Recorder()
    upstream = ScriptedUpstream(Scripted(fault=Fault.STALL_BEFORE))
    async with make_app(plugins=[recorder], upstream=upstream) as gateway:
        request = asyncio.ensure_future(gateway.chat("x"))
        await upstream.wait_asked()
        request.cancel()
        assert (await recorder.wait()).outcome == "client_disconnected"


def test_events_and_text_are_read_from_a_body() -> None:
    body = b"".join(stream_reply(["a", "b"]).parts)
    assert text_of(body) == "ab"
    assert events_of(body)[-1] == "[DONE]"


async def test_fixtures_come_with_the_package(chatproxy_gateway: Any, chatproxy_recorder: Any) -> None:
    gateway = await chatproxy_gateway(plugins=[chatproxy_recorder])
    assert isinstance(gateway.client, httpx.AsyncClient)
    await gateway.chat("x")
    assert (await chatproxy_recorder.wait()).status == 200

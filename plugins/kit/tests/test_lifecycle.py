"""Hooks around a kit's life and around each exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from chatproxy_kit import ChatKit, ChatKitError, Context

from chatproxy import Reply, RequestContext, hookimpl

from .asking import ask, error_of, gateway_of, kit_with, said
from .serving import served


async def answer(messages: Any, context: Any) -> AsyncIterator[str]:
    if messages[-1]["content"] == "fail":
        raise ValueError("no")
    yield "ok"
    if messages[-1]["content"] == "stay":
        await asyncio.Event().wait()


class Heard:
    """What the hooks of a kit were called with, in order."""

    def __init__(self, ck: ChatKit, *, plain: bool = False) -> None:
        self.calls: list[str] = []
        self.contexts: list[Context] = []
        self._changed = asyncio.Condition()
        add = self._add_plain if plain else self._add
        ck.on_connect()(add("connect"))
        ck.on_disconnect()(add("disconnect"))

    def _add(self, name: str) -> Any:
        async def hook(context: Context) -> None:
            self._note(name, context)

        return hook

    def _add_plain(self, name: str) -> Any:
        return lambda context: self._note(name, context)

    def _note(self, name: str, context: Context) -> None:
        self.calls.append(f"{name} {context['session_id']}")
        self.contexts.append(context)


async def test_startup_and_shutdown_bracket_the_life() -> None:
    calls: list[str] = []
    ck = kit_with(answer)

    @ck.on_startup()
    async def begin() -> None:
        calls.append("startup 1")

    @ck.on_startup()
    def begin_too() -> None:
        calls.append("startup 2")

    @ck.on_shutdown()
    def end() -> None:
        calls.append("shutdown 1")
        raise ValueError("cannot close")

    @ck.on_shutdown()
    async def end_too() -> None:
        calls.append("shutdown 2")

    async with gateway_of(ck) as gateway:
        assert calls == ["startup 1", "startup 2"]
        assert said(await ask(gateway)) == "ok"
    assert calls == ["startup 1", "startup 2", "shutdown 1", "shutdown 2"]


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
async def test_startup_that_fails_stops_the_start(plain: bool) -> None:
    ck = kit_with(answer)

    async def fails() -> None:
        raise OSError("no database")

    ck.on_startup()((lambda: asyncio.run(fails())) if plain else fails)
    with pytest.raises(Exception, match="no database"):
        async with gateway_of(ck):
            raise AssertionError("it started")


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_every_exchange_connects_and_disconnects_once(plain: bool, stream: bool) -> None:
    ck = kit_with(answer)
    heard = Heard(ck, plain=plain)
    async with gateway_of(ck) as gateway:
        for session in ("a", "b"):
            await ask(gateway, session_id=session, stream=stream, user="ann")
    assert sorted(heard.calls) == ["connect a", "connect b", "disconnect a", "disconnect b"]
    assert heard.calls[0] == "connect a"
    assert {context.user_id for context in heard.contexts} == {"ann"}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_failed_exchange_disconnects_once(stream: bool) -> None:
    ck = kit_with(answer)
    heard = Heard(ck)
    async with gateway_of(ck) as gateway:
        refused = await ask(gateway, messages=[{"role": "user", "content": "fail"}], session_id="s", stream=stream)
    assert refused.status_code == 500
    assert heard.calls == ["connect s", "disconnect s"]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_client_that_leaves_is_disconnected_once(stream: bool) -> None:
    ck = kit_with(answer)
    heard = Heard(ck)
    left = asyncio.Event()

    @ck.on_disconnect()
    async def tell(context: Context) -> None:
        left.set()

    connected = asyncio.Event()

    @ck.on_connect()
    async def note(context: Context) -> None:
        connected.set()

    body = {"messages": [{"role": "user", "content": "stay"}], "session_id": "s", "stream": stream}
    async with gateway_of(ck) as gateway:
        if stream:
            async with gateway.client.stream("POST", "/chatkit", json=body) as streamed:
                async for _ in streamed.aiter_bytes():
                    break
        else:
            asking = asyncio.ensure_future(gateway.client.post("/chatkit", json=body))
            await connected.wait()
            asking.cancel()
        await asyncio.wait_for(left.wait(), 5)
    assert heard.calls == ["connect s", "disconnect s"]


async def test_client_that_drops_its_connection_is_disconnected_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATPROXY_DISABLED_PLUGINS", "*")
    ck = kit_with(answer)
    heard = Heard(ck)
    left = asyncio.Event()

    @ck.on_disconnect()
    async def tell(context: Context) -> None:
        left.set()

    body = {"messages": [{"role": "user", "content": "stay"}], "session_id": "s"}
    async with served(ck.app) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("POST", "/chatkit", json=body) as streamed:
            async for _ in streamed.aiter_bytes():
                break
        await asyncio.wait_for(left.wait(), 5)
    assert heard.calls == ["connect s", "disconnect s"]


async def test_exchange_whose_handler_runs_twice_connects_once() -> None:
    class Twice:
        chatproxy_name = "twice"

        @hookimpl
        async def around_execute(self, ctx: RequestContext, request: Any, call_next: Any) -> Reply:
            await call_next(request)
            reply: Reply = await call_next(request)
            return reply

    ck = kit_with(answer)
    heard = Heard(ck)
    async with gateway_of(ck, plugins=(Twice(),)) as gateway:
        assert said(await ask(gateway, session_id="s")) == "ok"
    assert heard.calls == ["connect s", "disconnect s"]


async def test_connect_hook_may_add_to_the_context() -> None:
    async def handler(messages: Any, context: Context) -> str:
        return f"Hello {context.tenant}"

    ck = kit_with(handler)

    @ck.on_connect()
    async def add(context: Context) -> None:
        context["tenant"] = "blue"

    async with gateway_of(ck) as gateway:
        assert said(await ask(gateway)) == "Hello blue"


async def test_connect_hook_may_refuse_a_client() -> None:
    ck = kit_with(answer)

    @ck.on_connect()
    async def refuse(context: Context) -> None:
        raise ChatKitError("Closed on Sundays.", "overloaded")

    heard = Heard(ck)
    async with gateway_of(ck) as gateway:
        assert error_of(await ask(gateway, session_id="s")) == (503, "api_error", "overloaded")
    assert heard.calls == ["disconnect s"]


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
async def test_connect_hook_that_fails_refuses_the_client(debug: bool) -> None:
    ck = kit_with(answer, debug=debug)

    @ck.on_connect()
    async def fails(context: Context) -> None:
        raise ValueError("inside")

    async with gateway_of(ck) as gateway:
        refused = await ask(gateway)
    assert error_of(refused) == (500, "api_error", "handler_failed")
    assert ("ValueError: inside" in refused.text) is debug


async def test_hooks_that_hang_are_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("chatproxy_kit.lifecycle.CONNECT_S", 0.05)

    async def hangs(context: Context) -> None:
        await asyncio.Event().wait()

    connecting, leaving = kit_with(answer, model="a", path="/a"), kit_with(answer, model="b", path="/b")
    connecting.on_connect()(hangs)
    leaving.on_disconnect()(hangs)
    async with gateway_of(connecting, leaving) as gateway:
        assert error_of(await ask(gateway, "/a")) == (504, "timeout_error", "connect_timeout")
        assert said(await ask(gateway, "/b")) == "ok"
    assert "a disconnect hook of 'b' took over" in caplog.text


async def test_disconnect_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ck = kit_with(answer)
    heard = Heard(ck)

    @ck.on_disconnect()
    async def fails(context: Context) -> None:
        raise ValueError("inside")

    async with gateway_of(ck) as gateway:
        assert said(await ask(gateway, session_id="s")) == "ok"
    assert heard.calls == ["connect s", "disconnect s"]
    assert "a disconnect hook of 'chatkit' failed" in caplog.text


async def test_refused_client_never_connected() -> None:
    ck = kit_with(answer)
    heard = Heard(ck)
    ck.auth()(lambda request: None)
    async with gateway_of(ck) as gateway:
        assert error_of(await ask(gateway))[0] == 401
        assert error_of(await gateway.chat("Hi", model="chatkit"))[0] == 401
    assert heard.calls == []

"""Servers that hang, break and come back: bounded time, a clear error, and other calls live on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chatproxy_mcp.connect.errors import (
    CallTimeoutError,
    ConnectionLostError,
    ServerDownError,
    ServerError,
)
from chatproxy_mcp.connect.links import Links

from .connect_servers import (
    CALL,
    ERAS,
    LEGACY,
    MODERN,
    Exchange,
    HandServer,
    Script,
    hand_server,
    only,
    said,
    still_works,
    until,
)

Eras = pytest.mark.parametrize("era", ERAS)
TIMED: dict[str, Any] = {"tenant": "", "meta": {}, "timeout_s": 0.1}


# Hanging, and leaving.


async def told_in_time(server: HandServer) -> None:
    """Wait until the server knows that nobody waits for the call: by its connection's end, or by a notification."""
    if server.era == LEGACY:
        (call,) = server.all("tools/call")
        (told,) = await server.some("notifications/cancelled")
        assert told.message["params"]["requestId"] == call.message["id"]


@Eras
async def test_a_call_that_is_not_answered_times_out_and_the_server_is_told(era: str) -> None:
    async with hand_server(era) as server, Links({"s": server.config()}) as links:
        closed = asyncio.Event()

        async def hang(exchange: Exchange) -> None:
            await exchange.gone()
            closed.set()

        server.on["tools/call"] = only("nap", hang)
        with pytest.raises(CallTimeoutError, match=r"no answer came within 0.1 s"):
            await links.call("s", "nap", {}, **TIMED)
        await told_in_time(server)
        await closed.wait()
        await still_works(links)


@Eras
async def test_a_cancelled_call_is_freed_at_once_and_the_server_is_told(era: str) -> None:
    async with hand_server(era) as server, Links({"s": server.config()}) as links:
        closed = asyncio.Event()

        async def hang(exchange: Exchange) -> None:
            await exchange.gone()
            closed.set()

        server.on["tools/call"] = only("nap", hang)
        server.on["notifications/cancelled"] = lambda exchange: exchange.gone()  # no answer to this one either
        call = asyncio.create_task(links.call("s", "nap", {}, **CALL))
        await server.some("tools/call")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await told_in_time(server)
        await still_works(links)
        await closed.wait()


async def test_a_notification_that_hangs_holds_up_no_call() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        server.on["tools/call"] = only("nap", lambda exchange: exchange.gone())
        server.on["notifications/cancelled"] = lambda exchange: exchange.gone()
        for _ in range(3):
            with pytest.raises(CallTimeoutError):
                await links.call("s", "nap", {}, **TIMED)
        await still_works(links)


async def test_a_server_that_is_silent_about_discovery_is_initialized() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config(connect_timeout_s=2.0)}) as links:
        server.on["server/discover"] = lambda exchange: exchange.gone()
        await still_works(links)
        assert links.states()["s"].protocol_version == LEGACY


async def test_a_server_that_never_answers_is_down_at_the_connect_deadline() -> None:
    async with hand_server() as server, Links({"s": server.config(connect_timeout_s=0.2)}) as links:
        server.on["server/discover"] = server.on["initialize"] = lambda exchange: exchange.gone()
        with pytest.raises(ServerDownError, match=r"did not answer within 0.2 s"):
            await links.call("s", "echo", {}, **CALL)


async def test_a_listing_that_hangs_ends_at_its_deadline() -> None:
    async with hand_server() as server, Links({"s": server.config(list_timeout_s=0.1)}) as links:
        server.on["tools/list"] = lambda exchange: exchange.gone()
        with pytest.raises(CallTimeoutError):
            await links.list_tools("s")


@Eras
async def test_closing_waits_for_no_server(era: str) -> None:
    async with hand_server(era) as server:
        server.on["tools/call"] = server.on["DELETE"] = lambda exchange: exchange.gone()
        async with Links({"s": server.config()}) as links:
            call = asyncio.create_task(links.call("s", "nap", {}, **CALL))
            await server.some("tools/call")
        with pytest.raises(ServerError):
            await call


# Down.


async def test_a_server_that_is_down_fails_at_once_while_the_back_off_runs() -> None:
    async with hand_server() as server:
        tried: list[Exchange] = []

        async def broken(exchange: Exchange) -> None:
            tried.append(exchange)
            await exchange.reply(503)

        server.on["server/discover"] = server.on["initialize"] = broken
        async with Links({"s": server.config()}) as links:
            with pytest.raises(ServerDownError, match="HTTP 503 Service Unavailable"):
                await links.call("s", "echo", {}, **CALL)
            count = len(tried)
            with pytest.raises(ServerDownError, match=r"the server is down: .*HTTP 503") as down:
                await links.call("s", "echo", {}, **CALL)
            assert len(tried) == count
            assert 0 < down.value.retry_in_s <= 30
            state = links.states()["s"]
            assert (state.status, state.sessions, state.failures) == ("down", 0, 2)
            assert state.last_error is not None
            assert 0 < state.retry_in_s <= 30


async def test_a_port_that_nobody_listens_on_is_down() -> None:
    async with hand_server() as server:
        config = server.config()
    async with Links({"s": config}) as links:
        with pytest.raises(ServerDownError, match="it cannot be reached: the connection was refused"):
            await links.call("s", "echo", {}, **CALL)
        assert links.states()["s"].status == "down"


async def test_a_server_that_recovers_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy_mcp.connect.backoff.FIRST_S", 0.01)
    monkeypatch.setattr("chatproxy_mcp.connect.backoff.LONGEST_S", 0.02)
    async with hand_server() as server, Links({"s": server.config()}) as links:
        server.on["server/discover"] = server.on["initialize"] = lambda exchange: exchange.reply(503)
        with pytest.raises(ServerDownError):
            await links.call("s", "echo", {}, **CALL)
        server.on.clear()
        await until(lambda: not links.states()["s"].retry_in_s)
        await still_works(links)
        state = links.states()["s"]
        assert (state.status, state.last_error) == ("ready", None)


# Sessions that end.


@pytest.mark.parametrize("status", [404, 400])
async def test_a_session_that_the_server_forgot_is_opened_again_and_the_call_repeated(status: int) -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        await links.list_tools("s")

        async def forget(exchange: Exchange) -> None:
            if exchange.headers["mcp-session-id"] == "s1":
                await exchange.error(-32000, "Bad Request: No valid session ID provided", status)
            else:
                await exchange.text("once")

        server.on["tools/call"] = forget
        assert said(await links.call("s", "echo", {}, **CALL)) == "once"
        assert [call.headers["mcp-session-id"] for call in server.all("tools/call")] == ["s1", "s2"]


async def test_a_call_that_never_left_is_repeated_on_a_new_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand_server(LEGACY) as first, hand_server(LEGACY) as second:
        async with Links({"s": first.config()}) as links:
            await links.list_tools("s")
            monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", _fails_once())
            assert said(await links.call("s", "echo", {"text": "hi"}, **CALL)) == "hi"
            assert len(first.all("tools/call")) == 1
        assert second.connections == 0


def _fails_once() -> Any:
    real = asyncio.get_running_loop().create_connection
    tries: list[int] = []

    async def connect(*args: Any, **options: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionRefusedError
        return await real(*args, **options)

    return connect


@Eras
@pytest.mark.parametrize("how", ["close", "reset", "half", "events"])
async def test_a_call_that_may_have_run_is_not_repeated(era: str, how: str) -> None:
    async with hand_server(era) as server, Links({"s": server.config()}) as links:

        async def break_off(exchange: Exchange) -> None:
            if how == "half":
                await exchange.raw(
                    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"js'
                )
            if how == "events":
                await exchange.events()
                await exchange.event(
                    {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}
                )
            exchange.reset() if how == "reset" else exchange.close()

        server.on["tools/call"] = only("nap", break_off)
        with pytest.raises(ConnectionLostError):
            await links.call("s", "nap", {}, **CALL)
        assert len(server.all("tools/call")) == 1
        await still_works(links)


async def test_a_broken_call_leaves_the_others_of_its_session_alone() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        broken = asyncio.Event()

        async def answer(exchange: Exchange) -> None:
            if exchange.message["params"]["name"] == "nap":
                exchange.reset()
                broken.set()
            else:
                await broken.wait()
                await exchange.text("fine")

        server.on["tools/call"] = answer
        call = asyncio.create_task(links.call("s", "echo", {}, **CALL))
        await server.some("tools/call")
        with pytest.raises(ConnectionLostError):
            await links.call("s", "nap", {}, **CALL)
        assert said(await call) == "fine"
        assert len(server.all("initialize")) == 1


async def test_a_stream_with_event_ids_is_taken_up_again() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:

        async def begin(exchange: Exchange) -> None:
            await exchange.events()
            await exchange.raw(b"id: 7\nretry: 1\ndata:\n\n")
            exchange.close()

        async def go_on(exchange: Exchange) -> None:
            if exchange.headers.get("last-event-id") != "7":
                await exchange.reply(405)
                return
            (call,) = server.all("tools/call")
            await exchange.events()
            result = {"content": [{"type": "text", "text": "late"}]}
            await exchange.event({"jsonrpc": "2.0", "id": call.message["id"], "result": result})
            exchange.close()

        server.on["tools/call"], server.on["GET"] = begin, go_on
        assert said(await links.call("s", "nap", {}, **CALL)) == "late"


async def test_an_answer_may_be_asked_for_again_and_again() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:

        async def begin(exchange: Exchange) -> None:
            await exchange.events()
            await exchange.raw(b"id: 0\nretry: 1\ndata:\n\n")
            exchange.close()

        async def go_on(exchange: Exchange) -> None:
            turn = int(exchange.headers.get("last-event-id", "-1"))
            if turn < 0:
                await exchange.reply(405)
                return
            await exchange.events()
            await exchange.raw(b"id: %d\nretry: 1\ndata:\n\n" % (turn + 1))
            if turn == 5:
                (call,) = server.all("tools/call")
                result = {"content": [{"type": "text", "text": "at last"}]}
                await exchange.event({"jsonrpc": "2.0", "id": call.message["id"], "result": result})
            exchange.close()

        server.on["tools/call"], server.on["GET"] = begin, go_on
        assert said(await links.call("s", "nap", {}, **CALL)) == "at last"


async def test_a_cancelled_connect_of_one_caller_serves_the_others(tmp_path: Path) -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        may_begin = asyncio.Event()

        async def wait(exchange: Exchange) -> None:
            await may_begin.wait()
            await exchange.error(-32601, "Method not found")

        server.on["server/discover"] = wait
        first = asyncio.create_task(links.call("s", "echo", {}, **CALL))
        second = asyncio.create_task(links.call("s", "echo", {"text": "hi"}, **CALL))
        await server.some("server/discover")
        first.cancel()
        may_begin.set()
        assert said(await second) == "hi"
        assert len(server.all("initialize")) == 1


async def test_no_task_is_left_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with hand_server(LEGACY) as server, hand_server(MODERN) as modern:
        servers = {"s": server.config(), "m": modern.config(), "p": Script(tmp_path).config()}
        during = asyncio.all_tasks()
        async with Links(servers) as links:
            for name in servers:
                await links.list_tools(name)
        served = {task for task in asyncio.all_tasks() - during if "serve" not in repr(task)}
        assert not served
    assert asyncio.all_tasks() == before

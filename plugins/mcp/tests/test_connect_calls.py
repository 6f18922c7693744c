"""Sessions that work: both eras, HTTP and stdio, many calls at a time, lists, changes, tenants."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from chatproxy_mcp.config import Bearer, Server
from chatproxy_mcp.connect.errors import CallRefusedError, ServerDownError
from chatproxy_mcp.connect.links import Links

from .connect_servers import CALL, ERAS, LEGACY, MODERN, Exchange, Script, hand_server, said, sdk_http

Modes = pytest.mark.parametrize("protocol", ["auto", "legacy", MODERN])
Eras = pytest.mark.parametrize("era", ERAS)


@Modes
async def test_a_server_of_the_sdk_is_listed_and_called_by_http(protocol: str) -> None:
    with sdk_http() as url:
        async with Links({"sdk": Server(url=url, protocol=protocol)}) as links:
            listing = await links.list_tools("sdk")
            result = await links.call("sdk", "add", {"a": 2, "b": 3}, **CALL)
            state = links.states()["sdk"]
    assert [tool.name for tool in listing.tools] == ["add"]
    assert said(result) == "5"
    assert result.structured_content == {"result": 5}
    assert state.status == "ready"
    assert state.protocol_version == (LEGACY if protocol == "legacy" else MODERN)


@Modes
async def test_a_server_of_the_sdk_is_listed_and_called_by_stdio(protocol: str) -> None:
    program = "from mcp.server.mcpserver import MCPServer\nserver = MCPServer('x')\n@server.tool()\n"
    program += "def add(a: int, b: int) -> int: return a + b\nserver.run()"
    async with Links({"sdk": Server(command=sys.executable, args=("-c", program), protocol=protocol)}) as links:
        listing = await links.list_tools("sdk")
        result = await links.call("sdk", "add", {"a": 2, "b": 3}, **CALL)
    assert [tool.name for tool in listing.tools] == ["add"]
    assert said(result) == "5"


async def test_nothing_is_opened_before_it_is_needed() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        assert links.states()["s"].status == "idle"
        assert server.connections == 0


@Eras
async def test_calls_of_one_session_run_at_the_same_time(era: str) -> None:
    async with hand_server(era) as server, Links({"s": server.config()}) as links:

        async def together(exchange: Exchange) -> None:
            await server.some("tools/call", 20)
            await exchange.text(exchange.message["params"]["arguments"]["text"])

        server.on["tools/call"] = together
        calls = (links.call("s", "echo", {"text": str(number)}, **CALL) for number in range(20))
        assert [said(result) for result in await asyncio.gather(*calls)] == [str(number) for number in range(20)]


@Eras
async def test_first_calls_of_many_share_one_connect(era: str) -> None:
    async with hand_server(era) as server, Links({"s": server.config()}) as links:
        await asyncio.gather(*(links.call("s", "echo", {}, **CALL) for _ in range(10)))
        assert len(server.all("server/discover")) == 1
        assert len(server.all("initialize")) == (era == LEGACY)


async def test_trace_context_goes_out_in_meta() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        await links.call("s", "echo", {}, tenant="", meta={"traceparent": "00-aa-bb-01"}, timeout_s=10)
        (call,) = server.all("tools/call")
        assert call.message["params"]["_meta"]["traceparent"] == "00-aa-bb-01"


async def test_a_tools_name_and_method_stand_in_the_standard_headers() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        await links.call("s", "echo", {}, **CALL)
        (call,) = server.all("tools/call")
        assert call.headers["mcp-method"] == "tools/call"
        assert call.headers["mcp-name"] == "echo"
        assert call.headers["mcp-protocol-version"] == MODERN


async def test_a_mismatch_of_headers_is_mended_by_listing_once() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:

        async def strict(exchange: Exchange) -> None:
            if server.all("tools/list"):
                await exchange.text("fine")
            else:
                await exchange.error(mcp_types.HEADER_MISMATCH, "Mcp-Param missing", 400)

        server.on["tools/call"] = strict
        assert said(await links.call("s", "echo", {}, **CALL)) == "fine"
        assert len(server.all("tools/call")) == 2


async def test_headers_and_token_of_the_configuration_are_sent() -> None:
    async with hand_server() as server:
        config = server.config(headers={"x-team": "blue"}, auth=Bearer(token="t0ken"))
        async with Links({"s": config}) as links:
            await links.call("s", "echo", {}, **CALL)
        for exchange in server.seen:
            assert exchange.headers["x-team"] == "blue"
            assert exchange.headers["authorization"] == "Bearer t0ken"
            assert exchange.headers["accept-encoding"] == "identity"


async def test_the_query_of_an_address_is_sent_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with hand_server() as server:
        async with Links({"s": Server(url=f"{server.url}?key=hidden-in-query")}) as links:
            await links.call("s", "echo", {}, **CALL)
        assert {exchange.target for exchange in server.seen} == {"/mcp?key=hidden-in-query"}
    assert "hidden-in-query" not in caplog.text


# Lists.


@pytest.mark.parametrize(("era", "ttl_s"), [(MODERN, 5.0), (LEGACY, None)], ids=["modern", "legacy"])
async def test_a_listing_has_the_servers_own_ttl(era: str, ttl_s: float | None) -> None:
    async with hand_server(era) as server, Links({"s": server.config()}) as links:
        listing = await links.list_tools("s")
        assert ([tool.name for tool in listing.tools], listing.ttl_s, listing.is_partial) == (
            ["echo", "nap"],
            ttl_s,
            False,
        )


def paged(page: Any) -> Any:
    async def answer(exchange: Exchange) -> None:
        number = int((exchange.message.get("params") or {}).get("cursor") or 0)
        tools, is_last = page(number)
        more = {} if is_last else {"nextCursor": str(number + 1)}
        named = [{"name": name, "inputSchema": {"type": "object"}} for name in tools]
        await exchange.result(tools=named, resultType="complete", ttlMs=0, cacheScope="public", **more)

    return answer


async def test_all_pages_are_read() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        server.on["tools/list"] = paged(lambda number: ([f"t{number}"], number == 4))
        listing = await links.list_tools("s")
        assert [tool.name for tool in listing.tools] == ["t0", "t1", "t2", "t3", "t4"]
        assert not listing.is_partial


async def test_a_list_of_ten_thousand_tools_is_cut_at_one_more_than_the_limit() -> None:
    async with hand_server() as server, Links({"s": server.config(max_tools=20)}) as links:
        server.on["tools/list"] = paged(lambda number: ([f"t{number}_{each}" for each in range(10_000)], False))
        listing = await links.list_tools("s")
        assert (len(listing.tools), listing.is_partial, len(server.all("tools/list"))) == (21, True, 1)


async def test_pages_without_end_are_left() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        server.on["tools/list"] = paged(lambda number: ([], False))
        listing = await links.list_tools("s")
        assert (listing.tools, listing.is_partial) == ([], True)


# Changes.


async def test_a_change_is_heard_by_the_stream_of_a_session() -> None:
    changed = asyncio.Event()
    async with hand_server(LEGACY) as server:
        server.lists_change = True

        async def stream(exchange: Exchange) -> None:
            await exchange.events()
            await exchange.event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
            await exchange.gone()

        server.on["GET"] = stream
        async with Links({"s": server.config()}, on_change=lambda name: changed.set()) as links:
            await links.list_tools("s")
            await changed.wait()


async def test_a_change_is_heard_by_a_subscription() -> None:
    changed = asyncio.Event()
    async with hand_server(MODERN) as server:
        server.lists_change = True

        async def listen(exchange: Exchange) -> None:
            meta = {"io.modelcontextprotocol/subscriptionId": exchange.message["id"]}
            acknowledged = {"notifications": {"toolsListChanged": True}, "_meta": meta}
            await exchange.events()
            await exchange.event(
                {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": acknowledged}
            )
            await exchange.event(
                {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": meta}}
            )
            await exchange.gone()

        server.on["subscriptions/listen"] = listen
        async with Links({"s": server.config()}, on_change=lambda name: changed.set()) as links:
            await links.list_tools("s")
            await changed.wait()


async def test_many_changes_are_told_as_few() -> None:
    told: list[str] = []
    async with hand_server(LEGACY) as server:
        sent = asyncio.Event()

        async def stream(exchange: Exchange) -> None:
            await exchange.events()
            for _ in range(200):
                await exchange.event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
            sent.set()
            await exchange.gone()

        server.on["GET"] = stream
        async with Links({"s": server.config()}, on_change=told.append) as links:
            await links.list_tools("s")
            await sent.wait()
            await links.list_tools("s")
    assert len(told) <= 2


async def test_what_nobody_listened_to_counts_as_a_change() -> None:
    told: list[str] = []
    async with hand_server(LEGACY) as server:
        server.lists_change = True
        async with Links({"s": server.config(session_idle_s=0.05)}, on_change=told.append) as links:
            await links.list_tools("s")
            await server.some("DELETE")
            assert told == []
            await links.call("s", "echo", {}, **CALL)
    assert told == ["s"]


# Tenants.


def sessions(exchanges: list[Exchange]) -> list[str | None]:
    return [exchange.headers.get("mcp-session-id") for exchange in exchanges]


@pytest.mark.parametrize(
    ("era", "session", "wanted"),
    [
        pytest.param(LEGACY, "tenant", {"a": "s2", "b": "s3"}, id="legacy-tenant"),
        pytest.param(LEGACY, "shared", {"a": "s1", "b": "s1"}, id="legacy-shared"),
        pytest.param(MODERN, "tenant", {"a": None, "b": None}, id="modern"),
    ],
)
async def test_tenants_have_sessions_of_their_own(era: str, session: str, wanted: dict[str, str | None]) -> None:
    async with hand_server(era) as server, Links({"s": server.config(session=session)}) as links:
        await links.list_tools("s")
        for tenant in ("a", "b", "a"):
            await links.call("s", "echo", {}, tenant=tenant, meta={}, timeout_s=10)
        assert sessions(server.all("tools/call")) == [wanted["a"], wanted["b"], wanted["a"]]
        assert sessions(server.all("tools/list")) == ["s1" if era == LEGACY else None]


async def test_processes_of_tenants_are_kept_apart_in_every_era(tmp_path: Path) -> None:
    async with Links({"s": Script(tmp_path).config(MODERN)}) as links:
        pids = {said(await links.call("s", "pid", {}, tenant=tenant, meta={}, timeout_s=10)) for tenant in "aba"}
        assert len(pids) == 2


async def test_the_session_idle_for_longest_makes_room() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config(max_sessions=2)}) as links:
        for tenant in ("", "a", "b"):
            await links.call("s", "echo", {}, tenant=tenant, meta={}, timeout_s=10)
        (goodbye,) = await server.some("DELETE")
        assert goodbye.headers["mcp-session-id"] == "s1"
        assert links.states()["s"].sessions == 2


async def test_a_busy_session_is_never_closed_for_another() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config(max_sessions=1)}) as links:
        may_end = asyncio.Event()

        async def wait(exchange: Exchange) -> None:
            await may_end.wait()
            await exchange.text("done")

        await links.list_tools("s")
        server.on["tools/call"] = wait
        first = asyncio.create_task(links.call("s", "nap", {}, tenant="", meta={}, timeout_s=10))
        await server.some("tools/call")
        second = asyncio.create_task(links.call("s", "nap", {}, tenant="b", meta={}, timeout_s=10))
        await asyncio.wait({second}, timeout=0.05)
        assert not server.all("DELETE")
        may_end.set()
        assert said(await first) == said(await second) == "done"


async def test_who_finds_no_room_is_told_at_the_connect_deadline() -> None:
    async with hand_server(LEGACY) as server:
        config = server.config(max_sessions=1, connect_timeout_s=1.0)
        async with Links({"s": config}) as links:
            server.on["tools/call"] = lambda exchange: exchange.gone()
            await links.list_tools("s")
            first = asyncio.create_task(links.call("s", "nap", {}, tenant="", meta={}, timeout_s=10))
            await server.some("tools/call")
            with pytest.raises(ServerDownError, match="all 1 sessions with the server are busy"):
                await links.call("s", "nap", {}, tenant="b", meta={}, timeout_s=10)
            first.cancel()


async def test_an_idle_session_is_closed() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config(session_idle_s=0.05)}) as links:
        await links.list_tools("s")
        await server.some("DELETE")
        assert links.states()["s"].status == "idle"
        await links.list_tools("s")
        assert sessions(server.all("tools/list")) == ["s1", "s2"]


# Servers that come and go.


async def test_a_server_can_be_added_and_removed() -> None:
    async with hand_server(LEGACY) as server, Links({}) as links:
        links.add("s", server.config())
        with pytest.raises(ValueError, match="there is another server named 's'"):
            links.add("s", Server(url="http://elsewhere.example/mcp"))
        await links.call("s", "echo", {}, **CALL)
        links.remove("s")
        await server.some("DELETE")
        assert links.states() == {}
        with pytest.raises(ServerDownError, match="there is no server named s"):
            await links.call("s", "echo", {}, **CALL)


async def test_a_call_that_runs_outlives_the_removal_of_its_server() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        may_end = asyncio.Event()

        async def wait(exchange: Exchange) -> None:
            await may_end.wait()
            await exchange.text("done")

        server.on["tools/call"] = wait
        call = asyncio.create_task(links.call("s", "nap", {}, **CALL))
        await server.some("tools/call")
        links.remove("s")
        may_end.set()
        assert said(await call) == "done"


async def test_states_say_what_a_server_is_called_without_hidden_characters() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        server.on["tools/call"] = lambda exchange: exchange.error(-32602, "no\u200b such\x1b[31m tool " + "x" * 1000)
        with pytest.raises(CallRefusedError) as refusal:
            await links.call("s", "nope", {}, **CALL)
        state = links.states()["s"]
        assert (state.server_name, state.server_version, state.calls, state.failures) == ("hand made", "1", 1, 1)
        assert refusal.value.code == -32602
        assert refusal.value.message.startswith("no such [31m tool xxx")
        assert len(refusal.value.message) == 500

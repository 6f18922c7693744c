"""Servers that misbehave when they are reached or asked for their tools: a request waits once, and goes without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from chatproxy.testing import Gateway, ScriptedUpstream
from chatproxy.testing.matrix import Said

from .asking import gateway_of, saying
from .connect_servers import ERAS, MODERN, HandServer, hand_server
from .fault_server import HANDSHAKE, LISTING, LISTS, Act, Flood
from .test_faults import CELL, NOON, config, leaving_nothing, told

FINE = Said(calls=(("good__echo", '{"text":"fine"}'),))
LIMITS: dict[str, Any] = {
    "connect_timeout_s": 1.0, "list_timeout_s": 2.0, "max_message_bytes": 1 << 20, "max_tools": 64,
}  # fmt: skip
HEALTHY = ["good__echo", "good__nap"]


def offered(upstream: ScriptedUpstream, request: int = 0) -> list[str]:
    """Names of the tools that the model was offered."""
    return [tool["function"]["name"] for tool in upstream.requests[request].json.get("tools", ())]


class Scene:
    """Servers of which each misbehaves in its own way, a healthy one, and a gateway in front of them."""

    def __init__(self, gateway: Gateway, upstream: ScriptedUpstream, servers: dict[str, HandServer]) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.servers = servers

    @property
    def connections(self) -> int:
        """How many the servers that misbehave have seen."""
        return sum(server.connections for server in self.servers.values())

    async def seen(self) -> dict[str, Any]:
        """What the operator sees of each, once each was asked."""
        while True:
            shown = (await self.gateway.client.get("/chatproxy/mcp")).json()["servers"]
            seen = {name: shown[f"b{place}"] for place, name in enumerate(self.servers)}
            if all(one["error"] or one["listed_at"] for one in seen.values()):
                return seen


@asynccontextmanager
async def scene(era: str, acts: dict[str, dict[str, Act]], **limits: float) -> AsyncIterator[Scene]:
    """One server for each of `acts`: what it does by method."""
    async with leaving_nothing(), AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(hand_server(era)) for name in acts}
        good = await stack.enter_async_context(hand_server(era))
        for name, on in acts.items():
            servers[name].on.update(on)
        entries = {f"b{place}": {"url": one.url, **LIMITS, **limits} for place, one in enumerate(servers.values())}
        upstream = saying(CELL, FINE, NOON, NOON)
        settings = {
            **config(good, {}, list_wait_s=8.0, max_offered=1000),
            "servers": {**entries, "good": {"url": good.url}},
        }
        gateway = await stack.enter_async_context(gateway_of(upstream, settings, cell=CELL))
        yield Scene(gateway, upstream, servers)


@pytest.mark.parametrize("era", ERAS)
async def test_servers_that_cannot_list_their_tools_cost_their_tools_only(era: str) -> None:
    async with scene(era, {name: {"tools/list": fault.act} for name, fault in LISTING.items()}) as stage:
        assert (await CELL.ask(stage.gateway, "Go.")).content == "It is noon."
        seen = await stage.seen()
        await CELL.ask(stage.gateway, "Again.")
        assert all(len(server.all("tools/list")) <= 2 for server in stage.servers.values())
    errors = {name: shown["error"] for name, shown in seen.items()}
    assert {n: errors[n] for n, fault in LISTING.items() if fault.words not in str(errors[n])} == {}
    assert max(map(len, errors.values())) < 700
    assert offered(stage.upstream) == offered(stage.upstream, 2) == HEALTHY
    assert told(stage.upstream, 1) == ["fine"]
    flood = LISTING["100 MB"].act
    assert isinstance(flood, Flood)
    assert 0 < flood.sent < 30_000_000


@pytest.mark.parametrize("era", ERAS)
async def test_servers_that_cannot_be_reached_cost_their_tools_only(era: str) -> None:
    first = {name: {"server/discover": fault.act, "initialize": fault.act} for name, fault in HANDSHAKE.items()}
    async with scene(era, first) as stage:
        assert (await CELL.ask(stage.gateway, "Go.")).content == "It is noon."
        seen, ready = await stage.seen(), await stage.gateway.client.get("/readyz")
        connections = stage.connections
        await CELL.ask(stage.gateway, "Again.")
        assert stage.connections == connections
    errors = {name: shown["error"] for name, shown in seen.items()}
    assert {n: errors[n] for n, fault in HANDSHAKE.items() if fault.words not in str(errors[n])} == {}
    assert {shown["health"]["status"] for shown in seen.values()} == {"down"}
    assert ready.status_code == 200
    assert offered(stage.upstream) == offered(stage.upstream, 2) == HEALTHY


@pytest.mark.parametrize("era", ERAS)
async def test_lists_of_any_kind_are_bounded(era: str) -> None:
    acts = {name: {"tools/list": act} for name, (act, _) in LISTS.items()}
    async with scene(era, acts, list_timeout_s=8.0, connect_timeout_s=4.0) as stage:
        await CELL.ask(stage.gateway, "Go.")
        seen = await stage.seen()
    assert {name: (len(shown["tools"]), shown["error"]) for name, shown in seen.items()} == {
        name: (count, None) for name, (_, count) in LISTS.items()
    }
    assert len(offered(stage.upstream)) == sum(count for _, count in LISTS.values()) + len(HEALTHY)
    assert len(stage.upstream.requests[0].body) < 200_000
    assert all(len(server.all("tools/list")) <= 128 for server in stage.servers.values())


async def test_servers_that_hang_are_waited_for_once() -> None:
    upstream = saying(CELL, *[NOON] * 12)
    async with leaving_nothing(), hand_server(MODERN) as bad, hand_server(MODERN) as worse, hand_server(MODERN) as good:
        bad.on["server/discover"] = bad.on["initialize"] = lambda exchange: exchange.gone()
        worse.on["tools/list"] = lambda exchange: exchange.gone()
        settings = config(good, {"url": bad.url}, list_wait_s=0.5)
        settings["servers"]["worse"] = {"url": worse.url}
        async with gateway_of(upstream, settings, cell=CELL) as gateway:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.gather(*(CELL.ask(gateway, "Go.") for _ in range(4)))
            for _ in range(8):
                await CELL.ask(gateway, "Go.")
            assert loop.time() - began < 4 * 0.5
    assert all(offered(upstream, number) == HEALTHY for number in range(12))

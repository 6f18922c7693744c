"""When servers are asked for their tools, who waits for them, and what is kept."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcp_types
import msgspec
import pytest
from chatproxy_mcp.catalogue.catalogue import (
    KEPT_S,
    MAX_RETRY_S,
    MAX_TTL_S,
    MIN_GAP_S,
    MIN_TTL_S,
    READING_SHARE,
    Catalogue,
)
from chatproxy_mcp.catalogue.pins import Pins
from chatproxy_mcp.config import Config, Server
from chatproxy_mcp.connect.errors import ServerDownError
from chatproxy_mcp.connect.links import Listing

URL = "https://tools.example/mcp"


def tool(name: str, description: str = "", **fields: Any) -> mcp_types.Tool:
    return mcp_types.Tool(name=name, description=description, **{"input_schema": {"type": "object"}, **fields})


class Servers:
    """What servers answer; each answer waits for its gate, where there is one."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None
        self.on_ask: Callable[[], None] | None = None

    async def list_tools(self, server: str) -> Listing:
        self.asked.append(server)
        if self.on_ask is not None:
            self.on_ask()
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers[server]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Listing) else Listing(tools=list(answer))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def catalogue_of(servers: Servers, clock: Clock | None = None, **settings: Any) -> Catalogue:
    known = {name: Server(url=URL, **settings) for name in servers.answers}
    return Catalogue(Config(servers=known), servers, Pins(), clock=clock or Clock())


def names(tools: tuple[Any, ...] | None) -> list[str] | None:
    return None if tools is None else [tool.name for tool in tools]


async def settled(catalogue: Catalogue) -> None:
    """Wait until no server is being asked."""
    async with asyncio.timeout(10):
        await catalogue.settled()


async def test_tools_are_there_once_somebody_needs_them() -> None:
    async with catalogue_of(servers := Servers(time=[tool("now"), tool("ago")])) as catalogue:
        assert catalogue.peek("time") is None
        assert servers.asked == []
        assert names(await catalogue.tools_of("time")) == ["ago", "now"]
        assert names(catalogue.peek("time")) == ["ago", "now"]
        assert servers.asked == ["time"]


async def test_a_tool_is_as_the_server_describes_it() -> None:
    said = mcp_types.Tool(
        name="now",
        title="Now",
        description="Tells the time.",
        input_schema={"type": "object", "properties": {"tz": {"type": "string"}}, "required": ["tz"]},
        output_schema={"type": "object"},
        annotations=mcp_types.ToolAnnotations(read_only_hint=True),
    )
    async with catalogue_of(Servers(time=[said])) as catalogue:
        (found,) = await catalogue.tools_of("time")
    assert (found.server, found.name, found.offered, found.title) == ("time", "now", "time__now", "Now")
    assert found.description == "Tells the time."
    assert found.parameters == {"type": "object", "properties": {"tz": {"type": "string"}}, "required": ["tz"]}
    assert found.output_schema == {"type": "object"}
    assert found.annotations == {"readOnlyHint": True}
    assert len(found.digest) == 64


async def test_requests_that_come_together_ask_once() -> None:
    async with catalogue_of(servers := Servers(time=[tool("now")])) as catalogue:
        found = await asyncio.gather(*(catalogue.tools_of("time") for _ in range(10)))
    assert [names(tools) for tools in found] == [["now"]] * 10
    assert servers.asked == ["time"]


async def test_a_server_that_is_unknown_has_no_tools() -> None:
    async with catalogue_of(Servers(time=[])) as catalogue:
        assert (catalogue.peek("other"), await catalogue.tools_of("other")) == ((), ())
        with pytest.raises(LookupError, match="known are time"):
            await catalogue.refresh("other")
        catalogue.changed("other")


async def test_a_request_that_leaves_does_not_end_the_listing_for_others() -> None:
    servers = Servers(time=[tool("now")])
    servers.gate, asked = asyncio.Event(), asyncio.Event()
    servers.on_ask = asked.set
    async with catalogue_of(servers) as catalogue:
        leaving = asyncio.create_task(catalogue.tools_of("time"))
        await asked.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        servers.gate.set()
        assert names(await catalogue.tools_of("time")) == ["now"]
    assert servers.asked == ["time"]


async def test_only_the_first_request_waits_for_a_server_that_hangs() -> None:
    servers = Servers(time=[tool("now")])
    servers.gate = asyncio.Event()
    async with catalogue_of(servers, list_timeout_s=0.001) as catalogue:
        assert await catalogue.tools_of("time") == ()
        assert catalogue.peek("time") == ()
        servers.gate.set()
        await settled(catalogue)
        assert names(catalogue.peek("time")) == ["now"]


async def test_a_request_that_is_cut_off_while_waiting_has_waited_for_all_others() -> None:
    clock, servers = Clock(), Servers(time=[tool("now")])
    asked = asyncio.Event()
    servers.gate, servers.on_ask = asyncio.Event(), asked.set
    async with catalogue_of(servers, clock) as catalogue:
        waiting = asyncio.create_task(catalogue.tools_of("time"))
        await asked.wait()
        clock.now += Config().list_wait_s
        waiting.cancel()
        assert catalogue.peek("time") == ()
        servers.gate.set()
        await settled(catalogue)
        assert names(catalogue.peek("time")) == ["now"]


async def test_a_server_that_never_answers_is_given_up() -> None:
    servers = Servers(time=[tool("now")])
    servers.gate = asyncio.Event()
    async with catalogue_of(servers, list_timeout_s=0.001, connect_timeout_s=0.001) as catalogue:
        await catalogue.refresh("time")
        assert catalogue.report()["servers"]["time"]["error"] == "it did not list its tools in time"


async def test_a_server_that_is_down_costs_its_tools_and_is_asked_again_later() -> None:
    clock, servers = Clock(), Servers(time=ServerDownError("it is down"), files=[tool("read")])
    async with catalogue_of(servers, clock) as catalogue:
        assert await catalogue.tools_of("time") == ()
        assert names(await catalogue.tools_of("files")) == ["read"]
        assert catalogue.report()["servers"]["time"]["error"] == "it is down"
        for _ in range(5):
            assert catalogue.peek("time") == ()
        await settled(catalogue)
        assert servers.asked.count("time") == 1
        servers.answers["time"] = [tool("now")]
        clock.now += MAX_RETRY_S
        assert catalogue.peek("time") == (), "nobody waits"
        await settled(catalogue)
        assert names(catalogue.peek("time")) == ["now"]
        assert catalogue.report()["servers"]["time"]["error"] is None


async def test_a_server_that_stays_down_is_asked_ever_less() -> None:
    clock, servers = Clock(), Servers(time=ServerDownError("it is down"))
    async with catalogue_of(servers, clock) as catalogue:
        await catalogue.tools_of("time")
        for _ in range(600):
            clock.now += 1.0
            catalogue.peek("time")
            await settled(catalogue)
    assert 600 / MAX_RETRY_S <= len(servers.asked) <= 600 / MAX_RETRY_S + 6


async def test_tools_outlive_a_short_absence_of_their_server() -> None:
    clock, servers = Clock(), Servers(time=[tool("now")])
    async with catalogue_of(servers, clock) as catalogue:
        await catalogue.tools_of("time")
        servers.answers["time"] = ServerDownError("it is down")
        await catalogue.refresh("time")
        assert names(catalogue.peek("time")) == ["now"]
        clock.now += KEPT_S
        await catalogue.refresh("time")
        assert catalogue.peek("time") == ()
        servers.answers["time"] = [tool("now")]
        await catalogue.refresh("time")
        assert names(catalogue.peek("time")) == ["now"]


@pytest.mark.parametrize(
    ("own", "ttl_s"),
    [(None, 300.0), (30.0, 30.0), (0.0, 300.0), (0.001, MIN_TTL_S), (1e9, MAX_TTL_S)],
    ids=["settings", "own", "sdk_default", "at_once", "forever"],
)
async def test_tools_are_listed_again_when_their_time_is_over(own: float | None, ttl_s: float) -> None:
    clock, servers = Clock(), Servers(time=Listing(tools=[tool("now")], ttl_s=own))
    async with catalogue_of(servers, clock) as catalogue:
        await catalogue.tools_of("time")
        clock.now += ttl_s - 0.1
        catalogue.peek("time")
        await settled(catalogue)
        assert servers.asked == ["time"]
        servers.answers["time"] = [tool("now"), tool("then")]
        clock.now += 0.2
        assert names(catalogue.peek("time")) == ["now"], "nobody waits"
        await settled(catalogue)
        assert names(catalogue.peek("time")) == ["now", "then"]


async def test_a_change_that_is_announced_is_seen_without_a_request() -> None:
    clock, servers = Clock(), Servers(time=[tool("now")])
    async with catalogue_of(servers, clock) as catalogue:
        await catalogue.tools_of("time")
        servers.answers["time"] = [tool("then")]
        clock.now += MIN_GAP_S
        catalogue.changed("time")
        await settled(catalogue)
        assert names(catalogue.peek("time")) == ["then"]


async def test_a_server_that_announces_changes_all_the_time_is_asked_once_a_second() -> None:
    clock, servers = Clock(), Servers(time=[tool("now")])
    async with catalogue_of(servers, clock) as catalogue:
        await catalogue.tools_of("time")
        for _ in range(1000):
            clock.now += 0.01
            catalogue.changed("time")
            catalogue.peek("time")
            await settled(catalogue)
    assert len(servers.asked) <= 11


async def test_a_server_whose_answer_takes_long_to_read_is_asked_less() -> None:
    class Ticking(Clock):
        def __call__(self) -> float:
            self.now += 1.0
            return self.now

    clock, servers = Ticking(), Servers(time=[tool("now")])
    async with catalogue_of(servers, clock) as catalogue:
        await catalogue.tools_of("time")
        for _ in range(5):
            catalogue.changed("time")
            await settled(catalogue)
        assert servers.asked == ["time"]
        clock.now += READING_SHARE
        catalogue.changed("time")
        await settled(catalogue)
        assert servers.asked == ["time", "time"]


async def test_a_change_that_is_announced_while_listing_is_not_lost() -> None:
    clock, servers = Clock(), Servers(time=[tool("now")])
    asked = asyncio.Event()
    servers.gate, servers.on_ask = asyncio.Event(), asked.set
    async with catalogue_of(servers, clock) as catalogue:
        first = asyncio.create_task(catalogue.tools_of("time"))
        await asked.wait()
        catalogue.changed("time")
        servers.gate.set()
        await first
        clock.now += MIN_GAP_S
        catalogue.peek("time")
        await settled(catalogue)
    assert servers.asked == ["time", "time"]


async def test_tools_that_did_not_change_stay_the_same_objects() -> None:
    async with catalogue_of(servers := Servers(time=[tool("now"), tool("ago")])) as catalogue:
        before = await catalogue.tools_of("time")
        await catalogue.refresh("time")
        assert catalogue.peek("time") is before
        servers.answers["time"] = [tool("now"), tool("then"), tool("ago")]
        await catalogue.refresh("time")
        after = catalogue.peek("time")
        assert after is not None
        assert (after[0] is before[0], after[1] is before[1], len(after)) == (True, True, 3)


async def test_a_tool_that_vanished_is_offered_no_more() -> None:
    async with catalogue_of(servers := Servers(time=[tool("now"), tool("ago")])) as catalogue:
        await catalogue.tools_of("time")
        servers.answers["time"] = [tool("now")]
        await catalogue.refresh("time")
        assert names(catalogue.peek("time")) == ["now"]


async def test_a_listing_has_nothing_of_the_request_that_began_it() -> None:
    secret: contextvars.ContextVar[str] = contextvars.ContextVar("secret", default="none")
    seen: list[str] = []
    servers = Servers(time=[])
    servers.on_ask = lambda: seen.append(secret.get())
    async with catalogue_of(servers) as catalogue:
        secret.set("of a tenant")
        await catalogue.tools_of("time")
    assert seen == ["none"]


async def test_closing_ends_what_still_runs() -> None:
    servers = Servers(time=[tool("now")])
    asked = asyncio.Event()
    servers.gate, servers.on_ask = asyncio.Event(), asked.set
    async with asyncio.timeout(10):
        async with catalogue_of(servers) as catalogue:
            waiting = asyncio.create_task(catalogue.tools_of("time"))
            await asked.wait()
        assert await waiting == ()
        assert await catalogue.tools_of("time") == ()
        catalogue.changed("time")
    assert servers.asked == ["time"]


async def test_a_guest_has_tools_until_it_leaves() -> None:
    servers = Servers(time=[tool("now")])
    async with catalogue_of(servers) as catalogue:
        servers.answers["guest"] = [tool("hello")]
        catalogue.add("guest", Server(url=URL))
        assert names(await catalogue.tools_of("guest")) == ["hello"]
        assert catalogue.report()["servers"]["guest"]["tools"][0]["pinned"] is False
        catalogue.remove("guest")
        catalogue.remove("time")
        assert catalogue.peek("guest") == ()
        assert names(await catalogue.tools_of("time")) == ["now"], "not a guest"


async def test_an_approval_by_another_process_takes_effect_without_a_restart(tmp_path: Path) -> None:
    path, servers = tmp_path / "pins.json", Servers(time=[tool("now", "old")])
    config = Config(servers={"time": Server(url=URL)})
    async with Catalogue(config, servers, Pins.load(path), pins_poll_s=0.001) as catalogue:
        await catalogue.tools_of("time")
        servers.answers["time"] = [tool("now", "new")]
        await catalogue.refresh("time")
        assert catalogue.peek("time") == ()
        await asyncio.to_thread(Pins.load(path).approve, "time", [catalogue.seen("time")["now"]])
        async with asyncio.timeout(10):
            while not catalogue.peek("time"):
                await catalogue.next_change()
        (found,) = catalogue.peek("time") or ()
        assert found.description == "new"


async def test_the_report_can_be_written_as_json() -> None:
    async with catalogue_of(Servers(time=[tool("now"), tool("b\u200bad"), tool("")], down=ServerDownError("no"))) as it:
        await it.refresh("time")
        await it.refresh("down")
        report = msgspec.json.decode(msgspec.json.encode(it.report()))
    assert report["servers"]["down"] == {
        "tools": [], "withheld": [], "listed_at": None, "ttl_s": None, "is_partial": False, "error": "no",
    }  # fmt: skip
    time = report["servers"]["time"]
    assert [(one["name"], one["offered"], one["pinned"]) for one in time["tools"]] == [("now", "time__now", True)]
    assert sorted(one["reason"] for one in time["withheld"]) == ["bad_name", "hidden_text"]
    assert time["listed_at"].endswith("+00:00")

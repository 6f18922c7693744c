"""Servers that misbehave behind a whole gateway: the model is told, the other tools work, nothing is left over."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from chatproxy.testing import ScriptedUpstream
from chatproxy.testing.matrix import Cell, Said

from .asking import gateway_of, saying
from .connect_servers import ERAS, LEGACY, Exchange, HandServer, hand_server, until
from .fault_server import (
    BREAKING,
    CHANGED,
    EVENTS,
    FLOODING,
    HANGING,
    NONSENSE,
    NOTE,
    REFUSING,
    Act,
    Fault,
    Flood,
    event_of,
    lists,
    sends,
)

CELL = Cell("chat", False, "chat")
STREAMED = Cell("chat", True, "chat")
SETTLE_S = 5.0
NOON = Said(content="It is noon.", usage=(30, 7))
GROUPS = {"hanging": HANGING, "flooding": FLOODING, "breaking": BREAKING, "nonsense": NONSENSE, "refusing": REFUSING}
BOTH = Said(calls=(("bad__nap", "{}"), ("good__echo", '{"text":"fine"}')))
SHUTDOWN_S = 20.0
AGAIN = Said(calls=(("bad__echo", '{"text":"alive"}'),))


def config(good: HandServer, bad: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The table ``[plugins.mcp]``."""
    return {"servers": {"bad": bad, "good": {"url": good.url}}, "pinning": "off", **settings}


def told(upstream: ScriptedUpstream, request: int) -> list[str]:
    """What the model was told of its calls."""
    messages = upstream.requests[request].json["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]


@asynccontextmanager
async def leaving_nothing() -> AsyncIterator[None]:
    """No task, no socket and no process outlives what is done in here."""
    tasks = asyncio.all_tasks()
    process = psutil.Process()
    sockets, children = len(process.net_connections("inet")), set(process.children(recursive=True))
    yield
    async with asyncio.timeout(SETTLE_S):
        await until(lambda: asyncio.all_tasks() <= tasks)
        await until(lambda: len(process.net_connections("inet")) <= sockets)
    assert set(process.children(recursive=True)) <= children


def acting(faults: Iterable[Act]) -> Act:
    """A server whose tools are faults, by place; ``echo`` works."""
    acts = {f"f{place}": act for place, act in enumerate(faults)}

    async def act(exchange: Any) -> None:
        params = exchange.message["params"]
        await (acts[params["name"]](exchange) if params["name"] in acts else exchange.text("alive"))

    return act


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("faults", GROUPS.values(), ids=GROUPS)
async def test_calls_that_go_wrong_are_told_to_the_model_and_nothing_else_is_lost(
    era: str, faults: dict[str, Fault]
) -> None:
    names = [f"f{place}" for place in range(len(faults))]
    calls = tuple((f"bad__{name}", "{}") for name in names)
    every = Said(calls=(*calls, ("good__echo", '{"text":"fine"}')))
    upstream = saying(CELL, every, NOON, AGAIN, NOON)
    limits = {"call_timeout_s": 1.0, "max_message_bytes": 1 << 20}
    async with leaving_nothing(), hand_server(era) as bad, hand_server(era) as good:
        bad.on["tools/list"], bad.on["tools/call"] = (
            lists(*names, "echo"),
            acting(fault.act for fault in faults.values()),
        )
        entry = {"url": bad.url, **limits}
        async with gateway_of(upstream, config(good, entry, max_parallel=64), cell=CELL) as gateway:
            heard = await CELL.ask(gateway, "Go.")
            assert (heard.content, heard.error) == ("It is noon.", None)
            await CELL.ask(gateway, "Again.")
    *said, fine = told(upstream, 1)
    assert fine == "fine"
    found = dict(zip(faults, said, strict=True))
    assert {name: found[name] for name, fault in faults.items() if fault.words not in found[name]} == {}
    assert max(map(len, said)) < 700
    assert told(upstream, 3) == ["alive"]
    assert len(bad.all("initialize")) <= 2
    for fault in faults.values():
        if isinstance(fault.act, Flood):
            assert 0 < fault.act.sent < 30_000_000


async def test_a_call_that_chatters_holds_up_no_other_of_its_session() -> None:
    """Of one session that all share: the other answers come as events too."""
    calls = (("bad__f0", "{}"), *[("bad__echo", "{}")] * 20)
    upstream = saying(CELL, Said(calls=calls), NOON)
    async with leaving_nothing(), hand_server(LEGACY) as bad, hand_server(LEGACY) as good:
        flooded = asyncio.Event()

        async def answer(exchange: Exchange) -> None:
            if exchange.message["params"]["name"] == "f0":
                await exchange.raw(EVENTS + event_of(NOTE) * 2000)
                flooded.set()
                await exchange.gone()
            else:
                await flooded.wait()
                result = {"content": [{"type": "text", "text": "alive"}]}
                await exchange.raw(
                    EVENTS + event_of({"jsonrpc": "2.0", "id": exchange.message["id"], "result": result})
                )
                exchange.close()

        bad.on["tools/list"], bad.on["tools/call"] = lists("f0", "echo"), answer
        entry = {"url": bad.url, "call_timeout_s": 1.0}
        async with gateway_of(upstream, config(good, entry, max_parallel=64), cell=CELL) as gateway:
            await CELL.ask(gateway, "Go.")
    assert told(upstream, 1) == ["The call failed: no answer came within 1 s", *["alive"] * 20]


async def test_a_server_that_was_restarted_is_used_again_and_no_call_runs_twice() -> None:
    upstream = saying(CELL, AGAIN, NOON, AGAIN, NOON, AGAIN, NOON)
    async with leaving_nothing(), hand_server(LEGACY) as bad, hand_server(LEGACY) as good:
        forgotten: set[str] = set()

        async def answer(exchange: Exchange) -> None:
            if exchange.headers["mcp-session-id"] in forgotten:
                await exchange.error(-32001, "Session not found", 404)
            else:
                await exchange.text("alive")

        bad.on["tools/call"] = answer
        async with gateway_of(upstream, config(good, {"url": bad.url}), cell=CELL) as gateway:
            await CELL.ask(gateway, "Go.")
            for _ in range(2):
                forgotten.update(call.headers["mcp-session-id"] for call in bad.all("tools/call"))
                await CELL.ask(gateway, "Again.")
    assert [told(upstream, number) for number in (1, 3, 5)] == [["alive"]] * 3
    sessions = [call.headers["mcp-session-id"] for call in bad.all("tools/call")]
    assert sessions == ["s1", "s1", "s2", "s2", "s3"]


async def test_a_storm_of_changes_asks_for_the_tools_now_and_then() -> None:
    upstream = saying(CELL, AGAIN, NOON, AGAIN, NOON)
    async with leaving_nothing(), hand_server(LEGACY) as bad, hand_server(LEGACY) as good:
        bad.lists_change = True
        bad.on["GET"] = sends(EVENTS + event_of(CHANGED) * 900)
        async with gateway_of(upstream, config(good, {"url": bad.url}), cell=CELL) as gateway:
            await CELL.ask(gateway, "Go.")
            await bad.some("tools/list", 2)
            await CELL.ask(gateway, "Again.")
        assert len(bad.all("tools/list")) <= 4
    assert told(upstream, 1) == told(upstream, 3) == ["alive"]


@pytest.mark.parametrize("cell", [CELL, STREAMED], ids=str)
async def test_a_model_that_calls_without_end_is_asked_for_an_answer_at_the_limit(cell: Cell) -> None:
    upstream = saying(cell, *[AGAIN] * 4, NOON)
    async with (
        leaving_nothing(),
        hand_server(LEGACY) as bad,
        gateway_of(upstream, {**config(bad, {"url": bad.url}), "max_rounds": 4}, cell=cell) as gateway,
    ):
        heard = await cell.ask(gateway, "Go.")
    assert (heard.content, heard.finish) == ("It is noon.", "length")
    assert len(bad.all("tools/call")) == 4
    assert [request.json["tool_choice"] for request in upstream.requests[4:]] == ["none"]


@pytest.mark.parametrize("era", ERAS)
async def test_shutting_down_waits_for_no_server_that_hangs(era: str) -> None:
    upstream = saying(CELL, BOTH, NOON)
    async with leaving_nothing(), hand_server(era) as bad, hand_server(era) as good:
        bad.on["tools/call"] = bad.on["DELETE"] = lambda exchange: exchange.gone()
        async with gateway_of(upstream, config(good, {"url": bad.url}), cell=CELL) as gateway:
            asking = asyncio.create_task(CELL.ask(gateway, "Go."))
            await bad.some("tools/call")
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < SHUTDOWN_S


def test_two_servers_of_one_name_are_an_error_that_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "chatproxy.toml"
    server = '[plugins.mcp.servers.time]\nurl = "http://127.0.0.1:9/mcp"\n'
    file.write_text(server + server)
    command = [sys.executable, "-m", "chatproxy", "mcp", "list", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "line 3" in done.stderr
    assert "Traceback" not in done.stderr

"""What servers that send too much cost a gateway's process: its peak of memory grows by a few messages, not by all."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil

from chatproxy.testing.matrix import Said

from .connect_servers import LEGACY, MODERN, Exchange, hand_server
from .fault_server import (
    EVENTS,
    FLOODING,
    JUNK_EVENT,
    NONSENSE,
    SAFE,
    Act,
    answers,
    lists,
    sends,
)
from .serving import Model, running_gateway
from .test_faults import acting
from .test_faults_processes import SCRIPT

MESSAGE = 8 << 20
MOST = 6 * 2 * MESSAGE  # two servers send at the same time
NOON = Said(content="It is noon.")
TEXT = {"type": "text", "text": "x" * (MESSAGE - 1000)}


async def large_event(exchange: Exchange) -> None:
    """Answer by one event."""
    await exchange.events()
    await exchange.event({"jsonrpc": "2.0", "id": exchange.message["id"], "result": {"content": [TEXT], **SAFE}})
    exchange.close()


LARGEST: dict[str, Act] = {
    "a large text": answers(content=[TEXT], **SAFE),
    "a large text of escapes": answers(content=[{"type": "text", "text": "\u0001" * (MESSAGE // 6 - 1000)}], **SAFE),
    "a large event": large_event,
    "many blocks": answers(content=[{"type": "text", "text": ""}] * 30_000, **SAFE),
    "many lists": answers(content=[], structuredContent={"a": [[]] * 90_000}, **SAFE),
    "lists of nothing": answers(content=[], structuredContent={"a": [[]] * 2_000_000}, **SAFE),
    "a large structure": answers(content=[], structuredContent={"a": TEXT["text"]}, **SAFE),
}
ACTS: dict[str, Act] = {
    **{name: FLOODING[name].act for name in ("JSON", "one line", "one event", "a web page")},
    "content of numbers": NONSENSE["content of numbers"].act,
    **LARGEST,
}
PIPED = ("line", "values")
CONFIG = """
log_level = "warning"

[upstreams.default]
base_url = "{model}"
surfaces = ["chat", "models"]

[models."m"]

[plugins]
enabled = ["mcp"]

[plugins.mcp]
max_offered = 1000
pinning = "off"
keepalive_s = 1

[plugins.mcp.servers.legacy]
url = "{legacy}"
call_timeout_s = 2

[plugins.mcp.servers.modern]
url = "{modern}"
call_timeout_s = 2

[plugins.mcp.servers.pipe]
command = "{python}"
args = ["{script}"]
call_timeout_s = 0.5
"""


class Measured:
    """A gateway process and what its memory was at most."""

    def __init__(self, url: str, model: Model) -> None:
        self._url = url
        self._model = model
        self._process = max(psutil.Process().children(), key=lambda child: child.create_time())
        self.peaks: dict[str, int] = {}

    async def ask(self, name: str, *calls: str) -> str:
        """Have the model call tools one after the other; the answer's text. Keeps by how much the peak grew."""
        (Path("/proc") / str(self._process.pid) / "clear_refs").write_text("5")
        before = self._peak()
        self._model.says(Said(calls=tuple((call, "{}") for call in calls)), NOON)
        async with httpx.AsyncClient(timeout=30) as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "Go."}]}
            answer = await client.post(f"{self._url}/v1/chat/completions", json=body)
        self.peaks[name] = self._peak() - before
        return str(answer.json()["choices"][0]["message"]["content"])

    def _peak(self) -> int:
        status = (Path("/proc") / str(self._process.pid) / "status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10


@asynccontextmanager
async def measured(folder: Path, legacy: str, modern: str) -> AsyncIterator[Measured]:
    with Model() as model:
        toml = CONFIG.format(model=model.url, legacy=legacy, modern=modern, python=sys.executable, script=SCRIPT)
        running = running_gateway(folder, toml)
        url = await asyncio.to_thread(running.__enter__)
        try:
            yield Measured(url, model)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
        assert model.refusals == []


async def test_what_servers_send_is_bounded_in_memory(tmp_path: Path) -> None:
    names = [f"f{place}" for place in range(len(ACTS))]
    async with hand_server(LEGACY) as legacy, hand_server(MODERN) as modern:
        for server in (legacy, modern):
            server.on["tools/list"], server.on["tools/call"] = lists(*names, "echo"), acting(ACTS.values())
        legacy.on["GET"] = sends(EVENTS + JUNK_EVENT * 1000)
        async with measured(tmp_path, legacy.url, modern.url) as gateway:
            await gateway.ask("warm", "legacy__echo", "modern__echo", "pipe__echo")
            gateway.peaks.clear()
            for place, name in enumerate(ACTS):
                assert await gateway.ask(name, f"legacy__f{place}", f"modern__f{place}") == "It is noon."
            for name in PIPED:
                assert await gateway.ask(f"pipe: {name}", f"pipe__{name}") == "It is noon."
    assert {name: peak for name, peak in gateway.peaks.items() if peak > MOST} == {}

"""Agents beside the platform: sessions by id, what an agent knows in the database, stats, and keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatproxy_platform.plugin
import httpx
import pytest
from chatproxy_agents import AgentsPlugin
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec
from chatproxy_platform.platform import Platform

from chatproxy import App, hookimpl
from chatproxy.testing import Gateway, make_app

Json = dict[str, Any]


class Eye:
    """Sees the application from within."""

    app: App

    @hookimpl
    def lifespan(self, app: App) -> None:
        self.app = app


class EchoAgent:
    """An agentapi server in few lines: it repeats the last line of each message."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.told: list[str] = []
        self.listeners: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().lower().strip().split("\r\n")
                sizes = [int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")]
                body = await reader.readexactly(sum(sizes))
                await self._answer(first.split(" ")[1], body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        if path == "/events":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            self.listeners = [writer]
            for message in self.messages:
                self._tell(message)
            self._tell({"status": "stable", "agent_type": "claude"})
            return
        if path == "/message":
            self._take(json.loads(body)["content"])
        found = {"/messages": {"messages": self.messages}, "/status": {"status": "stable"}}.get(path, {"ok": True})
        data = json.dumps(found).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data
        )

    def _take(self, text: str) -> None:
        self.told.append(text)
        for role, content in (("user", text), ("agent", f"You said: {text.splitlines()[-1]}")):
            self.messages.append({"id": len(self.messages), "role": role, "content": content})
        for event in ({"status": "running"}, *self.messages[-2:], {"status": "stable"}):
            self._tell(event)

    def _tell(self, event: Json) -> None:
        name = "status_change" if "status" in event else "message_update"
        data = event if "status" in event else {**event, "message": event["content"]}
        for writer in self.listeners:
            writer.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())


@pytest.fixture
async def agent() -> AsyncIterator[tuple[EchoAgent, str]]:
    """An agent and its address."""
    echo = EchoAgent()
    async with await asyncio.start_server(echo.serve, "127.0.0.1") as server:
        yield echo, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def gateway_with(folder: Path, url: str) -> AsyncIterator[tuple[Gateway, dict[str, str]]]:
    """A gateway whose agent refuses to leave its conversation, and the header with a new key of an administrator."""
    platform = {"database_url": f"sqlite:///{folder / 'platform.db'}", "allowed_hosts": ["gateway"]}
    agents = {"check_interval_s": 0, "agent": {"coder": {"url": url, "another_session": "refuse"}}}
    eye = Eye()
    plugins = [chatproxy_platform.plugin, AgentsPlugin(), eye]
    async with make_app(plugins=plugins, plugin_settings={"platform": platform, "agents": agents}) as gateway:
        _, key = await eye.app.plugin(Platform).keys.create(OPERATOR, KeySpec(role="platform_admin"))
        yield gateway, {"authorization": f"Bearer {key}"}


async def ask(gateway: Gateway, key: dict[str, str], text: str, session: str) -> httpx.Response:
    body = {
        "model": "coder",
        "messages": [{"role": "user", "content": text}],
        "user": "kim",
        "metadata": {"session_id": session},
    }
    return await gateway.client.post("/v1/chat/completions", json=body, headers=key)


async def test_a_session_goes_on_by_its_id_also_in_the_next_process(
    agent: tuple[EchoAgent, str], tmp_path: Path
) -> None:
    echo, url = agent
    async with gateway_with(tmp_path, url) as (gateway, key):
        for text in ("One", "Two"):
            await ask(gateway, key, text, "s1")
    async with gateway_with(tmp_path, url) as (gateway, _):
        answer = await ask(gateway, key, "Three", "s1")
    assert answer.json()["choices"][0]["message"]["content"] == "You said: Three"
    assert echo.told == ["One", "Two", "Three"]


async def test_another_session_is_refused_and_stats_name_the_agent(
    agent: tuple[EchoAgent, str], tmp_path: Path
) -> None:
    _, url = agent
    async with gateway_with(tmp_path, url) as (gateway, key):
        await ask(gateway, key, "One", "s1")
        refused = await ask(gateway, key, "Uno", "s2")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "agent_session_conflict")
        stats = (await gateway.client.get("/v1/platform/stats", headers=key)).json()
    assert stats["system_health"]["active_agents"] == ["coder"]


async def test_without_a_key_an_agent_is_told_nothing(agent: tuple[EchoAgent, str], tmp_path: Path) -> None:
    echo, url = agent
    async with gateway_with(tmp_path, url) as (gateway, _):
        assert (await ask(gateway, {}, "One", "s1")).status_code == 401
    assert echo.told == []

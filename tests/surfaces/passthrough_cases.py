"""What the tests of pass-through share: gateways in memory and between sockets, and upstreams that take bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.faults.upstream import Exchange, FaultUpstream, Script, reply
from tests.server.rawclient import WAIT_S, RawClient

from chatproxy.app import ChatproxyApp, create_app
from chatproxy.config import ProxyConfig
from chatproxy.server import Server, ServerOptions, running
from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, make_app, raw_reply

MIB = 1 << 20
SURFACES = ["chat", "audio", "images", "files", "batches"]
UPSTREAMS: dict[str, Any] = {"default": {"base_url": "http://one/base", "api_key": "k-one", "surfaces": SURFACES}}

OPERATIONS = [
    ("POST", "/audio/speech"),
    ("POST", "/audio/transcriptions"),
    ("POST", "/audio/translations"),
    ("POST", "/images/generations"),
    ("POST", "/images/edits"),
    ("POST", "/images/variations"),
    ("GET", "/files"),
    ("POST", "/files"),
    ("GET", "/files/file-1.a:b_c"),
    ("DELETE", "/files/file-1"),
    ("GET", "/files/file-1/content"),
    ("HEAD", "/files/file-1/content"),
    ("POST", "/batches"),
    ("GET", "/batches"),
    ("GET", "/batches/batch_1"),
    ("POST", "/batches/batch_1/cancel"),
]


def passing(*plugins: object, upstream: ScriptedUpstream | None = None, **settings: Any) -> Gateway:
    """A gateway whose default upstream serves everything."""
    upstream = upstream or ScriptedUpstream(raw_reply(b"{}"))
    return make_app(plugins=plugins, upstream=upstream, **{"upstreams": UPSTREAMS, **settings})


class Wired:
    """A served gateway, its upstream and its clients."""

    def __init__(self, app: ChatproxyApp, upstream: FaultUpstream, recorder: Recorder, server: Server) -> None:
        self.app = app
        self.upstream = upstream
        self.recorder = recorder
        self.server = server
        self.clients: list[RawClient] = []

    async def open(self, data: bytes) -> RawClient:
        """A client that has sent this."""
        port = int(self.server.urls[0].rsplit(":", 1)[1])
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
        self.clients.append(client)
        await client.send(data)
        return client

    async def takes_no_more(self) -> None:
        """Wait until the gateway reads nothing from its one client, for many turns of the event loop."""
        (connection,) = self.server.state.connections
        turns = 0
        async with asyncio.timeout(WAIT_S):
            while turns < 300:
                turns = 0 if connection.transport.is_reading() else turns + 1
                await asyncio.sleep(0)

    async def all_left(self) -> None:
        """Wait until no connection to the upstream is open."""
        async with asyncio.timeout(WAIT_S):
            await self.upstream.all_left()


@asynccontextmanager
async def wired(
    *scripts: Script, reads_bodies: bool = True, limit: int = 512 * MIB, **settings: Any
) -> AsyncIterator[Wired]:
    """A gateway between sockets."""
    recorder = Recorder()
    async with FaultUpstream(*scripts, reads_bodies=reads_bodies) as upstream:
        base_url = f"{upstream.url}/v1"
        upstreams = {
            "default": {"base_url": base_url, "surfaces": ["audio", "files"]},
            "hasty": {"base_url": base_url, "surfaces": ["batches"], "first_byte_timeout_s": 0.1},
        }
        values = {"log_level": "error", "upstreams": upstreams, **settings}
        config = ProxyConfig(environ={"CHATPROXY_DISABLED_PLUGINS": "*"}, max_upload_bytes=limit, **values)
        app = create_app(config, [recorder])
        options = ServerOptions(port=0, max_body_bytes=config.max_body_bytes, max_upload_bytes=limit)
        async with running(app, app.gateway, options) as server:
            gateway = Wired(app, upstream, recorder, server)
            yield gateway
            for client in gateway.clients:
                client.close()


def post(path: str, length: int | None, *headers: str) -> bytes:
    """The head of a request with a form."""
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = [f"POST {path} HTTP/1.1", "host: a", "content-type: multipart/form-data; boundary=b", framing, *headers]
    return "\r\n".join([*lines, "", ""]).encode()


class Taker:
    """Reads a request's body as it comes; an event for each size that a test waits for."""

    def __init__(self, answer: bytes = reply(b"{}")) -> None:
        self.body = b""
        self._answer = answer
        self._more = asyncio.Condition()

    async def script(self, exchange: Exchange) -> None:
        length = exchange.request.header("content-length")
        while length is None or len(self.body) < int(length):
            part = await (self._chunk(exchange) if length is None else exchange.reader.read(65_536))
            if not part:
                break
            async with self._more:
                self.body += part
                self._more.notify_all()
        await exchange.send(self._answer)

    async def has(self, size: int) -> None:
        """Wait until that much has come."""
        async with asyncio.timeout(WAIT_S), self._more:
            await self._more.wait_for(lambda: len(self.body) >= size)

    async def _chunk(self, exchange: Exchange) -> bytes:
        size = int(await exchange.reader.readuntil(b"\r\n"), 16)
        return (await exchange.reader.readexactly(size + 2))[:-2]

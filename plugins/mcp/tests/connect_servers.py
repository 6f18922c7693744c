"""Servers for the tests of `connect`: one by hand on loopback whose every byte a test chooses, one of the SDK, scripts.

Rule: they record what they got and wait for events, never for time.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import mcp_types
import uvicorn
from chatproxy_mcp.config import Server
from chatproxy_mcp.connect.links import Links
from mcp.server.mcpserver import MCPServer

Json = dict[str, Any]
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
ERAS = (MODERN, LEGACY)
CALL: dict[str, Any] = {"tenant": "", "meta": {}, "timeout_s": 10.0}
TOOLS = [{"name": "echo", "inputSchema": {"type": "object"}}, {"name": "nap", "inputSchema": {"type": "object"}}]


class Exchange:
    """One HTTP request that the server got, and the way to answer it."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes, stream: Stream) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.message: Json = json.loads(body) if body[:1] == b"{" else {}
        self._stream = stream

    @property
    def call(self) -> str:
        """The method of its message."""
        return str(self.message.get("method", ""))

    async def result(self, **fields: Any) -> None:
        """Answer its message."""
        await self.json({"jsonrpc": "2.0", "id": self.message.get("id"), "result": fields})

    async def text(self, text: str) -> None:
        """Answer a tool call."""
        await self.result(content=[{"type": "text", "text": text}], resultType="complete")

    async def error(self, code: int, message: str, status: int = 200) -> None:
        """Answer by a JSON-RPC error."""
        error = {"code": code, "message": message}
        await self.json({"jsonrpc": "2.0", "id": self.message.get("id"), "error": error}, status)

    async def json(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with JSON."""
        await self.reply(status, json.dumps(value).encode(), content_type="application/json", **headers)

    async def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer with anything."""
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def events(self) -> None:
        """Begin a stream of events, which the connection's end delimits."""
        await self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")

    async def event(self, value: Any, more: str = "") -> None:
        """Send an event."""
        await self.raw(f"{more}data: {json.dumps(value)}\n\n".encode())

    async def raw(self, data: bytes) -> None:
        """Send bytes."""
        self._stream.writer.write(data)
        await self._stream.writer.drain()

    def close(self) -> None:
        """Close the connection."""
        self._stream.writer.close()

    def reset(self) -> None:
        """Break the connection: the client sees a reset, not an end."""
        linger = struct.pack("ii", 1, 0)
        self._stream.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._stream.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        while await self._stream.reader.read(65536):
            pass


Answer = Callable[[Exchange], Awaitable[None]]


def said(result: mcp_types.CallToolResult) -> str:
    """The text of a result."""
    return "".join(part.text for part in result.content if isinstance(part, mcp_types.TextContent))


def only(name: str, answer: Answer) -> Answer:
    """Answer the calls of one tool so, and echo the others."""

    async def choose(exchange: Exchange) -> None:
        params = exchange.message["params"]
        await (answer(exchange) if params["name"] == name else exchange.text(params["arguments"].get("text", "")))

    return choose


async def still_works(links: Links) -> None:
    """Check that the next call is answered."""
    assert said(await links.call("s", "echo", {"text": "alive"}, **CALL)) == "alive"


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what has no event: another process, a clock."""
    while not holds():  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.001)


class Stream:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer


class HandServer:
    """Speaks the handshake of one era, lists two tools, echoes; `on` says what it does else.

    Attributes:
        guard: looks at each request first; True: it has answered it.
        seen: every request, in order.
        connections: how many were opened.
    """

    def __init__(self, era: str) -> None:
        self.era = era
        self.seen: list[Exchange] = []
        self.connections = 0
        self.lists_change = False
        self.on: dict[str, Answer] = {}
        self.guard: Callable[[Exchange], Awaitable[bool]] | None = None
        self.port = 0
        self._sessions = 0
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def config(self, **fields: Any) -> Server:
        """An entry of the configuration."""
        return Server(url=self.url, **fields)

    def all(self, call: str) -> list[Exchange]:
        """The requests of one method, of JSON-RPC or HTTP."""
        return [exchange for exchange in self.seen if call in {exchange.call, exchange.method}]

    async def some(self, call: str, count: int = 1) -> list[Exchange]:
        """Wait until that many came."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.all(call)) >= count)
        return self.all(call)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        self.connections += 1
        try:
            while True:
                exchange = await _read(Stream(reader, writer))
                async with self._news:
                    self.seen.append(exchange)
                    self._news.notify_all()
                await self._answer(exchange)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # Python 3.11 raises for the abort of a transport that was closed and has written its last bytes.
            if not writer.transport.is_closing() or writer.transport.get_write_buffer_size():
                writer.transport.abort()

    async def _answer(self, exchange: Exchange) -> None:
        call = exchange.call or exchange.method
        if exchange.target.startswith("/.well-known") or exchange.target == "/token":
            call = exchange.target
        elif self.guard is not None and await self.guard(exchange):
            return
        own = self.on.get(call)
        if own is not None:
            await own(exchange)
        elif call == "server/discover" and self.era == MODERN:
            await exchange.result(
                supportedVersions=[MODERN],
                capabilities=self._abilities(),
                resultType="complete",
                ttlMs=0,
                cacheScope="public",
            )
        elif call == "initialize" and self.era == LEGACY:
            self._sessions += 1
            info = {"name": "hand\u200b made", "version": "1"}
            result = {"protocolVersion": LEGACY, "capabilities": self._abilities(), "serverInfo": info}
            reply = {"jsonrpc": "2.0", "id": exchange.message["id"], "result": result}
            await exchange.json(reply, mcp_session_id=f"s{self._sessions}")
        elif call == "tools/list":
            more = {"resultType": "complete", "ttlMs": 5000, "cacheScope": "public"} if self.era == MODERN else {}
            await exchange.result(tools=TOOLS, **more)
        elif call == "tools/call":
            await exchange.text(exchange.message["params"]["arguments"].get("text", ""))
        elif call.startswith("notifications/") or ("method" not in exchange.message and exchange.message):
            await exchange.reply(202)
        elif "id" in exchange.message:
            await exchange.error(-32601, "Method not found")
        else:
            await exchange.reply(405 if exchange.method == "GET" else 204)

    def _abilities(self) -> Json:
        return {"tools": {"listChanged": self.lists_change}}


async def _read(stream: Stream) -> Exchange:
    head = (await stream.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await stream.reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(method, target, headers, body, stream)


@asynccontextmanager
async def hand_server(era: str = MODERN) -> AsyncIterator[HandServer]:
    """A server on a free port of the loopback."""
    server = HandServer(era)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 20)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


def sdk_tools() -> MCPServer:
    """A server of the SDK."""
    server = MCPServer("sdk", version="7")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    return server


@contextmanager
def sdk_http() -> Iterator[str]:
    """A server of the SDK by HTTP, in a thread; gives its address."""
    config = uvicorn.Config(sdk_tools().streamable_http_app(), port=0, log_config=None, timeout_graceful_shutdown=1)
    server = _Uvicorn(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.is_up.wait(20)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        thread.join(20)


STDIO = """
import json, os, subprocess, sys, time
era, *more = sys.argv[1:]

def say(**message):
    sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\\n")
    sys.stdout.buffer.flush()

def text(id, text):
    say(id=id, result={"content": [{"type": "text", "text": str(text)}], "resultType": "complete"})

TOOLS = [{"name": "echo", "inputSchema": {"type": "object"}}]
if "unyielding" in more:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "dies" in more:
    sys.exit("secret-of-the-operator is wrong")
for line in sys.stdin.buffer:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if method == "server/discover":
        if era == "2026-07-28":
            say(id=id, result={"supportedVersions": [era], "capabilities": {"tools": {}}, "resultType": "complete",
                               "ttlMs": 0, "cacheScope": "public"})
        elif "silent" not in more:
            say(id=id, error={"code": -32601, "message": "Method not found"})
    elif method == "initialize":
        say(id=id, result={"protocolVersion": era, "capabilities": {"tools": {}},
                           "serverInfo": {"name": "script", "version": "1"}})
    elif method == "tools/list":
        say(id=id, result={"tools": TOOLS, "resultType": "complete", "ttlMs": 0, "cacheScope": "public"})
    elif method == "notifications/cancelled":
        open(os.environ["NOTES"], "a").write("cancelled\\n")
    elif method == "tools/call":
        name, arguments = message["params"]["name"], message["params"].get("arguments") or {}
        open(os.environ["NOTES"], "a").write(name + "\\n")
        if name == "die":
            os._exit(3)
        elif name == "hang":
            pass
        elif name == "big":
            sys.stdout.buffer.write(b"x" * 50_000_000)
            text(id, "too late")
        elif name == "flood":
            for _ in range(1500):
                say(method="notifications/message", params={"level": "info", "data": "x"})
            text(id, "after the flood")
        elif name == "junk":
            print("starting up ...", flush=True)
            text(id, "after the junk")
        elif name == "ask":
            schema = {"type": "object", "properties": {}}
            say(id="q", method="elicitation/create", params={"message": "?", "requestedSchema": schema})
        elif name == "complain":
            print("my key is", os.environ["KEY"], file=sys.stderr, flush=True)
            text(id, "said")
        elif name == "environment":
            text(id, json.dumps(dict(os.environ)))
        elif name == "pid":
            text(id, os.getpid())
        elif name == "child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            text(id, child.pid)
        elif name == "deaf":
            text(id, "from now on")
            time.sleep(600)
        else:
            text(id, arguments.get("text", ""))
while "unyielding" in more:
    time.sleep(600)
"""


class Script:
    """A server by stdio, made of `STDIO`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "server.py"
        self._file.write_text(STDIO)
        self._notes = folder / "notes"

    def config(self, era: str = LEGACY, *more: str, **fields: Any) -> Server:
        """An entry of the configuration."""
        env = {"NOTES": str(self._notes), "KEY": "secret-of-the-operator"}
        return Server(command=sys.executable, args=(str(self._file), era, *more), env=env, **fields)

    def notes(self) -> list[str]:
        """What it was asked to do."""
        return self._notes.read_text().split() if self._notes.exists() else []

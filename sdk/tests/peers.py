"""A server's side of TCP connections, on an event loop in a thread: requests are read, a reply is run for each.

Rule: nothing here knows what is replied. A reply ends when its client hangs up.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

MAX_HEAD_BYTES = 1 << 20


@dataclass
class Request:
    """What a client sent.

    Attributes:
        path: with its query.
        headers: by lower-case name.
        port: the client's; requests of one connection share it.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int

    @property
    def json(self) -> Any:
        """The body, decoded; None where there is none."""
        return json.loads(self.body) if self.body else None


@dataclass
class Wire:
    """What a reply sends with.

    Attributes:
        request: what is replied to.
        is_over: no further request is read from this connection.
    """

    request: Request
    transport: asyncio.Transport
    can_write: asyncio.Event
    is_over: bool = False

    async def send(self, data: bytes) -> None:
        """Send bytes, each call on its own."""
        await self.can_write.wait()
        self.transport.write(data)
        await asyncio.sleep(0)

    async def gone(self) -> None:
        """Wait until the client hangs up."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """End the connection as it should be ended: what was sent arrives."""
        self.is_over = True
        self.transport.close()

    def reset(self) -> None:
        """Cut the connection by RST; what was sent before arrives, for it went out at once."""
        self.is_over = True
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


Reply = Callable[[Wire], Awaitable[None]]


@dataclass
class Counters:
    """What a server has seen; changed on its loop, read from anywhere."""

    accepted: int = 0
    open: int = 0
    requests: list[Request] = field(default_factory=list)
    transports: set[asyncio.Transport] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, opened: int) -> None:
        """A connection came (1) or went (-1)."""
        with self.changed:
            self.accepted += max(0, opened)
            self.open += opened
            self.changed.notify_all()

    def heard(self, request: Request) -> None:
        """A request was read."""
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()


class Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, counters: Counters, choose: Callable[[Request], Reply]) -> None:
        self._counters = counters
        self._choose = choose
        self._reader = asyncio.StreamReader(limit=MAX_HEAD_BYTES)
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._counters.add(1)
        self._counters.transports.add(transport)
        self._transport = transport
        self._task = asyncio.ensure_future(self._serve(transport))

    def data_received(self, data: bytes) -> None:
        self._reader.feed_data(data)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
        self._counters.transports.discard(self._transport)
        self._counters.add(-1)

    async def _serve(self, transport: asyncio.Transport) -> None:
        while not transport.is_closing():
            request = await self._request(transport.get_extra_info("peername")[1])
            self._counters.heard(request)
            wire = Wire(request, transport, self._can_write)
            await self._choose(request)(wire)
            if wire.is_over:
                return

    async def _request(self, port: int) -> Request:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, path, headers, body, port)


class LoopThread:
    """An event loop in a thread, with one listening socket.

    Attributes:
        port: where it listens.
    """

    def __init__(self, counters: Counters, choose: Callable[[Request], Reply], tls: ssl.SSLContext | None) -> None:
        self._counters = counters
        self._choose = choose
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._listen())
            finally:
                self._ready.set()

    async def _listen(self) -> None:
        peer = partial(Peer, self._counters, self._choose)
        server = await asyncio.get_running_loop().create_server(peer, "127.0.0.1", 0, ssl=self._tls, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for _ in range(1000):
            for transport in list(self._counters.transports):
                transport.abort()
            if not await self._is_busy():
                break

    async def _is_busy(self) -> bool:
        """Whether connections are left; those that are just beginning, with their handshakes, only the loop knows."""
        await asyncio.sleep(0.002)
        known: list[asyncio.Transport] = list(self._loop._transports.values())  # type: ignore[attr-defined]
        # One that is closing waits for its last bytes to be taken, which a client that left a handshake never does.
        left = [transport for transport in known if transport._sock is not None]  # type: ignore[attr-defined]
        for transport in left:
            transport.abort()
        return bool(left) or len(asyncio.all_tasks()) > 1

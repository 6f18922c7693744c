"""A loopback TCP relay in front of an upstream: records what passes, tells who left, holds answers back.

It is no HTTP server and changes no byte; what a test reads here is what stood on the wire.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

READ_BYTES = 65536
WAIT_S = 15.0


@dataclass
class Exchange:
    """One request and its answer as they stood on the wire."""

    request: bytearray = field(default_factory=bytearray)
    response: bytearray = field(default_factory=bytearray)
    caller_left: threading.Event = field(default_factory=threading.Event)

    def header(self, name: str) -> str | None:
        """A request header's value, or None."""
        return _header(bytes(self.request), name)

    def response_header(self, name: str) -> str | None:
        """A response header's value, or None."""
        return _header(bytes(self.response), name)

    @property
    def body(self) -> bytes:
        """The request's body as sent (our callers send a Content-Length)."""
        return bytes(self.request).partition(b"\r\n\r\n")[2]


class Relay:
    """Runs on its own thread and event loop; every public method may be called from a test."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._hold_at: bytes | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._held = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._callers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.address = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    def reset(self) -> None:
        """Forget what was recorded and let held answers go."""
        self._call(self._release())
        self.exchanges = []
        self.connections = 0

    def hold(self, after: bytes = b"") -> None:
        """Hold the next answers back: from their first byte, or after the SSE frame that contains ``after``."""
        self._call(self._hold(after))

    def release(self) -> None:
        """Let held answers go."""
        self._call(self._release())

    def only(self) -> Exchange:
        """The one POST since the last reset.

        Raises:
            AssertionError: there was none, or there were several.
        """
        posts = [each for each in self.exchanges if each.request.startswith(b"POST ")]
        assert len(posts) == 1, [bytes(each.request[:80]) for each in self.exchanges]
        return posts[0]

    def wait_held(self) -> Exchange:
        """Wait until an answer of the upstream lies here, held back, and return its exchange.

        Raises:
            AssertionError: none came within the limit.
        """
        assert self._held.wait(WAIT_S), "no answer of the upstream came to be held"
        return self.only()

    def _call(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._callers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold(self, after: bytes) -> None:
        self._hold_at = after
        self._held.clear()
        self._free.clear()

    async def _release(self) -> None:
        self._hold_at = None
        self._free.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._callers.add(writer)
        self.connections += 1
        task.add_done_callback(self._tasks.discard)
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        link = _Link(self)
        down = asyncio.create_task(link.answers(up_reader, writer))
        try:
            with suppress(ConnectionError):
                await link.requests(reader, up_writer)
        finally:
            down.cancel()
            await asyncio.gather(down, return_exceptions=True)
            self._callers.discard(writer)
            writer.close()
            up_writer.close()

    async def pass_on(self, data: bytes, exchange: Exchange, writer: asyncio.StreamWriter) -> None:
        """Write an answer's bytes to the caller, stopping where a test asked to hold."""
        while not self._free.is_set() and self._hold_at is not None:
            cut = _hold_position(bytes(exchange.response), self._hold_at) - (len(exchange.response) - len(data))
            if cut >= len(data):
                break
            writer.write(data[: max(cut, 0)])
            data = data[max(cut, 0) :]
            self._held.set()
            await self._free.wait()
        writer.write(data)
        await writer.drain()


class _Link:
    """One connection of the caller and its own connection to the upstream."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._current: Exchange | None = None

    async def requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Caller to upstream, until the caller closes."""
        try:
            while data := await reader.read(READ_BYTES):
                if self._current is None or self._current.response:
                    self._current = Exchange()
                    self._relay.exchanges.append(self._current)
                self._current.request += data
                writer.write(data)
                await writer.drain()
        finally:
            if self._current is not None:
                self._current.caller_left.set()

    async def answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Upstream to caller; an upstream that closes or resets closes the caller's side too."""
        with suppress(ConnectionError):
            while data := await reader.read(READ_BYTES):
                exchange = self._current
                if exchange is None:
                    break
                exchange.response += data
                await self._relay.pass_on(data, exchange, writer)
        writer.close()


def _hold_position(response: bytes, after: bytes) -> int:
    """How many bytes of an answer may pass before the hold."""
    if not after:
        return 0
    found = response.find(after)
    frame_end = response.find(b"\n\n", found)
    return len(response) if found < 0 or frame_end < 0 else frame_end + 2


def _header(message: bytes, name: str) -> str | None:
    head = message.partition(b"\r\n\r\n")[0].decode("latin-1")
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name.lower():
            return value.strip()
    return None

"""The load client's HTTP/1.1: one connection, one exchange at a time, arrival times per body chunk.

Rule: as little work per byte as Python allows, because the client shares its core with the upstream.
"""

import asyncio
import socket
import time
from typing import cast
from urllib.parse import urlsplit

import httptools
import msgspec


class Answer(msgspec.Struct):
    """A complete answer; times are from ``time.perf_counter``, in seconds."""

    status: int
    body: bytes
    first_byte_s: float
    last_byte_s: float


class ExchangeError(Exception):
    """No complete answer arrived; the text says why."""


class Connection(asyncio.Protocol):
    """A client connection. ``reusable`` is true between two kept-alive exchanges."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.reusable = False
        self.first_byte: asyncio.Event = asyncio.Event()
        self._parser: httptools.HttpResponseParser | None = None
        self._parts: list[bytes] = []
        self._first_s = self._last_s = 0.0
        self._answer: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports do not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._fail(f"connection lost: {exc or 'closed by peer'}")

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._fail(f"broken HTTP: {exc}")
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        self._last_s = time.perf_counter()
        if not self._parts:
            self._first_s = self._last_s
            self.first_byte.set()
        self._parts.append(body)

    def on_message_complete(self) -> None:
        parser, future = self._parser, self._answer
        if parser is None or future is None or future.done():
            return
        self.reusable = parser.should_keep_alive()  # httptools answers this inside the callback only
        self._parser = None
        now = time.perf_counter()
        future.set_result(
            Answer(parser.get_status_code(), b"".join(self._parts), self._first_s or now, self._last_s or now)
        )

    def send(self, payload: bytes) -> asyncio.Future[Answer]:
        """Write one request; the future brings the answer, or ExchangeError."""
        self._parser = httptools.HttpResponseParser(self)
        self._parts = []
        self._first_s = self._last_s = 0.0
        self.first_byte.clear()
        self.reusable = False
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(payload)
        return self._answer

    async def exchange(self, payload: bytes, *, timeout_s: float) -> Answer:
        """Send one request and wait for the whole answer.

        Raises:
            ExchangeError: connection lost, broken HTTP or no end within ``timeout_s``.
        """
        answer = self.send(payload)
        timer = asyncio.get_running_loop().call_later(timeout_s, self._fail, "timeout")
        try:
            return await answer
        finally:
            timer.cancel()

    def reset(self) -> None:
        """Leave as a crashed client does: the peer gets a reset instead of an orderly end."""
        raw: socket.socket | None = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.transport.abort()

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ExchangeError(reason))


async def connect(url: str) -> Connection:
    """Open a connection to the host and port of a URL."""
    parts = urlsplit(url)
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, parts.hostname or "127.0.0.1", parts.port or 80
    )
    return connection

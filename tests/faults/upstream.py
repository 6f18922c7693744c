"""A fault upstream: an HTTP/1.1 server on raw sockets that does exactly what it is told, right or wrong.

    async with FaultUpstream(short_body(announced=10, sent=4)) as upstream:
        ...  # upstream.url, upstream.requests, upstream.accepted, await upstream.all_left()

A *script* is ``async def script(exchange: Exchange) -> None``; it gets one request and answers as it likes. Several
scripts given to one upstream answer one request each, in order over all connections; the last one answers the rest.
The functions below the classes make the usual scripts. A script that waits (``never_answer``, ``stall``) waits until
the client leaves, so no test needs a sleep.
"""

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

from .loops import turns

_MAX_HEAD = 1024 * 1024


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it came; header names are in lower case, repeated ones are all there.

    ``connection`` counts the upstream's connections from 1: equal numbers came over the same socket.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    raw_head: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """Give the first value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Exchange:
    """One request and the connection to answer it on."""

    request: ReceivedRequest
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_open: bool = field(default=True)

    async def send(self, data: bytes) -> None:
        """Write bytes and wait until they are handed to the kernel."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.is_open = False
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        """Close after what was written."""
        self.is_open = False
        self.writer.close()

    async def until_client_leaves(self) -> None:
        """Wait until the client closes or resets the connection; bytes it sends meanwhile are dropped."""
        self.is_open = False
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                continue


Script = Callable[[Exchange], Awaitable[None]]


class FaultUpstream:
    """The server; an asynchronous context manager.

    Args:
        scripts: one per request, the last one for all further requests.
        tls: serve HTTPS with this context.
        reads_bodies: False leaves every request's body in the kernel (a slow reader).
        host: the loopback address to listen on.
        sock: a listening socket to accept from instead; a copy is used, so that it serves the next upstream too.

    Attributes:
        requests: what came, in order.
        accepted: connections accepted so far.
        open_connections: those still open.
        got_request: set with every request; clear it to wait for the next one.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        reads_bodies: bool = True,
        host: str = "127.0.0.1",
        sock: socket.socket | None = None,
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self.accepted = 0
        self.open_connections = 0
        self.got_request = asyncio.Event()
        self._scripts: Sequence[Script] = scripts or (ok(),)
        self._tls = tls
        self._reads_bodies = reads_bodies
        self._where: dict[str, Any] = {"host": host, "port": 0} if sock is None else {"sock": sock.dup()}
        self._host = host
        self._served = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port the kernel gave."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        name = "localhost" if self._tls else self._host
        return f"{'https' if self._tls else 'http'}://{name}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, ssl=self._tls, limit=_MAX_HEAD, backlog=1024, **self._where
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        await turns()  # Python 3.11 loses the sockets of connections that arrive while a server closes
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await turns()  # closed transports take one to leave the event loop

    async def all_left(self) -> None:
        """Wait until no connection is open; bound it with ``asyncio.timeout``."""
        await self.until(lambda: self.open_connections == 0)

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait until a condition over this object's attributes is true."""
        async with self._changed:
            await self._changed.wait_for(is_true)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._forget, writer))

    def _forget(self, writer: asyncio.StreamWriter, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled():  # maybe before it began
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open_connections += 1
        number = self.accepted
        await self._note()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._answer(reader, writer, number):
                    continue
        finally:
            writer.close()
            self.open_connections -= 1
            await self._note()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        request = await _read_request(reader, number, reads_body=self._reads_bodies)
        script = self._scripts[min(self._served, len(self._scripts) - 1)]
        self._served += 1
        self.requests.append(request)
        self.got_request.set()
        await self._note()
        exchange = Exchange(request, reader, writer)
        await script(exchange)
        return exchange.is_open

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _read_request(reader: asyncio.StreamReader, number: int, *, reads_body: bool) -> ReceivedRequest:
    raw_head = await reader.readuntil(b"\r\n\r\n")
    line, *rest = raw_head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ", 2)
    headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in rest)]
    given = dict(headers)
    body = b""
    if reads_body and "content-length" in given:
        body = await reader.readexactly(int(given["content-length"]))
    elif reads_body and "transfer-encoding" in given:
        body = await _read_chunks(reader)
    return ReceivedRequest(method, target, headers, body, raw_head, number)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


# Parts of replies.


def reply_head(status: int = 200, *headers: str) -> bytes:
    """Make a reply's head from ``name: value`` lines."""
    return "\r\n".join([f"HTTP/1.1 {status} Status", *headers, "", ""]).encode("latin-1")


def reply(body: bytes, status: int = 200, *headers: str) -> bytes:
    """Make a whole reply with content-length."""
    return reply_head(status, f"content-length: {len(body)}", *headers) + body


def chunk(data: bytes) -> bytes:
    """Make one chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED_HEAD = reply_head(200, "content-type: text/event-stream", "transfer-encoding: chunked")


# Scripts: well-behaved ones first.


def raw(*parts: bytes, then_close: bool = False) -> Script:
    """Send these bytes, one write each; keep the connection unless told to close it."""

    async def script(exchange: Exchange) -> None:
        for part in parts:
            await exchange.send(part)
        if then_close:
            exchange.close()

    return script


def ok(body: bytes = b'{"ok":true}', *headers: str, status: int = 200) -> Script:
    """Answer with a whole body."""
    return raw(reply(body, status, "content-type: application/json", *headers))


def chunked(parts: Iterable[bytes] = (b"data: 1\n\n", b"data: [DONE]\n\n")) -> Script:
    """Answer with a chunked body, one write per chunk."""
    return raw(CHUNKED_HEAD, *map(chunk, parts), chunk(b""))


def trickle(data: bytes, gap_s: float = 0.0) -> Script:
    """Send bytes one by one, each in a segment of its own; ``data`` is the whole reply."""

    async def script(exchange: Exchange) -> None:
        for at in range(len(data)):
            await exchange.send(data[at : at + 1])
            await asyncio.sleep(gap_s)

    return script


def informational(count: int = 2, status: int = 103, body: bytes = b"after") -> Script:
    """Send 1xx replies before the real one."""
    return raw(reply_head(status, "link: </a>") * count + reply(body))


def gzip_body(body: bytes = b'{"ok":true}') -> Script:
    """Answer with a gzip-coded body, whatever was asked for."""
    return raw(reply(gzip.compress(body), 200, "content-encoding: gzip"))


def until_eof(body: bytes = b"all of it") -> Script:
    """Answer without length or chunks: the end of the connection is the end of the body."""
    return raw(reply_head(200, "content-type: text/plain") + body, then_close=True)


# Scripts that are at fault.


def never_answer() -> Script:
    """Take the request and say nothing."""
    return stall(b"")


def stall(sent: bytes = CHUNKED_HEAD + chunk(b"data: 1\n\n")) -> Script:
    """Send these bytes and then nothing, until the client leaves."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(sent)
        await exchange.until_client_leaves()

    return script


def reset(sent: bytes = b"", when: asyncio.Event | None = None) -> Script:
    """Send these bytes, wait for the event if there is one, then RST."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(sent)
        if when is not None:
            await when.wait()
        exchange.reset()

    return script


def truncate(sent: bytes) -> Script:
    """Send these bytes, then FIN."""
    return raw(sent, then_close=True)


def short_body(announced: int = 10, sent: int = 4) -> Script:
    """Announce more bytes than come before FIN."""
    return truncate(reply_head(200, f"content-length: {announced}") + b"x" * sent)


def cut_chunk() -> Script:
    """FIN in the middle of a chunk."""
    return truncate(CHUNKED_HEAD + b"10\r\nonly")


def junk_after_reply(
    junk: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", when: asyncio.Event | None = None
) -> Script:
    """Answer well and go on sending, another reply by default: in the same write, or after the event."""
    if when is None:
        return raw(reply(b"good") + junk)

    async def script(exchange: Exchange) -> None:
        await exchange.send(reply(b"good"))
        await when.wait()
        await exchange.send(junk)

    return script


def close_on_keep_alive(body: bytes = b"once") -> Script:
    """Answer as if the connection could be used again, and close it."""
    return raw(reply(body), then_close=True)


def huge_headers(count: int = 1, size_bytes: int = 70_000) -> Script:
    """Answer with this many headers of this size."""
    return raw(reply_head(200, *(f"x-{n}: {'a' * size_bytes}" for n in range(count)), "content-length: 0"))


def slow_reader(resume: asyncio.Event, body: bytes = b"read") -> Script:
    """Leave the request's body unread until the event; needs ``reads_bodies=False`` and a content-length."""

    async def script(exchange: Exchange) -> None:
        await resume.wait()
        await exchange.reader.readexactly(int(exchange.request.header("content-length") or 0))
        await exchange.send(reply(body))

    return script


def flood(total_bytes: int, piece_bytes: int = 65536, sent: list[int] | None = None) -> Script:
    """Send a long body as fast as the client takes it; ``sent[0]`` counts the bytes handed to the kernel."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(reply_head(200, f"content-length: {total_bytes}"))
        left = total_bytes
        while left:
            piece = b"x" * min(left, piece_bytes)
            await exchange.send(piece)
            left -= len(piece)
            if sent is not None:
                sent[0] += len(piece)

    return script

"""A byte-level TCP fault proxy: stands between a client and a server and spoils the bytes in between.

    async with TcpProxy(upstream.port, to_client=[slicer(3), limit_data(100)]) as proxy:
        ...  # connect to proxy.port

A *toxic* is a function from one asynchronous byte iterator to another; several form a pipeline, first one nearest
the sender. ``ResetPeer`` raised inside a toxic ends both sides with RST. When one direction ends, its receiver gets
FIN and the other direction goes on, as TCP has it.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from .loops import turns

Toxic = Callable[[AsyncIterator[bytes]], AsyncGenerator[bytes, None]]
_READ_BYTES = 65536


class ResetPeer(Exception):
    """Raised by a toxic to end the connection with RST on both sides."""


class TcpProxy:
    """The proxy; an asynchronous context manager.

    Args:
        server_port: where the real server listens.
        to_client: toxics for what the server sends.
        to_server: toxics for what the client sends.
        host: loopback address of both sides.
        sock: a listening socket to accept from instead; a copy is used.

    Attributes:
        accepted: client connections accepted so far.
        open_connections: those still open.
    """

    def __init__(
        self,
        server_port: int,
        *,
        to_client: Sequence[Toxic] = (),
        to_server: Sequence[Toxic] = (),
        host: str = "127.0.0.1",
        sock: socket.socket | None = None,
    ) -> None:
        self.accepted = 0
        self.open_connections = 0
        self._server_port = server_port
        self._to_client = to_client
        self._to_server = to_server
        self._host = host
        self._where: dict[str, Any] = {"host": host, "port": 0} if sock is None else {"sock": sock.dup()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port the kernel gave."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL for an HTTP server behind the proxy."""
        return f"http://{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, **self._where)
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

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._forget, writer))

    def _forget(self, writer: asyncio.StreamWriter, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled():  # maybe before it began
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open_connections += 1
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._server_port)
            writers.append(far_writer)
            with contextlib.suppress(ConnectionError):
                await _both(
                    _pump(reader, far_writer, self._to_server), _pump(far_reader, writer, self._to_client), writers
                )
        finally:
            for each in writers:
                each.close()
            self.open_connections -= 1


async def _both(
    one: "asyncio._CoroutineLike[None]", other: "asyncio._CoroutineLike[None]", writers: list[asyncio.StreamWriter]
) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(one)
            group.create_task(other)
    except* ResetPeer:
        for writer in writers:
            _reset(writer)
    except* ConnectionError:
        for writer in writers:
            writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, toxics: Sequence[Toxic]) -> None:
    stages: list[AsyncGenerator[bytes, None]] = [_read(reader)]
    for toxic in toxics:
        stages.append(toxic(stages[-1]))
    try:
        async for data in stages[-1]:
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()
    finally:
        for stage in reversed(stages):
            await stage.aclose()


async def _read(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    while data := await reader.read(_READ_BYTES):
        yield data


def latency(delay_s: float) -> Toxic:
    """Hold every piece for this long."""

    async def toxic(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for data in source:
            await asyncio.sleep(delay_s)
            yield data

    return toxic


def bandwidth(bytes_per_s: int, piece_bytes: int = 1024) -> Toxic:
    """Pass no more than this many bytes a second, in small pieces."""

    async def toxic(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for data in source:
            for at in range(0, len(data), piece_bytes):
                piece = data[at : at + piece_bytes]
                await asyncio.sleep(len(piece) / bytes_per_s)
                yield piece

    return toxic


def slow_close(delay_s: float) -> Toxic:
    """Hold back the end of the stream."""

    async def toxic(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for data in source:
            yield data
        await asyncio.sleep(delay_s)

    return toxic


def timeout(after_s: float | None = None) -> Toxic:
    """Swallow everything; after this time (None: never) end the stream."""
    nothing: tuple[bytes, ...] = ()

    async def toxic(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                async for _ in source:
                    continue
        for data in nothing:
            yield data

    return toxic


def reset_peer(after_bytes: int = 0) -> Toxic:
    """Pass this many bytes, then RST."""

    async def toxic(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        left = after_bytes
        async for data in source:
            if len(data) >= left:
                if left:
                    yield data[:left]
                raise ResetPeer
            left -= len(data)
            yield data

    return toxic


def slicer(size_bytes: int, gap_s: float = 0.0) -> Toxic:
    """Cut everything into pieces of this size, one segment each."""

    async def toxic(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for data in source:
            for at in range(0, len(data), size_bytes):
                yield data[at : at + size_bytes]
                await asyncio.sleep(gap_s)

    return toxic


def limit_data(max_bytes: int) -> Toxic:
    """Pass this many bytes, then end the stream (FIN)."""

    async def toxic(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        left = max_bytes
        async for data in source:
            if len(data) >= left:
                if left:
                    yield data[:left]
                return
            left -= len(data)
            yield data

    return toxic

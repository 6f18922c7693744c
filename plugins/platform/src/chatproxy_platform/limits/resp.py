"""RespConnection: Redis's protocol, as much of it as calling a script needs.

Commands are arrays of byte strings; answers are simple strings, errors, integers and byte strings. redis-py does more,
and takes three to eight times the time for it.

Source: Redis serialization protocol specification, RESP2.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from chatproxy_platform.limits.address import RedisAddress

_MAX_ANSWER_BYTES = 16 << 20

Heard = Callable[["bytes | Exception"], None]


class RedisError(Exception):
    """Redis refused a command; the text begins with its code, for example ``NOSCRIPT``."""


class RespConnection(asyncio.Protocol):
    """One connection; answers come in the order of commands."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._waiting: deque[Heard] = deque()
        self._data = bytearray()
        self._is_lost = False

    def send(self, command: Sequence[bytes], heard: Heard) -> None:
        """Send a command.

        Args:
            heard: called once with the answer, `RedisError` where it was refused, `ConnectionError` where the
                connection is lost; not after `close`.
        """
        if self._transport is None or self._is_lost:
            heard(ConnectionResetError("the connection to Redis is lost"))
            return
        self._waiting.append(heard)
        pieces = [b"*%d\r\n" % len(command)]
        pieces += [b"$%d\r\n%b\r\n" % (len(each), each) for each in command]
        self._transport.write(b"".join(pieces))

    def ask(self, *command: str) -> asyncio.Future[bytes]:
        """Send a command and wait for its answer; raises what `send` tells."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.send([each.encode() for each in command], partial(_put, answer))
        return answer

    def close(self) -> None:
        """Give it up at once; nobody hears of it."""
        self._waiting.clear()
        self._is_lost = True
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what still waits."""
        self._is_lost = True
        waiting, self._waiting = self._waiting, deque()
        for heard in waiting:
            heard(ConnectionResetError("the connection to Redis is lost"))

    def data_received(self, data: bytes) -> None:
        """Give what is complete."""
        self._data += data
        try:
            while self._data and not self._is_lost and (found := self._next()) is not None:
                answer, size = found
                del self._data[:size]
                self._waiting.popleft()(answer)
        except (ValueError, IndexError):  # not RESP, or more than was asked for
            if self._transport is not None:
                self._transport.abort()

    def _next(self) -> tuple[bytes | Exception, int] | None:
        """One answer and its size; None where it is not complete."""
        data = self._data
        end = data.find(b"\r\n")
        if end < 0:
            return None
        kind, line = bytes(data[:1]), bytes(data[1:end])
        if kind == b"$" and line != b"-1":
            size, begin = int(line), end + 2
            if not 0 <= size <= _MAX_ANSWER_BYTES:
                raise ValueError
            whole = begin + size + 2
            return (bytes(data[begin : begin + size]), whole) if len(data) >= whole else None
        if kind not in {b"+", b"-", b":", b"$"}:
            raise ValueError
        return RedisError(line.decode("utf-8", "replace")) if kind == b"-" else line, end + 2


def _put(future: asyncio.Future[bytes], answer: bytes | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, bytes):
        future.set_result(answer)
    else:
        future.set_exception(answer)


async def connect(address: RedisAddress) -> RespConnection:
    """A connection that is ready for commands.

    Raises:
        OSError: it could not be made; `RedisError`: the credentials or the database were refused.
    """
    loop = asyncio.get_running_loop()
    connection: RespConnection
    if address.path is not None:
        _, connection = await loop.create_unix_connection(RespConnection, address.path)
    else:
        _, connection = await loop.create_connection(RespConnection, address.host, address.port, ssl=address.tls)
    try:
        for command in address.greeting():
            await connection.ask(*command)
    except BaseException:
        connection.close()
        raise
    return connection

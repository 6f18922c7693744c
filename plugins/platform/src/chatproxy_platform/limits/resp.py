"""RespConnection: Redis's protocol, as much of it as calling a script needs.

Commands are arrays of byte strings; answers are simple strings, errors, integers and byte strings. redis-py does more,
and takes three to eight times the time for it.

Source: Redis serialization protocol specification, RESP2.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from chatproxy_platform.limits.address import RedisAddress

_MAX_ANSWER_BYTES = 16 << 20


class RedisError(Exception):
    """Redis refused a command; the text begins with its code, for example ``NOSCRIPT``."""


class RespConnection(asyncio.Protocol):
    """One connection; answers come in the order of commands."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._data = bytearray()
        self._is_lost = False

    def ask(self, *command: bytes) -> asyncio.Future[bytes]:
        """Send a command. The answer's future may be cancelled; its answer is passed over then.

        Raises:
            ConnectionError: in the future: the connection was lost; `RedisError`: the command was refused.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._transport is None or self._is_lost:
            answer.set_exception(ConnectionResetError("the connection to Redis is lost"))
            return answer
        self._waiting.append(answer)
        pieces = [b"*%d\r\n" % len(command)]
        pieces += [b"$%d\r\n%b\r\n" % (len(each), each) for each in command]
        self._transport.write(b"".join(pieces))
        return answer

    def close(self) -> None:
        """Give it up at once."""
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what still waits."""
        self._is_lost = True
        while self._waiting:
            self._give(ConnectionResetError("the connection to Redis is lost"))

    def data_received(self, data: bytes) -> None:
        """Give what is complete."""
        self._data += data
        try:
            while self._data and (size := self._next()):
                del self._data[:size]
        except (ValueError, IndexError):  # not RESP, or more than was asked for
            self.close()

    def _next(self) -> int:
        """Give one answer, if it is complete: its size; else 0."""
        data = self._data
        end = data.find(b"\r\n")
        if end < 0:
            return 0
        kind, line = bytes(data[:1]), bytes(data[1:end])
        if kind == b"$" and line != b"-1":
            size, begin = int(line), end + 2
            if not 0 <= size <= _MAX_ANSWER_BYTES:
                raise ValueError
            if len(data) < begin + size + 2:
                return 0
            self._give(bytes(data[begin : begin + size]))
            return begin + size + 2
        if kind not in {b"+", b"-", b":", b"$"}:
            raise ValueError
        self._give(RedisError(line.decode("utf-8", "replace")) if kind == b"-" else line)
        return end + 2

    def _give(self, answer: bytes | Exception) -> None:
        future = self._waiting.popleft()
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
            await connection.ask(*(each.encode() for each in command))
    except BaseException:
        connection.close()
        raise
    return connection

"""RedisLink: one connection to Redis, and one script that is called on it, within a deadline.

Rule: no task waits for an answer; the transport calls back, which costs half of what a task does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha1
from typing import NamedTuple

from chatproxy_platform.limits.address import parse_redis_url
from chatproxy_platform.limits.resp import Heard, RedisError, RespConnection, connect

Pack = Callable[[int], bytes]


class RedisLink:
    """Connects when it is first needed, and again after each failure; one call at a time.

    Attributes:
        epoch: number of the connection; what an earlier one still has on its way is refused by its lower number.
    """

    def __init__(self, url: str, script: str) -> None:
        self.epoch = 0
        self._address = parse_redis_url(url)
        self._script = script.encode()
        self._digest = sha1(self._script, usedforsecurity=False).hexdigest().encode()
        self._connection: RespConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._is_new = False
        self._call: _Call | None = None

    def call(self, arguments: tuple[bytes, ...], pack: Pack, heard: Heard, *, until_s: float) -> None:
        """Run the script; once more on a new connection where the old one had been closed by the other side.

        Args:
            arguments: the number of keys, the keys, and what goes before the last argument.
            pack: makes the last argument for an epoch.
            heard: called once with the answer, or with `RedisError` (it refused), `OSError` (it could not be reached),
                `TimeoutError` (no answer at ``until_s`` of the loop's clock). The connection is given up then.
        """
        timer = asyncio.get_running_loop().call_at(until_s, self._end, TimeoutError())
        self._call = _Call(arguments, pack, heard, timer)
        self._is_new = self._connection is None
        if self._connection is None:
            self._connect()
        else:
            self._send(b"EVALSHA", self._digest)

    def close(self) -> None:
        """End; nobody hears of a call that has no answer yet."""
        if self._call is not None:
            self._call.timer.cancel()
            self._call = None
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        connecting, self._connecting = self._connecting, None
        if connection is not None:
            connection.close()
        if connecting is not None:
            connecting.cancel()

    def _connect(self) -> None:
        self.epoch += 1
        self._is_new = True
        self._connecting = asyncio.create_task(self._connected(), name="platform-limits-connect")

    async def _connected(self) -> None:
        try:
            connection = await connect(self._address)
        except (RedisError, OSError) as exc:
            self._connecting = None
            self._end(exc)
            return
        self._connecting = None
        self._connection = connection
        self._send(b"EVALSHA", self._digest)

    def _send(self, command: bytes, script: bytes) -> None:
        if self._call is not None and self._connection is not None:
            packed = self._call.pack(self.epoch)
            self._connection.send((command, script, *self._call.arguments, packed), self._heard)

    def _heard(self, answer: bytes | Exception) -> None:
        if isinstance(answer, RedisError) and str(answer).startswith("NOSCRIPT"):
            self._send(b"EVAL", self._script)
        elif isinstance(answer, ConnectionError) and not self._is_new:
            self._drop()
            self._connect()
        else:
            self._end(answer)

    def _end(self, answer: bytes | Exception) -> None:
        if self._call is None:
            return
        call, self._call = self._call, None
        call.timer.cancel()
        if not isinstance(answer, bytes):
            self._drop()
        call.heard(answer)


class _Call(NamedTuple):
    arguments: tuple[bytes, ...]
    pack: Pack
    heard: Heard
    timer: asyncio.TimerHandle

"""RedisLink: one connection to Redis, and one script that is called on it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoScriptError, RedisError, ResponseError

FAILURES = (RedisError, OSError)


class RedisLink:
    """Connects when it is first needed, and again after each failure.

    Attributes:
        epoch: number of the connection; what an earlier one still has on its way is refused by its lower number.
    """

    def __init__(self, url: str, script: str) -> None:
        self.epoch = 0
        self._pool = ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), protocol=2)
        self._script = script.encode()
        self._digest = sha1(self._script, usedforsecurity=False).hexdigest()
        self._connection: AbstractConnection | None = None

    async def call(self, keys: tuple[str, ...], prefix: str, pack: Callable[[int], bytes]) -> bytes:
        """Run the script; once more on a new connection where the old one had been closed by the other side.

        Args:
            pack: makes the last argument for an epoch.

        Raises:
            RedisError: it could not be reached, or refused; `OSError` likewise. The connection is given up then, as it
                is when the call is cancelled.
        """
        is_old = self._connection is not None
        try:
            return await self._call(keys, prefix, pack)
        except ConnectionLost:
            await self.drop()
            if not is_old:
                raise
        except BaseException:
            await self.drop()
            raise
        try:
            return await self._call(keys, prefix, pack)
        except BaseException:
            await self.drop()
            raise

    async def drop(self) -> None:
        """Give the connection up, without a farewell."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _call(self, keys: tuple[str, ...], prefix: str, pack: Callable[[int], bytes]) -> bytes:
        connection = self._connection or await self._connect()
        rest: tuple[str | bytes | int, ...] = (len(keys), *keys, prefix, pack(self.epoch))
        try:
            return await _ask(connection, "EVALSHA", self._digest, *rest)
        except NoScriptError:
            return await _ask(connection, "EVAL", self._script, *rest)

    async def _connect(self) -> AbstractConnection:
        self.epoch += 1
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        self._connection = connection
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection


async def _ask(connection: AbstractConnection, *command: str | bytes | int) -> bytes:
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    answer = await connection.read_response(disable_decoding=True)
    if not isinstance(answer, bytes):
        raise ResponseError("the script answered something else than bytes")
    return answer

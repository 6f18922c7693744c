"""RedisLink: one connection to Redis, and one script that is called on it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

from chatproxy_platform.limits.address import parse_redis_url
from chatproxy_platform.limits.resp import RedisError, RespConnection, connect

FAILURES = (RedisError, OSError)


class RedisLink:
    """Connects when it is first needed, and again after each failure.

    Attributes:
        epoch: number of the connection; what an earlier one still has on its way is refused by its lower number.
    """

    def __init__(self, url: str, script: str) -> None:
        self.epoch = 0
        self._address = parse_redis_url(url)
        self._script = script.encode()
        self._digest = sha1(self._script, usedforsecurity=False).hexdigest().encode()
        self._connection: RespConnection | None = None

    async def call(self, arguments: tuple[bytes, ...], pack: Callable[[int], bytes]) -> bytes:
        """Run the script; once more on a new connection where the old one had been closed by the other side.

        Args:
            arguments: the number of keys, the keys, and arguments but for the last.
            pack: makes the last one for an epoch.

        Raises:
            RedisError: it refused; OSError: it could not be reached. The connection is given up then, as it is when
                the call is cancelled.
        """
        if self._connection is not None:
            try:
                return await self._call(self._connection, arguments, pack)
            except ConnectionError:
                self.drop()
            except BaseException:
                self.drop()
                raise
        try:
            self.epoch += 1
            self._connection = await connect(self._address)
            return await self._call(self._connection, arguments, pack)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Give the connection up, without a farewell."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _call(
        self, connection: RespConnection, arguments: tuple[bytes, ...], pack: Callable[[int], bytes]
    ) -> bytes:
        packed = pack(self.epoch)
        try:
            return await connection.ask(b"EVALSHA", self._digest, *arguments, packed)
        except RedisError as exc:
            if not str(exc).startswith("NOSCRIPT"):
                raise
        return await connection.ask(b"EVAL", self._script, *arguments, packed)

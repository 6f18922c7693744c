"""RedisLink: one connection to Redis, and one script that is called on it, within a deadline.

redis-py's connections are used directly: its client takes each of them out of a pool for every command, and retries by
itself, which a reservation must not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

Pack = Callable[[int], bytes]
Heard = Callable[["bytes | Exception"], None]
_ALIASES = {"valkey://": "redis://", "valkeys://": "rediss://"}


class RedisLink:
    """Connects when it is first needed, and again after each failure; one call at a time.

    Attributes:
        epoch: number of the connection; what an earlier one still has on its way is refused by its lower number.

    Raises:
        ValueError: the URL is none of Redis.
    """

    def __init__(self, url: str, script: str) -> None:
        self.epoch = 0
        never = Retry(NoBackoff(), 0)
        self._pool: Any = ConnectionPool.from_url(_known(url), protocol=2, retry=never, socket_timeout=None)
        self._script = script
        self._digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._connection: AbstractConnection | None = None
        self._task: asyncio.Task[None] | None = None

    def call(self, arguments: tuple[bytes, ...], pack: Pack, heard: Heard, *, until_s: float) -> None:
        """Run the script; once more on a new connection where the old one had been closed by the other side.

        Args:
            arguments: the number of keys, the keys, and what goes before the last argument.
            pack: makes the last argument for an epoch.
            heard: called once with the answer, or with `RedisError` (it refused), `OSError` (it could not be reached),
                `TimeoutError` (no answer at ``until_s`` of the loop's clock). The connection is given up then.
        """
        work = self._run(arguments, pack, heard, until_s)
        self._task = asyncio.get_running_loop().create_task(work, name="platform-limits-call")

    async def aclose(self) -> None:
        """End; nobody hears of a call that has no answer yet."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._drop()

    async def _run(self, arguments: tuple[bytes, ...], pack: Pack, heard: Heard, until_s: float) -> None:
        answer: bytes | Exception = ConnectionAbortedError("the call of the script failed")
        try:
            async with asyncio.timeout_at(until_s):
                answer = await self._ask(arguments, pack)
        except (RedisError, OSError, TimeoutError) as exc:
            await self._drop()
            answer = exc
        except asyncio.CancelledError:
            heard = _ignore
            raise
        finally:
            heard(answer)  # whatever happens: who waits for it would wait for ever

    async def _ask(self, arguments: tuple[bytes, ...], pack: Pack) -> bytes:
        kept = self._connection
        if kept is not None:
            try:
                return await self._evaluate(kept, arguments, pack(self.epoch))
            except RedisConnectionError:
                await self._drop()
        return await self._evaluate(await self._connect(), arguments, pack(self.epoch))

    async def _connect(self) -> AbstractConnection:
        self.epoch += 1
        made: Any = self._pool.make_connection()  # redis-py types its method `connect` for plain connections only
        connection: AbstractConnection = made
        self._connection = connection
        await made.connect()
        return connection

    async def _evaluate(self, connection: AbstractConnection, arguments: tuple[bytes, ...], packed: bytes) -> bytes:
        try:
            return await _answer(connection, "EVALSHA", self._digest, *arguments, packed)
        except NoScriptError:
            return await _answer(connection, "EVAL", self._script, *arguments, packed)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _answer(connection: AbstractConnection, *command: str | bytes) -> bytes:
    try:
        await connection.send_command(*command)
    except RuntimeError as exc:  # what uvloop 0.23 raises for a transport that is closed, and redis-py 8 passes on
        raise RedisConnectionError("the connection to Redis is lost") from exc
    answer: bytes = await connection.read_response()
    return answer


def _ignore(_: bytes | Exception) -> None:
    """Nobody hears of it."""


def _known(url: str) -> str:
    for alias, name in _ALIASES.items():
        if url.startswith(alias):
            return name + url.removeprefix(alias)
    return url

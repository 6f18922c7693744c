"""StateStore: the core's `SessionStore` in the database, so that state outlives the process and is shared by nodes.

Rule: who holds a lock on a key holds a lease on it in the database, and renews it as long as it lives; the lease of a
process that died runs out. Within a process tasks get the lock in the order they asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import BigInteger, cast, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from chatproxy_platform.clock import MICRO, now_us
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import State, StateLock

TTL_S = 30 * 24 * 3600.0
LEASE_S = 10.0
LONGEST_WAIT_S = 60.0
_SWEEP_S = 300.0
_SWEPT_AT_ONCE = 500
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.005, 0.1
_LONGEST = {"namespace": 100, "key": 400}
Place = tuple[str, str]

logger = logging.getLogger("chatproxy.platform")


class StateStore:
    """`SessionStore` over a database.

    Args:
        ttl_s: how long a value lives that was stored without a time of its own.
        lease_s: after which a dead process's lock is free.

    Attributes:
        database: it is opened and closed by whoever made it.
    """

    durable = True

    def __init__(self, database: Database, *, ttl_s: float = TTL_S, lease_s: float = LEASE_S) -> None:
        self.database = database
        self._ttl_s = ttl_s
        self._lease_s = lease_s
        self._locks: dict[Place, _LocalLock] = {}
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def lock_count(self) -> int:
        """How many keys are locked or waited for in this process."""
        return len(self._locks)

    async def open(self) -> None:
        """Have what is over removed from time to time, until `aclose`."""
        self._sweeper = asyncio.create_task(self._keep_sweeping(), name="platform-state-sweep")

    async def aclose(self) -> None:
        """Stop removing."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The stored value; None where there is none or its time is over."""
        namespace, key = _fitting(namespace, key)
        found = select(State.value).where(State.namespace == namespace, State.key == key, State.expires_at > now_us())
        async with self.database.read() as session:
            value: bytes | None = await session.scalar(found)
            return value

    async def put(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, replacing an earlier one; ``ttl_s`` None: the store's own, 0 or less: remove it."""
        if ttl_s is not None and ttl_s <= 0:
            await self.delete(namespace, key)
            return
        namespace, key = _fitting(namespace, key)
        now = now_us()
        row = {"value": value, "expires_at": _later(now, self._ttl_s if ttl_s is None else ttl_s), "updated_at": now}
        statement = self._insert(State).values(namespace=namespace, key=key, **row)
        async with self.database.write() as session:
            await session.execute(statement.on_conflict_do_update(index_elements=["namespace", "key"], set_=row))

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove a value; whether there was one whose time was not over."""
        namespace, key = _fitting(namespace, key)
        gone = delete(State).where(State.namespace == namespace, State.key == key).returning(State.expires_at)
        async with self.database.write() as session:
            expires_at = await session.scalar(gone)
        return expires_at is not None and expires_at > now_us()

    @asynccontextmanager
    async def lock(self, namespace: str, key: str) -> AsyncIterator[None]:
        """Held by one task of all processes at a time for this key; it is not reentrant.

        Raises:
            StorageUnavailable: the database fails, or another process holds it for over a minute (503).
        """
        place = _fitting(namespace, key)
        local = self._locks.setdefault(place, _LocalLock())
        local.users += 1
        try:
            async with local.lock, self._lease(place):
                yield
        finally:
            local.users -= 1
            if local.users == 0:
                del self._locks[place]

    async def sweep(self) -> int:
        """Remove values whose time is over, and leases of dead processes; how many values."""
        removed = 0
        while True:
            async with self.database.write() as session:
                count = await self._sweep_some(session)
            removed += count
            if count < _SWEPT_AT_ONCE:
                return removed

    async def _sweep_some(self, session: AsyncSession) -> int:
        now = now_us()
        place = tuple_(State.namespace, State.key)
        over = select(State.namespace, State.key).where(State.expires_at <= now).limit(_SWEPT_AT_ONCE)
        gone = await session.execute(delete(State).where(place.in_(over), State.expires_at <= now).returning(State.key))
        await session.execute(delete(StateLock).where(StateLock.until < self._now() - int(self._lease_s * MICRO)))
        return len(gone.all())

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await self.sweep()
            except StorageUnavailable:
                logger.debug("what is over was not removed: the database does not answer")

    # -- leases --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _lease(self, place: Place) -> AsyncIterator[None]:
        holder = secrets.token_hex(16)
        try:
            await self._take(place, holder)
            renewing = asyncio.create_task(self._keep_renewing(place, holder), name="platform-state-lease")
            try:
                yield
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
        finally:  # also of a lease that was being taken
            await self._release(place, holder)

    async def _take(self, place: Place, holder: str) -> None:
        pause_s = _FIRST_PAUSE_S
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                while not await self._taken(place, holder):
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        except TimeoutError as exc:
            raise StorageUnavailable("Another process holds what is needed here; try again soon.") from exc

    async def _taken(self, place: Place, holder: str) -> bool:
        row = {"holder": holder, "until": self._now() + int(self._lease_s * MICRO)}
        statement = self._insert(StateLock).values(namespace=place[0], key=place[1], **row)
        statement = statement.on_conflict_do_update(
            index_elements=["namespace", "key"], set_=row, where=StateLock.until < self._now()
        )
        async with self.database.write() as session:
            found = await session.scalar(statement.returning(StateLock.holder))
        return found == holder

    async def _keep_renewing(self, place: Place, holder: str) -> None:
        until = self._now() + int(self._lease_s * MICRO)
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                async with self.database.write() as session:
                    await session.execute(update(StateLock).where(*_held(place, holder)).values(until=until))
            except StorageUnavailable:
                logger.warning("a lock was not renewed: the database does not answer")

    async def _release(self, place: Place, holder: str) -> None:
        try:
            async with self.database.write() as session:
                await session.execute(delete(StateLock).where(*_held(place, holder)))
        except StorageUnavailable:
            logger.warning(
                "a lock was not given back, and is free in %.0f s: the database does not answer", self._lease_s
            )

    def _now(self) -> ColumnElement[int]:
        """The database's own time: the clocks of nodes differ."""
        if self.database.is_sqlite:
            return literal(now_us(), BigInteger)
        return cast(func.extract("epoch", func.clock_timestamp()) * MICRO, BigInteger)


class _LocalLock:
    """A lock with the number of tasks that hold it or wait for it, so that the last one removes it."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


def _held(place: Place, holder: str) -> list[Any]:
    return [StateLock.namespace == place[0], StateLock.key == place[1], StateLock.holder == holder]


def _later(now: int, seconds: float) -> int:
    return now + int(min(seconds * MICRO, 1 << 61))


def _fitting(namespace: str, key: str) -> Place:
    """Both as the columns take them; a key that is too long, or holds what a database does not, by its hash."""
    if len(key) > _LONGEST["key"] or "\0" in key or not key.isascii():
        key = "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return namespace[: _LONGEST["namespace"]], key

"""Database: every piece of work on the database goes through here, within a deadline and behind a breaker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from chatproxy.errors import ConfigError
from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.breaker import Breaker, State
from chatproxy_platform.storage.engines import Engines, complete
from chatproxy_platform.storage.failures import FAILURES, describe, judge
from chatproxy_platform.storage.tables import Base

Prepare = Callable[["Database"], Awaitable[None]]
logger = logging.getLogger("chatproxy.platform")


class Database:
    """The database of one application.

    Args:
        url: ``sqlite:///file``, ``postgresql://…``, with or without a driver for asyncio.

    Attributes:
        url: with its driver; its password is not shown.
        is_sqlite: one file, one writer at a time.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, config: DatabaseConfig | None = None) -> None:
        self.url = complete(url)
        self.config = config or DatabaseConfig()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engines = Engines(self.url, self.config)
        self._sessions = async_sessionmaker(expire_on_commit=False)
        self._breaker = Breaker(self.config.failures_to_open, self.config.cooling_s)
        self._writer: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.is_sqlite else nullcontext()
        self._preparing: asyncio.Task[None] | None = None
        self._schema = "ready"

    @property
    def state(self) -> State:
        """Of the breaker: ``closed`` is good."""
        return self._breaker.state

    @property
    def is_ready(self) -> bool:
        """Whether the schema is as `open` wants it; until then all work is refused."""
        return self._schema == "ready"

    def report(self) -> dict[str, Any]:
        """What ``/readyz`` says of it."""
        return {
            "kind": self.url.get_backend_name(),
            "state": self.state,
            "failures": self._breaker.failures,
            "schema": self._schema,
        }

    async def open(self, prepare: Prepare | None = None) -> None:
        """Have the schema prepared. Where the database does not answer, that is done when it does; `aclose` ends it.

        Args:
            prepare: `schema.prepare`; what else it raises than StorageUnavailable is passed on.
        """
        if prepare is None:
            return
        self._schema = "waiting for the database"
        try:
            await prepare(self)
        except StorageUnavailable as exc:
            logger.warning("the database does not answer at the start: %s", describe(exc.__cause__ or exc))
            self._preparing = asyncio.create_task(self._keep_preparing(prepare), name="platform-schema")
        else:
            self._schema = "ready"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session to read with. Each statement sees what is committed when it begins.

        Long results are read page by page, by key: there are no server-side cursors, and one deadline for all.

        Raises:
            StorageUnavailable: the database failed or did not answer in time (503).
        """
        async with self._guarded(), self._session(self.engines.read) as session:
            yield session

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncSession]:
        """A session whose work is one transaction, committed at the end; an exception takes it back.

        One within another waits for itself on SQLite: pass the session on instead.

        Args:
            durable: what is committed outlives a loss of power too (SQLite: ``synchronous=FULL``).

        Raises:
            StorageUnavailable: as `read`. The work may or may not be stored where the deadline passed in the commit.
            IntegrityError: SQLAlchemy's; a constraint is hurt.
            Unprocessable: a value cannot be stored, for example NUL in a text (422).
        """
        engine = self.engines.durable if durable else self.engines.write
        wait_s = self.config.busy_timeout_s if self.is_sqlite else None
        async with self._guarded(wait_s) as work, self._writer, self._session(engine) as session:
            if self.is_sqlite:
                await session.connection()  # begins, when others have ended
                work.begin(self.config.deadline_s)
            yield session
            await session.commit()

    async def create(self) -> None:
        """Make the tables that are missing; for tests."""
        async with self.engines.write.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._preparing is not None:
            self._preparing.cancel()
            with suppress(asyncio.CancelledError):
                await self._preparing
        try:
            async with asyncio.timeout(self.config.deadline_s):
                await self.engines.dispose()
        except TimeoutError:
            logger.warning("the database's connections did not close in time")

    async def _keep_preparing(self, prepare: Prepare) -> None:
        while not self.is_ready:
            await asyncio.sleep(self.config.cooling_s)
            try:
                await prepare(self)
            except StorageUnavailable as exc:
                logger.debug("the database still does not answer: %s", describe(exc.__cause__ or exc))
            except ConfigError as exc:
                self._schema = "refused"
                logger.error("the database cannot be used: %s", exc)  # noqa: TRY400 - the message says all
                return
            else:
                self._schema = "ready"
                logger.info("the database answers, and its schema is ready")

    # -- sessions ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        session = self._sessions(bind=engine)
        try:
            yield session
        finally:  # not shielded as SQLAlchemy's own way, for a connection whose closing is cancelled is thrown away
            await session.close()

    @asynccontextmanager
    async def _guarded(self, wait_s: float | None = None) -> AsyncIterator[_Work]:
        """A piece of work; ``wait_s``: how long it may wait for other writers before."""
        if not self.is_ready or not self._breaker.enter():
            raise StorageUnavailable
        work = _Work(self.config.deadline_s, wait_s)
        try:
            async with work.limit:
                yield work
        except TimeoutError as exc:
            if not work.limit.expired():
                raise
            if not work.is_waiting:
                self._failed(exc)
            raise StorageUnavailable from exc
        except FAILURES as exc:
            raise self._judged(exc) from exc
        else:
            if self._breaker.succeeded():
                logger.info("the database answers again")
        finally:
            self._breaker.left()

    def _judged(self, exc: Exception) -> Exception:
        verdict = judge(exc)
        if verdict.is_outage:
            self._failed(exc)
        elif verdict.is_defect:
            logger.error("the database refused a statement: %s", describe(exc))
        return verdict.error

    def _failed(self, exc: Exception) -> None:
        if self._breaker.failed():
            logger.warning("the database does not answer: %s", describe(exc))


class _Work:
    """The time that a piece of work has.

    Attributes:
        is_waiting: for other writers, which says nothing about the database.
    """

    __slots__ = ("is_waiting", "limit")

    def __init__(self, deadline_s: float, wait_s: float | None) -> None:
        self.is_waiting = wait_s is not None
        self.limit = asyncio.timeout(deadline_s if wait_s is None else wait_s)

    def begin(self, deadline_s: float) -> None:
        """The wait is over; the work's own time begins."""
        self.is_waiting = False
        self.limit.reschedule(asyncio.get_running_loop().time() + deadline_s)

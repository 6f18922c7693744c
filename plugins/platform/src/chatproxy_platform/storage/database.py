"""Database: every piece of work on the database goes through here, within a deadline and behind a breaker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.tables import Base

logger = logging.getLogger("chatproxy.platform")


class Database:
    """The database of one application.

    Attributes:
        is_sqlite: one file, one writer at a time.
    """

    def __init__(self, url: str, config: DatabaseConfig | None = None) -> None:
        self.url = url
        self.config = config or DatabaseConfig()
        self.is_sqlite = url.startswith("sqlite")
        self._engine: AsyncEngine = create_async_engine(url)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", self._set_pragmas)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session to read with.

        Raises:
            StorageUnavailable: the database failed or did not answer in time (503).
        """
        async with self._guarded(), self._sessions() as session:
            yield session

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncSession]:
        """A session whose work is one transaction, committed at the end; an exception takes it back.

        Args:
            durable: what is committed outlives a loss of power too (SQLite: ``synchronous=FULL``).

        Raises:
            StorageUnavailable: as `read`. The work may or may not be stored where the deadline passed in the commit.
        """
        async with self._guarded(), self._sessions() as session, session.begin():
            if self.is_sqlite:
                await session.execute(text("BEGIN IMMEDIATE"))
            yield session

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.config.deadline_s):
                yield
        except (TimeoutError, OperationalError, DBAPIError) as exc:
            raise StorageUnavailable from exc

    async def create(self) -> None:
        """Make the tables that are missing; for tests."""
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    def _set_pragmas(self, connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"busy_timeout={int(self.config.busy_timeout_s * 1000)}",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

"""Engines: URLs, pools and connections. What is done with them is `database`'s."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chatproxy.errors import ConfigError
from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.storage import postgresql, sqlite

_SETTING = "plugins.platform.database_url"
_READERS = 4
_RECYCLE_S = 1800


class Engines:
    """The engines of one database.

    Attributes:
        read: each statement is a transaction of its own.
        write: a transaction begins with the first statement; on SQLite it is the only one that may write.
        durable: as ``write``; what it commits outlives a loss of power.
    """

    def __init__(self, url: URL, config: DatabaseConfig) -> None:
        self._url = url
        if url.get_backend_name() == "sqlite":
            self.read = self._sqlite(config, "NORMAL", is_writing=False)
            self.write = self._sqlite(config, "NORMAL", is_writing=True)
            self.durable = self._sqlite(config, "FULL", is_writing=True)
        else:
            self.write = self.durable = self._postgresql(config)
            self.read = self.write.execution_options(isolation_level="AUTOCOMMIT")

    async def dispose(self) -> None:
        """Close all connections that nobody uses."""
        for engine in {self.write, self.durable, self.read}:
            await engine.dispose()

    def _sqlite(self, config: DatabaseConfig, synchronous: str, *, is_writing: bool) -> AsyncEngine:
        wait_ms = sqlite.BUSY_MS if is_writing else int(min(config.busy_timeout_s, config.deadline_s) * 1000)
        pragmas = [f"busy_timeout={wait_ms}", "journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"]
        options: dict[str, Any] = {}
        if not is_writing:
            pragmas.append("query_only=ON")
            options = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
        engine = self._engine(
            connect_args={"async_creator_fn": sqlite.connect, "pragmas": pragmas},
            pool_size=1 if is_writing else _READERS,
            **options,
        )
        if is_writing:
            event.listen(engine.sync_engine, "begin", sqlite.begin)
        return engine

    def _postgresql(self, config: DatabaseConfig) -> AsyncEngine:
        driver = self._url.get_driver_name()
        engine = self._engine(
            connect_args=postgresql.connect_arguments(driver),
            pool_size=config.pool_size,
            pool_recycle=_RECYCLE_S,
            skip_autocommit_rollback=driver == "psycopg",
        )
        event.listen(engine.sync_engine, "connect", postgresql.prepare(config))
        event.listen(engine.sync_engine, "checkout", postgresql.refuse_dead)
        return engine

    def _engine(self, *, skip_autocommit_rollback: bool = False, **options: Any) -> AsyncEngine:
        engine = create_async_engine(
            self._url,
            hide_parameters=True,
            max_overflow=0,
            json_serializer=_to_json,
            json_deserializer=_from_json,
            pool_use_lifo=True,
            **options,
        )
        engine.dialect.skip_autocommit_rollback = skip_autocommit_rollback
        return engine


def complete(text: str) -> URL:
    """The URL of a database with its driver for asyncio.

    Raises:
        ConfigError: it cannot be read, names another kind of database, or the driver is not installed. The message
            holds nothing of the URL, for a password may stand in it.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError(f"{_SETTING}: not a URL as SQLAlchemy reads them, for example sqlite:///file.db") from None
    backend, _, driver = url.drivername.partition("+")
    if backend == "sqlite":
        return _sqlite_url(url)
    if backend in ("postgresql", "postgres"):
        name = "psycopg" if driver.startswith("psycopg") else driver or None
        if name not in (*postgresql.DRIVERS, None):
            raise ConfigError(f"{_SETTING}: the driver {driver} cannot be used; use psycopg or asyncpg")
        return url.set(drivername=f"postgresql+{postgresql.driver_of(name)}")
    raise ConfigError(f"{_SETTING}: {backend} cannot be used; use SQLite or PostgreSQL")


def _sqlite_url(url: URL) -> URL:
    if url.database in (None, "", ":memory:") or "mode=memory" in str(url.query):
        raise ConfigError(f"{_SETTING}: SQLite needs a file, for example sqlite:///chatproxy.db")
    return url.set(drivername="sqlite+aiosqlite")


def _to_json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, ValueError):  # integers beyond 64 bits, halves of characters
        return json.dumps(value)


def _from_json(text: str | bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:  # halves of characters
        return json.loads(text)

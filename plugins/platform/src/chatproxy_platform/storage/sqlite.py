"""SQLite: how its connections are made. A statement is one hand-over to the connection's thread.

SQLAlchemy 2.0.58's adaptation of aiosqlite 0.22 hands over four times for a statement (cursor, execute, fetchall,
close), which costs more than the statement; `Connection` does all of it in one.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import Connection as SyncConnection
from sqlalchemy.util.concurrency import await_only

BUSY_MS = 100
"""How long SQLite itself waits for another writer; a longer wait would outlive the task that waits."""

_BEGIN = "BEGIN IMMEDIATE"
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
Parameters = Sequence[Any]


class Connection(aiosqlite.Connection):
    """A connection whose running statement ends when the task that waits for it is cancelled."""

    _is_settled = True
    """False: nobody knows whether a statement that nobody waited for began a transaction."""

    async def cursor(self) -> Cursor:  # type: ignore[override]  # SQLAlchemy only awaits it
        """A cursor; it costs nothing."""
        return Cursor(self)

    async def rollback(self) -> None:
        """Roll back, where there is something to."""
        if self._conn.in_transaction or not self._is_settled:
            await super().rollback()
            self._is_settled = True

    async def begin(self) -> None:
        """Begin to write, as soon as no other process does; wait as long as it takes."""
        while True:
            try:
                await self.run(_BEGIN)
                return
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode & 0xFF not in _BUSY:
                    raise

    async def run(self, sql: str, parameters: Parameters = ()) -> _Outcome:
        """Execute a statement and fetch what it returns."""
        return await self._run(partial(_run, self._conn, sql, parameters))

    async def run_many(self, sql: str, parameters: Iterable[Parameters]) -> _Outcome:
        """Execute a statement for each of many parameters."""
        return await self._run(partial(_run_many, self._conn, sql, parameters))

    async def _run(self, work: partial[_Outcome]) -> _Outcome:
        connection = self._conn
        try:
            outcome: _Outcome = await self._execute(work)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            self._is_settled = False
            connection.interrupt()
            raise
        except OverflowError as exc:
            raise sqlite3.DataError(str(exc)) from exc
        return outcome


class _Outcome:
    __slots__ = ("description", "lastrowid", "rowcount", "rows")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self.rows = [] if cursor.description is None else cursor.fetchall()
        self.lastrowid = cursor.lastrowid
        self.rowcount = cursor.rowcount
        cursor.close()


class Cursor:
    """What SQLAlchemy uses of aiosqlite's cursor."""

    __slots__ = ("_connection", "_outcome")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outcome: _Outcome

    async def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Execute a statement and keep its rows."""
        self._outcome = await self._connection.run(sql, parameters)

    async def executemany(self, sql: str, parameters: Iterable[Parameters]) -> None:
        """Execute a statement for each of many parameters."""
        self._outcome = await self._connection.run_many(sql, parameters)

    async def fetchall(self) -> list[Any]:
        """The rows."""
        return self._outcome.rows

    async def close(self) -> None:
        """Nothing is left to be closed."""

    @property
    def description(self) -> Any:
        """Of the columns; None where the statement returns no rows."""
        return self._outcome.description

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return self._outcome.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The number of the row that was inserted last."""
        return self._outcome.lastrowid


def connect(database: str, *, pragmas: Sequence[str], **arguments: Any) -> Connection:
    """A connection that opens when it is awaited, with these pragmas; SQLAlchemy's ``async_creator_fn``."""
    connection = Connection(partial(_connect, database, pragmas, arguments), iter_chunk_size=64)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does where it makes the connection
    return connection


def begin(connection: SyncConnection) -> None:
    """SQLAlchemy's event ``begin`` of connections that write."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, Connection)  # noqa: S101 - for the type
    await_only(driver.begin())


def _connect(database: str, pragmas: Sequence[str], arguments: dict[str, Any]) -> sqlite3.Connection:
    if not arguments.get("uri"):
        _make(database)
    connection: sqlite3.Connection = sqlite3.connect(database, cached_statements=512, isolation_level=None, **arguments)
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _make(database: str) -> None:
    """Make the file of a new database, which nobody else may read; SQLite gives its other files the same mode.

    One that is there must not be opened: closing it gives up the locks of this process's connections, and another
    process that takes itself for the only one damages the database.
    Source: SQLite, "How To Corrupt An SQLite Database File", 2.2 "Posix advisory locks canceled by a separate thread
    doing close()".
    """
    with suppress(FileExistsError):
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _run(connection: sqlite3.Connection, sql: str, parameters: Parameters) -> _Outcome:
    return _Outcome(connection.execute(sql, parameters))


def _run_many(connection: sqlite3.Connection, sql: str, parameters: Iterable[Parameters]) -> _Outcome:
    return _Outcome(connection.executemany(sql, parameters))

"""Failures: what an exception says of the database, and what its caller gets.

Rule: no I/O and no await here. A message never holds the values of a statement.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chatproxy_platform.errors import StorageUnavailable, Unprocessable

FAILURES = (DBAPIError, sqlite3.Error, OSError, PoolTimeout, UnicodeEncodeError)
_MOST_CHARACTERS = 300
# Classes of SQLSTATE that say nothing about the database's health: conflicts of transactions, faults of statements.
_ANSWERS = ("40", "42")


class Verdict(NamedTuple):
    """What becomes of a failure.

    Attributes:
        error: for the caller.
        is_outage: whether it says that the database is down; all else is an answer of a database that works.
        is_defect: whether a statement was wrong: the schema is not the code's, or the code is.
    """

    error: Exception
    is_outage: bool = False
    is_defect: bool = False


def judge(exc: Exception) -> Verdict:
    """What a failure of a statement, a connection or the pool means."""
    if isinstance(exc, IntegrityError):
        return Verdict(exc)
    if isinstance(exc, (DataError, UnicodeEncodeError)) or _sqlstate(exc).startswith("22"):  # asyncpg has no DataError
        return Verdict(Unprocessable("A value cannot be stored: it holds what a database has no room for."))
    if isinstance(exc, ProgrammingError) or _sqlstate(exc).startswith(_ANSWERS) or _is_fault_in_sqlite(exc):
        return Verdict(StorageUnavailable(), is_defect=not _sqlstate(exc).startswith("40"))
    return Verdict(StorageUnavailable(), is_outage=True)


def describe(exc: BaseException) -> str:
    """One line for the log."""
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    text = " ".join(str(cause).split()) or "no answer in time"
    return f"{type(cause).__name__}: {text[:_MOST_CHARACTERS]}"


def _sqlstate(exc: Exception) -> str:
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return getattr(cause, "sqlstate", None) or ""


def _is_fault_in_sqlite(exc: Exception) -> bool:
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR

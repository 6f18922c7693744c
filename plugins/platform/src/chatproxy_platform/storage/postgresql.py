"""PostgreSQL: how its connections are made, with psycopg or asyncpg.

Both drivers end a statement politely when the task that waits for it is cancelled, which takes seconds where the
server does not answer (psycopg 3.3 up to 10 s, asyncpg 0.32 up to 2 s). `postgresql_psycopg` and `postgresql_asyncpg`
close the connection at once instead; the server's ``statement_timeout`` ends what still runs there.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sqlalchemy.exc import DisconnectionError

from chatproxy.errors import ConfigError
from chatproxy_platform.config import DatabaseConfig

DRIVERS = ("psycopg", "asyncpg")


def driver_of(name: str | None) -> str:
    """The driver that is asked for, or else the first one that is installed.

    Raises:
        ConfigError: it is not installed.
    """
    found = next((driver for driver in DRIVERS if name in (driver, None) and find_spec(driver) is not None), None)
    if found is not None:
        return found
    extra = "asyncpg" if name == "asyncpg" else "postgresql"
    raise ConfigError(
        f"plugins.platform.database_url: the driver {name or DRIVERS[0]} of PostgreSQL is not installed; "
        f"pip install 'chatproxy-platform[{extra}]'"
    )


def connect_arguments(driver: str) -> dict[str, Any]:
    """What SQLAlchemy passes to the driver, beside what the URL says."""
    module = import_module(f"{__package__}.postgresql_{driver}")
    return {"async_creator_fn": module.connect}


def prepare(config: DatabaseConfig) -> Callable[[Any, Any], None]:
    """For the pool's event ``connect``: have the server itself end what takes too long."""
    limit_ms = int(config.deadline_s * 1000)

    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(
            f"SELECT set_config('statement_timeout', '{limit_ms}', false), "
            f"set_config('idle_in_transaction_session_timeout', '{2 * limit_ms}', false)"
        )
        cursor.close()
        connection.commit()

    return on_connect


def refuse_dead(connection: Any, _record: Any, _proxy: Any) -> None:
    """For the pool's event ``checkout``: a connection that the server closed is replaced, without asking the server.

    Raises:
        DisconnectionError: the pool takes it as a wish for another connection.
    """
    if connection.driver_connection.is_dead():
        raise DisconnectionError


def has_input(file: int) -> bool:
    """Whether something came on the socket of an idle connection, which is the server's farewell."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))

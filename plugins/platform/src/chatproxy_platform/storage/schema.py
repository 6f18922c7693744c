"""Schema: brings a database's tables up to date, or says how they differ.

Rule: everything runs in one transaction in a thread and loop of its own, for alembic reads files. A process that dies
meanwhile leaves the schema as it was; two that start at once follow each other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from advanced_alchemy.alembic.commands import AlembicCommandConfig, AlembicCommands
from advanced_alchemy.config import AlembicAsyncConfig, SQLAlchemyAsyncConfig
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chatproxy.errors import ConfigError
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.engines import Engines
from chatproxy_platform.storage.failures import FAILURES, judge
from chatproxy_platform.storage.tables import Base

T = TypeVar("T")
WAIT_S = 60.0
"""For another process that changes the schema."""
LIMIT_S = 600.0
VERSION_TABLE = "platform_schema_version"
MIGRATIONS = Path(__file__).with_name("migrations")
_PREFIX = "platform_"
_one_at_a_time = threading.Lock()  # alembic 1.20 keeps what it works on in proxies of its module, for all threads
_LOCK = 0x63_68_61_74_70_72_6F_78  # "chatprox"


async def prepare(database: Database) -> None:
    """What ``migrate`` of the configuration wants; for `Database.open`.

    Raises:
        ConfigError: the schema is another one than this version's, and must not or cannot be changed.
        StorageUnavailable: the database does not answer.
    """
    if database.config.migrate == "auto":
        await upgrade(database)
    elif differences := await check(database):
        raise ConfigError(*(f"the database: {difference}" for difference in differences))


async def upgrade(database: Database) -> None:
    """Bring the schema up to date; raises as `prepare`."""
    await _run(database, _upgrade)


async def check(database: Database) -> list[str]:
    """How the schema differs from this version's; raises as `prepare`."""
    return await _run(database, _differences)


def script(database: Database, *, start: str | None = None) -> None:
    """Write the statements of an upgrade to standard output; the database is not asked.

    Args:
        start: the revision that the schema has; None: there are no tables yet.
    """
    config = _config(database.engines)
    dialect = config.engine.dialect.name
    config.attributes["options"] = {"dialect_name": dialect, "literal_binds": True, **_options(config)}
    command.upgrade(config, f"{start or 'base'}:head", sql=True)


async def _run(database: Database, work: Callable[[AlembicCommandConfig, Connection], T]) -> T:
    try:
        return await asyncio.to_thread(_alone, database, work)
    except FAILURES as exc:
        raise judge(exc).error from exc


def _alone(database: Database, work: Callable[[AlembicCommandConfig, Connection], T]) -> T:
    with _one_at_a_time:
        return asyncio.run(_apart(database, work))


async def _apart(database: Database, work: Callable[[AlembicCommandConfig, Connection], T]) -> T:
    engines = Engines(database.url, database.config)
    now = asyncio.get_running_loop().time
    limit = asyncio.timeout(database.config.deadline_s)
    try:
        async with limit, engines.durable.connect() as connection:
            limit.reschedule(now() + WAIT_S)
            async with connection.begin():
                await _lock(connection, is_sqlite=database.is_sqlite)
                limit.reschedule(now() + LIMIT_S)
                return await connection.run_sync(lambda sync: work(_config(engines), sync))
    except TimeoutError as exc:
        raise StorageUnavailable from exc
    finally:
        await engines.dispose()


async def _lock(connection: AsyncConnection, *, is_sqlite: bool) -> None:
    """Have one process at a time look and change; on SQLite the transaction does that."""
    if not is_sqlite:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _upgrade(config: AlembicCommandConfig, connection: Connection) -> None:
    script = _known(config, connection)
    if set(_heads(config, connection)) != set(script.get_heads()):
        config.attributes["options"] = {"connection": connection, **_options(config)}
        command.upgrade(config, "head")


def _differences(config: AlembicCommandConfig, connection: Connection) -> list[str]:
    script = _known(config, connection)
    found, wanted = _heads(config, connection), script.get_current_head()
    if found != (wanted,):
        return [f"its schema has revision {', '.join(found) or 'none'}, wanted {wanted}; run chatproxy db upgrade"]
    context = _context(config, connection)
    return [_described(difference) for difference in compare_metadata(context, Base.metadata)]


def _known(config: AlembicCommandConfig, connection: Connection) -> ScriptDirectory:
    """The revisions of this version.

    Raises:
        ConfigError: the schema has one that is not among them.
    """
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    if newer := set(_heads(config, connection)) - known:
        raise ConfigError(
            f"the database's schema has revision {', '.join(sorted(newer))}, which this version of "
            "chatproxy-platform does not know: it is newer; install the version that made it, or a later one"
        )
    return script


def _heads(config: AlembicCommandConfig, connection: Connection) -> tuple[str, ...]:
    return _context(config, connection).get_current_heads()


def _context(config: AlembicCommandConfig, connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts=_options(config))


def _options(config: AlembicCommandConfig) -> dict[str, Any]:
    return {
        "target_metadata": Base.metadata,
        "version_table": config.version_table_name,
        "compare_type": config.compare_type,
        "render_as_batch": config.render_as_batch,
        "include_object": _is_ours,
        "transactional_ddl": True,  # SQLite's too: its transaction was begun by us, not by the driver
    }


def _config(engines: Engines) -> AlembicCommandConfig:
    settings = SQLAlchemyAsyncConfig(
        engine_instance=engines.durable,
        bind_key="chatproxy_platform",
        metadata=Base.metadata,
        alembic_config=AlembicAsyncConfig(
            script_config="", script_location=str(MIGRATIONS), version_table_name=VERSION_TABLE, compare_type=True
        ),
    )
    config: AlembicCommandConfig = AlembicCommands(settings).config
    return config


def _is_ours(_: Any, name: str | None, kind: str, is_reflected: bool, __: Any) -> bool:
    """Other programs may use the same database."""
    return kind != "table" or not is_reflected or (name or "").startswith(_PREFIX)


def _described(difference: Any) -> str:
    kind, *what = difference[0] if isinstance(difference, list) else difference
    return f"{str(kind).replace('_', ' ')}: {' '.join(str(part) for part in what if part is not None)}"

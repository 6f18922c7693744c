"""Somebody changes the audit log in the database: it refuses, and who forces it is found out (D-07)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from chatproxy_platform.audit.chain import Head
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.ddl import append_only
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

MAKES_TABLES = True

ROWS = 1500


@pytest.fixture
async def log(database: Database) -> AsyncIterator[AuditLog]:
    """A log with some rows."""
    opened = AuditLog(database, AuditConfig())
    await opened.open()
    await opened.record(*(AuditEvent("key.created", "key", f"k{number}") for number in range(ROWS)))
    yield opened
    await opened.aclose()


async def force(database: Database, *statements: str) -> None:
    """Do what the triggers refuse, as who owns the tables can."""
    async with database.engines.write.begin() as connection:
        if database.is_sqlite:
            found = await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            for name in found.scalars().all():
                await connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            await connection.execute(text("ALTER TABLE platform_audit DISABLE TRIGGER ALL"))
            await connection.execute(text("ALTER TABLE platform_audit_head DISABLE TRIGGER ALL"))
        for statement in statements:
            await connection.execute(text(statement))


REFUSED = {
    "update": "UPDATE platform_audit SET action = 'key.read' WHERE seq = 700",
    "delete": "DELETE FROM platform_audit WHERE seq = 700",
    "delete all": "DELETE FROM platform_audit",
    "head back": "UPDATE platform_audit_head SET seq = 5",
    "head in place": "UPDATE platform_audit_head SET hash = ''",
    "head deleted": "DELETE FROM platform_audit_head",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_database_refuses_changes(database: Database, log: AuditLog, name: str) -> None:
    async with database.engines.write.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text(REFUSED[name]))
        await connection.rollback()
    verdict = await log.check()
    assert (verdict.rows, verdict.fault) == (ROWS, None)


async def test_row_cannot_be_replaced(database: Database, log: AuditLog) -> None:
    columns = "seq, id, timestamp, user_id, org_id, action, resource, resource_id, metadata, previous_hash, hash"
    verb, end = (
        ("INSERT OR REPLACE", "") if database.is_sqlite else ("INSERT", " ON CONFLICT (seq) DO UPDATE SET id = 'x'")
    )
    source = f"SELECT 700, 'x', {columns[9:]} FROM platform_audit WHERE seq = 5"  # noqa: S608 - no input
    async with database.engines.write.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text(f"{verb} INTO platform_audit ({columns}) {source}{end}"))
        await connection.rollback()
    assert await log.verify() is None


async def test_tables_cannot_be_truncated(database: Database, log: AuditLog) -> None:
    statement = "DELETE FROM platform_audit" if database.is_sqlite else "TRUNCATE platform_audit"
    async with database.engines.write.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text(statement))
        await connection.rollback()
    assert await log.verify() is None


FORCED: dict[str, tuple[list[str], int, str]] = {
    "edited": (["UPDATE platform_audit SET action = 'key.read' WHERE seq = 700"], 700, "changed"),
    "two edited": (["UPDATE platform_audit SET user_id = 'bob' WHERE seq IN (1200, 701)"], 701, "changed"),
    "null instead of nothing": (["UPDATE platform_audit SET org_id = '' WHERE seq = 1"], 1, "changed"),
    "deleted": (["DELETE FROM platform_audit WHERE seq = 700"], 700, "missing"),
    "first of a batch deleted": (["DELETE FROM platform_audit WHERE seq = 1001"], 1001, "missing"),
    "tail cut off": (["DELETE FROM platform_audit WHERE seq > 1499"], 1500, "missing"),
    "all deleted": (["DELETE FROM platform_audit"], 1, "missing"),
    "reordered": (
        [
            "UPDATE platform_audit SET seq = 9000 WHERE seq = 700",
            "UPDATE platform_audit SET seq = 700 WHERE seq = 800",
            "UPDATE platform_audit SET seq = 800 WHERE seq = 9000",
        ],
        700,
        "changed",
    ),
    "tail cut off with its head": (
        [
            "DELETE FROM platform_audit WHERE seq > 1000",
            "UPDATE platform_audit_head SET seq = 1000, hash = (SELECT hash FROM platform_audit WHERE seq = 1000)",
        ],
        1001,
        "missing",
    ),
    "head put back": (["UPDATE platform_audit_head SET seq = 1400"], 1401, "foreign"),
    "head deleted": (["DELETE FROM platform_audit_head"], ROWS, "head"),
    "head of another row": (["UPDATE platform_audit_head SET hash = ''"], ROWS, "changed"),
}


@pytest.mark.parametrize("name", FORCED)
async def test_first_bad_row_is_named(database: Database, log: AuditLog, name: str) -> None:
    statements, seq, kind = FORCED[name]
    before = await log.check()
    await force(database, *statements)
    fault = await log.verify(Head(before.rows, before.hash))
    assert fault is not None
    assert (fault.seq, fault.kind) == (seq, kind)


async def test_cutting_off_tail_and_head_needs_an_anchor_to_be_seen(database: Database, log: AuditLog) -> None:
    await force(database, *FORCED["tail cut off with its head"][0])
    assert await log.verify() is None


@pytest.mark.parametrize("column", ["action", "timestamp", "seq"])
async def test_value_of_another_type_is_a_fault(sqlite_url: str, column: str) -> None:
    database = Database(sqlite_url)
    await database.create()
    log = AuditLog(database, AuditConfig())
    await log.open()
    await log.record(AuditEvent("a", "r"), AuditEvent("b", "r"))
    await force(database, f"UPDATE platform_audit SET {column} = x'ff00' WHERE seq = 2")  # noqa: S608 - no input
    fault = await log.verify()
    assert fault is not None
    assert fault.seq == 2
    entries, _ = await log.page()
    assert entries[-1].shown()["action"] == "a"
    await log.aclose()
    await database.aclose()


async def test_log_with_a_foreign_row_is_not_continued(database: Database, log: AuditLog) -> None:
    """Nothing is written over it, and the act is refused."""
    await force(database, f"UPDATE platform_audit_head SET seq = {ROWS - 1}")  # noqa: S608 - no input
    with pytest.raises(StorageUnavailable):
        await log.record(AuditEvent("key.created", "key"))
    with pytest.raises(StorageUnavailable):
        async with database.write(durable=True) as session:
            await log.append(session, AuditEvent("key.created", "key"))
    assert log.report()["state"] == "failing"
    fault = await log.verify()
    assert fault is not None
    assert (fault.seq, fault.kind) == (ROWS, "foreign")


async def test_log_whose_head_was_deleted_goes_on_and_says_so(database: Database, log: AuditLog) -> None:
    await force(database, "DELETE FROM platform_audit_head")
    await log.record(AuditEvent("key.created", "key", "new"))
    last = await log.tail(2)
    assert [row.action for row in last] == ["audit.head_restored", "key.created"]
    assert last[0].shown()["metadata"] == {"seq": ROWS}
    assert await log.verify() is None


async def test_triggers_may_be_made_again(database: Database, log: AuditLog) -> None:
    async with database.engines.write.begin() as connection:
        for statement in append_only(connection.dialect.name):
            await connection.execute(text(statement))
    await log.record(AuditEvent("key.created", "key"))
    assert await log.verify() is None

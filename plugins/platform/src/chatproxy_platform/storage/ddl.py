"""What the database itself does to keep the audit log append-only: triggers, beside the tables.

Rule: texts only. Tables made by ``create_all`` get them by `keep_append_only`; the migration that makes the audit
tables executes `append_only` after them. They stop mistakes and borrowed credentials; who may drop a trigger is found
out by ``chatproxy audit verify``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, Table, event

# SQLite's REPLACE deletes rows without asking a trigger for DELETE; the triggers for INSERT are for that.
_SQLITE = """
CREATE TRIGGER IF NOT EXISTS platform_audit_update BEFORE UPDATE ON platform_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
--
CREATE TRIGGER IF NOT EXISTS platform_audit_delete BEFORE DELETE ON platform_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
--
CREATE TRIGGER IF NOT EXISTS platform_audit_insert BEFORE INSERT ON platform_audit
WHEN EXISTS (SELECT 1 FROM platform_audit WHERE seq = NEW.seq OR id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
--
CREATE TRIGGER IF NOT EXISTS platform_audit_head_update BEFORE UPDATE ON platform_audit_head
WHEN NEW.seq <= OLD.seq OR NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
--
CREATE TRIGGER IF NOT EXISTS platform_audit_head_delete BEFORE DELETE ON platform_audit_head
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
--
CREATE TRIGGER IF NOT EXISTS platform_audit_head_insert BEFORE INSERT ON platform_audit_head
WHEN EXISTS (SELECT 1 FROM platform_audit_head WHERE id = NEW.id)
BEGIN SELECT RAISE(IGNORE); END
"""
_POSTGRESQL = """
CREATE OR REPLACE FUNCTION platform_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege'; END $$
--
CREATE OR REPLACE TRIGGER platform_audit_change BEFORE UPDATE OR DELETE ON platform_audit
FOR EACH ROW EXECUTE FUNCTION platform_audit_refuse()
--
CREATE OR REPLACE TRIGGER platform_audit_truncate BEFORE TRUNCATE ON platform_audit
FOR EACH STATEMENT EXECUTE FUNCTION platform_audit_refuse()
--
CREATE OR REPLACE TRIGGER platform_audit_head_update BEFORE UPDATE ON platform_audit_head
FOR EACH ROW WHEN (NEW.seq <= OLD.seq OR NEW.id <> OLD.id) EXECUTE FUNCTION platform_audit_refuse()
--
CREATE OR REPLACE TRIGGER platform_audit_head_delete BEFORE DELETE ON platform_audit_head
FOR EACH ROW EXECUTE FUNCTION platform_audit_refuse()
--
CREATE OR REPLACE TRIGGER platform_audit_head_truncate BEFORE TRUNCATE ON platform_audit_head
FOR EACH STATEMENT EXECUTE FUNCTION platform_audit_refuse()
"""
_BY_DIALECT = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def append_only(dialect: str) -> list[str]:
    """Statements that follow the making of both tables; each may be repeated."""
    return [statement.strip() for statement in _BY_DIALECT[dialect].split("\n--\n")]


def append_only_removal(dialect: str) -> list[str]:
    """Statements that follow the dropping of both tables, which takes the triggers with it."""
    return ["DROP FUNCTION IF EXISTS platform_audit_refuse()"] if dialect == "postgresql" else []


def keep_append_only(metadata: MetaData) -> None:
    """Have ``create_all`` make the triggers too."""
    event.listen(metadata, "after_create", _make_triggers)


def _make_triggers(_: MetaData, connection: Connection, *, tables: list[Table], **__: Any) -> None:
    made = {table.name for table in tables}
    if {"platform_audit", "platform_audit_head"} <= made:
        for statement in append_only(connection.dialect.name):
            connection.exec_driver_sql(statement)

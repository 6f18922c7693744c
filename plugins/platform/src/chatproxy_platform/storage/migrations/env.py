"""Alembic's environment: all revisions in one transaction, on the connection and with the options that `schema` has."""

from __future__ import annotations

from alembic import context

context.configure(**context.config.attributes["options"])
with context.begin_transaction():
    context.run_migrations()

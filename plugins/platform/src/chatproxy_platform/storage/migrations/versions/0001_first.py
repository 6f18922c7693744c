"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from chatproxy_platform.storage.ddl import append_only, append_only_removal

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From None to 0001."""
    op.create_table(
        "platform_audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.String(length=200), nullable=True),
        sa.Column("org_id", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("resource", sa.String(length=100), nullable=False),
        sa.Column("resource_id", sa.String(length=400), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_platform_audit")),
        sa.UniqueConstraint("id", name=op.f("uq_platform_audit_id")),
    )
    with op.batch_alter_table("platform_audit", schema=None) as batch_op:
        batch_op.create_index("ix_platform_audit_action", ["action", "seq"], unique=False)
        batch_op.create_index("ix_platform_audit_org_id", ["org_id", "seq"], unique=False)
        batch_op.create_index("ix_platform_audit_resource", ["resource", "seq"], unique=False)
        batch_op.create_index("ix_platform_audit_resource_id", ["resource_id", "seq"], unique=False)
        batch_op.create_index("ix_platform_audit_user_id", ["user_id", "seq"], unique=False)

    op.create_table(
        "platform_audit_head",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_audit_head")),
    )
    op.create_table(
        "platform_media",
        sa.Column("owner", sa.String(length=220), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "digest", name=op.f("pk_platform_media")),
    )
    with op.batch_alter_table("platform_media", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_platform_media_created_at"), ["created_at"], unique=False)

    op.create_table(
        "platform_organizations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=True),
        sa.Column("budget", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_organizations")),
    )
    op.create_table(
        "platform_revisions",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_platform_revisions")),
    )
    op.create_table(
        "platform_session_counts",
        sa.Column("owner", sa.String(length=220), nullable=False),
        sa.Column("user_id", sa.String(length=200), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "user_id", name=op.f("pk_platform_session_counts")),
    )
    op.create_table(
        "platform_sessions",
        sa.Column("row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=220), nullable=False),
        sa.Column("user_id", sa.String(length=200), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=True),
        sa.Column("title", sa.String(length=80), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=True),
        sa.Column("agent_type", sa.String(length=200), nullable=True),
        sa.Column("surface", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_message_at", sa.BigInteger(), nullable=True),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("tokens_total", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_platform_sessions")),
        sa.UniqueConstraint("owner", "user_id", "id", name=op.f("uq_platform_sessions_owner")),
    )
    with op.batch_alter_table("platform_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_platform_sessions_all", ["updated_at", "row_id"], unique=False)
        batch_op.create_index(
            "ix_platform_sessions_listing", ["owner", "user_id", "updated_at", "row_id"], unique=False
        )
        batch_op.create_index(
            "ix_platform_sessions_organization", ["organization_id", "updated_at", "row_id"], unique=False
        )
        batch_op.create_index("ix_platform_sessions_owner", ["owner", "updated_at", "row_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_platform_sessions_updated_at"), ["updated_at"], unique=False)
        batch_op.create_index("ix_platform_sessions_user", ["user_id", "updated_at", "row_id"], unique=False)

    op.create_table(
        "platform_spend",
        sa.Column("subject", sa.String(length=220), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("nanousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "period", name=op.f("pk_platform_spend")),
    )
    op.create_table(
        "platform_state",
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "key", name=op.f("pk_platform_state")),
    )
    with op.batch_alter_table("platform_state", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_platform_state_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "platform_state_locks",
        sa.Column("namespace", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "key", name=op.f("pk_platform_state_locks")),
    )
    op.create_table(
        "platform_usage",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.String(length=200), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=True),
        sa.Column("surface", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("upstream_model", sa.String(length=200), nullable=True),
        sa.Column("handler", sa.String(length=200), nullable=True),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=True),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("first_byte_us", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("error_code", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_platform_usage")),
    )
    with op.batch_alter_table("platform_usage", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_platform_usage_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_platform_usage_day"), ["day"], unique=False)
        batch_op.create_index(batch_op.f("ix_platform_usage_key_id"), ["key_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_platform_usage_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_platform_usage_user_id"), ["user_id"], unique=False)

    op.create_table(
        "platform_usage_days",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=200), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "key_id", "user_id", "organization_id", "model", name=op.f("pk_platform_usage_days")
        ),
    )
    op.create_table(
        "platform_messages",
        sa.Column("row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("session_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_index", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("raw", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_row"],
            ["platform_sessions.row_id"],
            name=op.f("fk_platform_messages_session_row_platform_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_platform_messages")),
        sa.UniqueConstraint("session_row", "message_index", name=op.f("uq_platform_messages_session_row")),
    )
    with op.batch_alter_table("platform_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_platform_messages_turn_id"), ["turn_id"], unique=False)

    op.create_table(
        "platform_users",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("workos_id", sa.String(length=200), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=True),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=True),
        sa.Column("budget", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["platform_organizations.id"],
            name=op.f("fk_platform_users_organization_id_platform_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_users")),
        sa.UniqueConstraint("email", name=op.f("uq_platform_users_email")),
    )
    with op.batch_alter_table("platform_users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_platform_users_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "platform_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.Column("owner_id", sa.String(length=200), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=True),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("models", sa.JSON(), nullable=True),
        sa.Column("surfaces", sa.JSON(), nullable=True),
        sa.Column("limits", sa.JSON(), nullable=True),
        sa.Column("budget", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["platform_organizations.id"],
            name=op.f("fk_platform_keys_organization_id_platform_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["platform_users.id"], name=op.f("fk_platform_keys_owner_id_platform_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_keys")),
    )
    with op.batch_alter_table("platform_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_platform_keys_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_platform_keys_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_platform_keys_owner_id"), ["owner_id"], unique=False)

    for statement in append_only(op.get_context().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """From 0001 to None."""
    with op.batch_alter_table("platform_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_platform_keys_owner_id"))
        batch_op.drop_index(batch_op.f("ix_platform_keys_organization_id"))
        batch_op.drop_index(batch_op.f("ix_platform_keys_created_at"))

    op.drop_table("platform_keys")
    with op.batch_alter_table("platform_users", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_platform_users_organization_id"))

    op.drop_table("platform_users")
    with op.batch_alter_table("platform_messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_platform_messages_turn_id"))

    op.drop_table("platform_messages")
    op.drop_table("platform_usage_days")
    with op.batch_alter_table("platform_usage", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_platform_usage_user_id"))
        batch_op.drop_index(batch_op.f("ix_platform_usage_organization_id"))
        batch_op.drop_index(batch_op.f("ix_platform_usage_key_id"))
        batch_op.drop_index(batch_op.f("ix_platform_usage_day"))
        batch_op.drop_index(batch_op.f("ix_platform_usage_at"))

    op.drop_table("platform_usage")
    op.drop_table("platform_state_locks")
    with op.batch_alter_table("platform_state", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_platform_state_expires_at"))

    op.drop_table("platform_state")
    op.drop_table("platform_spend")
    with op.batch_alter_table("platform_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_platform_sessions_user")
        batch_op.drop_index(batch_op.f("ix_platform_sessions_updated_at"))
        batch_op.drop_index("ix_platform_sessions_owner")
        batch_op.drop_index("ix_platform_sessions_organization")
        batch_op.drop_index("ix_platform_sessions_listing")
        batch_op.drop_index("ix_platform_sessions_all")

    op.drop_table("platform_sessions")
    op.drop_table("platform_session_counts")
    op.drop_table("platform_revisions")
    op.drop_table("platform_organizations")
    with op.batch_alter_table("platform_media", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_platform_media_created_at"))

    op.drop_table("platform_media")
    op.drop_table("platform_audit_head")
    with op.batch_alter_table("platform_audit", schema=None) as batch_op:
        batch_op.drop_index("ix_platform_audit_user_id")
        batch_op.drop_index("ix_platform_audit_resource_id")
        batch_op.drop_index("ix_platform_audit_resource")
        batch_op.drop_index("ix_platform_audit_org_id")
        batch_op.drop_index("ix_platform_audit_action")

    op.drop_table("platform_audit")
    for statement in append_only_removal(op.get_context().dialect.name):
        op.execute(statement)

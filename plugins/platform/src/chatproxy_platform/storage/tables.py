"""The tables. Times are microseconds of Unix time (UTC), money is billionths of a US dollar, JSON is JSON.

Rule: declarations only; a change here comes with a migration (`storage/migrations`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chatproxy_platform.storage.ddl import keep_append_only

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
Json = dict[str, Any]
# SQLite numbers rows by itself only where the key is its own INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Every table of the platform, under one prefix."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {int: BigInteger, dict[str, Any]: JSON, list[Any]: JSON, bytes: LargeBinary}  # noqa: RUF012


class Organization(Base):
    """A tenant."""

    __tablename__ = "platform_organizations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    is_disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    limits: Mapped[Json | None]
    budget: Mapped[Json | None]
    attributes: Mapped[Json] = mapped_column("metadata", JSON, default=dict)
    created_at: Mapped[int]
    created_by: Mapped[str | None] = mapped_column(String(200))


class User(Base):
    """A person; a platform administrator is one whose role says so."""

    __tablename__ = "platform_users"
    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    email: Mapped[str | None] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    workos_id: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20), default="user")
    organization_id: Mapped[str | None] = mapped_column(ForeignKey("platform_organizations.id"), index=True)
    is_disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    limits: Mapped[Json | None]
    budget: Mapped[Json | None]
    attributes: Mapped[Json] = mapped_column("metadata", JSON, default=dict)
    created_at: Mapped[int]
    created_by: Mapped[str | None] = mapped_column(String(200))


class Key(Base):
    """An API key; its secret is kept as a hash only. What it does counts for ``parent_id``, which made it, too."""

    __tablename__ = "platform_keys"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    secret_hash: Mapped[bytes]
    previous_hash: Mapped[bytes | None]
    previous_until: Mapped[int | None]
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("platform_users.id"), index=True)
    organization_id: Mapped[str | None] = mapped_column(ForeignKey("platform_organizations.id"), index=True)
    parent_id: Mapped[str | None] = mapped_column(String(32))
    role: Mapped[str] = mapped_column(String(20), default="user")
    models: Mapped[list[Any] | None]
    surfaces: Mapped[list[Any] | None]
    limits: Mapped[Json | None]
    budget: Mapped[Json | None]
    attributes: Mapped[Json] = mapped_column("metadata", JSON, default=dict)
    is_disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    expires_at: Mapped[int | None]
    revoked_at: Mapped[int | None]
    created_at: Mapped[int] = mapped_column(index=True)
    created_by: Mapped[str | None] = mapped_column(String(200))


class Revision(Base):
    """A number that rises with every change of what is cached, for example ``keys``."""

    __tablename__ = "platform_revisions"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class ChatSession(Base):
    """A conversation. Its ``id`` is the client's own: unique within ``owner`` and ``user_id`` only."""

    __tablename__ = "platform_sessions"
    row_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(200))
    owner: Mapped[str] = mapped_column(String(220))
    user_id: Mapped[str] = mapped_column(String(200))
    organization_id: Mapped[str | None] = mapped_column(String(64))
    title: Mapped[str | None] = mapped_column(String(80))
    model: Mapped[str | None] = mapped_column(String(200))
    agent_type: Mapped[str | None] = mapped_column(String(200))
    surface: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[int]
    updated_at: Mapped[int] = mapped_column(index=True)
    last_message_at: Mapped[int | None]
    message_count: Mapped[int] = mapped_column(default=0)
    tokens_in: Mapped[int] = mapped_column(default=0)
    tokens_out: Mapped[int] = mapped_column(default=0)
    tokens_total: Mapped[int] = mapped_column(default=0)
    attributes: Mapped[Json] = mapped_column("metadata", JSON, default=dict)
    is_archived: Mapped[bool] = mapped_column("archived", Boolean, default=False)

    __table_args__ = (
        UniqueConstraint("owner", "user_id", "id"),
        Index("ix_platform_sessions_listing", "owner", "user_id", "updated_at", "row_id"),
        Index("ix_platform_sessions_all", "updated_at", "row_id"),
        Index("ix_platform_sessions_owner", "owner", "updated_at", "row_id"),
        Index("ix_platform_sessions_user", "user_id", "updated_at", "row_id"),
        Index("ix_platform_sessions_organization", "organization_id", "updated_at", "row_id"),
    )


class SessionCount(Base):
    """How many sessions there are in what may be listed, so that a listing need not count them.

    Of an owner's user; of an owner (``user_id`` empty); of a user (``owner`` empty); of all (both empty); of an
    organization (``owner`` is ``organization:<id>``), and of its users. Those in the archive are counted once more,
    with ``archived:`` before the owner.
    """

    __tablename__ = "platform_session_counts"
    owner: Mapped[str] = mapped_column(String(220), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    sessions: Mapped[int] = mapped_column(default=0)


class ChatMessage(Base):
    """One message of a session, in chat's form; ``raw`` as its surface had it, where that differs."""

    __tablename__ = "platform_messages"
    row_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    session_row: Mapped[int] = mapped_column(ForeignKey("platform_sessions.row_id", ondelete="CASCADE"))
    message_index: Mapped[int]
    id: Mapped[str] = mapped_column(String(64))
    turn_id: Mapped[str] = mapped_column(String(64), index=True)
    role: Mapped[str] = mapped_column(String(32))
    content: Mapped[Any] = mapped_column(JSON)
    raw: Mapped[Any | None] = mapped_column(JSON)
    attributes: Mapped[Json] = mapped_column("metadata", JSON, default=dict)
    tokens: Mapped[int | None]
    created_at: Mapped[int]
    updated_at: Mapped[int]

    __table_args__ = (UniqueConstraint("session_row", "message_index"),)


class Media(Base):
    """A large part of messages, by its SHA-256 and owner."""

    __tablename__ = "platform_media"
    owner: Mapped[str] = mapped_column(String(220), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(100))
    data: Mapped[bytes]
    created_at: Mapped[int] = mapped_column(index=True)


class AuditEntry(Base):
    """One row of the audit log; ``hash`` covers the row and the hash of the row before."""

    __tablename__ = "platform_audit"
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    timestamp: Mapped[int]
    user_id: Mapped[str | None] = mapped_column(String(200))
    org_id: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(100))
    resource: Mapped[str] = mapped_column(String(100))
    resource_id: Mapped[str | None] = mapped_column(String(400))
    details: Mapped[str] = mapped_column("metadata", Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))

    __table_args__ = tuple(
        Index(f"ix_platform_audit_{name}", name, "seq")
        for name in ("action", "user_id", "org_id", "resource", "resource_id")
    )


class AuditHead(Base):
    """The last row of the audit log: one row, locked while another is appended."""

    __tablename__ = "platform_audit_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(default=0)
    hash: Mapped[str] = mapped_column(String(64))


class UsageRow(Base):
    """One exchange."""

    __tablename__ = "platform_usage"
    request_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[int] = mapped_column(index=True)
    day: Mapped[str] = mapped_column(String(10), index=True)
    key_id: Mapped[str | None] = mapped_column(String(64), index=True)
    user_id: Mapped[str | None] = mapped_column(String(200), index=True)
    organization_id: Mapped[str | None] = mapped_column(String(64), index=True)
    surface: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(200))
    upstream_model: Mapped[str | None] = mapped_column(String(200))
    handler: Mapped[str | None] = mapped_column(String(200))
    is_stream: Mapped[bool] = mapped_column("stream", Boolean)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    total_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    cache_write_tokens: Mapped[int] = mapped_column(default=0)
    reasoning_tokens: Mapped[int] = mapped_column(default=0)
    source: Mapped[str | None] = mapped_column(String(16))
    cost_nanousd: Mapped[int | None]
    duration_us: Mapped[int]
    first_byte_us: Mapped[int | None]
    status: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(String(32))
    error_code: Mapped[str | None] = mapped_column(String(100))


class UsageDay(Base):
    """Sums of a day, kept in the transaction that writes its rows; an empty text stands for nobody."""

    __tablename__ = "platform_usage_days"
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    organization_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    requests: Mapped[int] = mapped_column(default=0)
    errors: Mapped[int] = mapped_column(default=0)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    total_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    cost_nanousd: Mapped[int] = mapped_column(default=0)


class Spend(Base):
    """Money spent by a subject (``key:…``, ``user:…``, ``org:…``) in a period that began at ``period``."""

    __tablename__ = "platform_spend"
    subject: Mapped[str] = mapped_column(String(220), primary_key=True)
    period: Mapped[str] = mapped_column(String(16), primary_key=True)
    nanousd: Mapped[int] = mapped_column(default=0)


class State(Base):
    """What any plugin keeps for a session (the core's `SessionStore`)."""

    __tablename__ = "platform_state"
    namespace: Mapped[str] = mapped_column(String(100), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    value: Mapped[bytes]
    expires_at: Mapped[int | None] = mapped_column(index=True)
    updated_at: Mapped[int]


class StateLock(Base):
    """A lease on one key of `State`, for processes that share a database."""

    __tablename__ = "platform_state_locks"
    namespace: Mapped[str] = mapped_column(String(100), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    until: Mapped[int]


keep_append_only(Base.metadata)

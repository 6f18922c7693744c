"""Sessions and messages as clients see them."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy_platform.clock import rfc3339
from chatproxy_platform.storage.tables import ChatMessage, ChatSession


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """One session; times are RFC 3339 in UTC."""

    id: str
    user_id: str
    organization_id: str | None
    org_id: str | None
    title: str | None
    model: str | None
    agent_type: str | None
    created_at: str | None
    updated_at: str | None
    last_message_at: str | None
    message_count: int
    tokens_in: int
    tokens_out: int
    tokens_total: int
    metadata: dict[str, Any]
    archived: bool


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """One message; ``metadata`` holds what else it has (``message``: tool calls, …) and what the platform marks."""

    id: str
    session_id: str
    message_index: int
    role: str
    content: Any
    metadata: dict[str, Any]
    tokens: int | None
    created_at: str | None
    updated_at: str | None


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a listing, the session that was used last first.

    Attributes:
        next_cursor: begins the next page; None on the last one.
    """

    sessions: list[SessionView]
    total: int
    page: int
    page_size: int
    has_more: bool
    next_cursor: str | None


class SessionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A session with its messages."""

    session: SessionView
    messages: list[MessageView]


def session_view(row: ChatSession) -> SessionView:
    """A session's row as it is shown."""
    return SessionView(
        id=row.id,
        user_id=row.user_id,
        organization_id=row.organization_id,
        org_id=row.organization_id,
        title=row.title,
        model=row.model,
        agent_type=row.agent_type,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        last_message_at=rfc3339(row.last_message_at),
        message_count=row.message_count,
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        tokens_total=row.tokens_total,
        metadata=row.attributes,
        archived=row.is_archived,
    )


def message_view(row: ChatMessage, session_id: str) -> MessageView:
    """A message's row as it is shown."""
    return MessageView(
        id=row.id,
        session_id=session_id,
        message_index=row.message_index,
        role=row.role,
        content=row.content,
        metadata=row.attributes,
        tokens=row.tokens,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
    )

"""Deleting sessions with all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.sessions.counts import Change, count_sessions
from chatproxy_platform.sessions.transcript import media_owner
from chatproxy_platform.storage.tables import ChatMessage, ChatSession, Media


async def delete_sessions(session: AsyncSession, rows: Sequence[ChatSession]) -> None:
    """Delete sessions, which the caller has locked, their messages and their media."""
    ids = [row.row_id for row in rows]
    if not ids:
        return
    changes = [change_of(row, -1) for row in rows]
    archived = [change_of(row, -1) for row in rows if row.is_archived]
    for row in rows:
        session.expunge(row)
    await session.execute(delete(Media).where(Media.owner.in_([media_owner(row_id) for row_id in ids])))
    await session.execute(delete(ChatMessage).where(ChatMessage.session_row.in_(ids)))
    await session.execute(delete(ChatSession).where(ChatSession.row_id.in_(ids)))
    await count_sessions(session, changes)
    await count_sessions(session, archived, archived=True)


def change_of(row: ChatSession, more: int) -> Change:
    """What a session adds to the counts."""
    return row.owner, row.user_id, row.organization_id, more

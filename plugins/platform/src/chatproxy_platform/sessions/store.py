"""History: stored sessions as people list, read, change and delete them.

Rule: what an actor may not see is not there for them: the same 404, whether it exists or not. Administrators reach
sessions of others, and the audit log says so.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy import NotFound
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.errors import Conflict, Unprocessable
from chatproxy_platform.identity.records import Actor
from chatproxy_platform.sessions.counts import count_sessions, sessions_counted
from chatproxy_platform.sessions.deleting import change_of, delete_sessions
from chatproxy_platform.sessions.exporting import exported, session_lines
from chatproxy_platform.sessions.scope import Scope, audited, scope_of
from chatproxy_platform.sessions.views import (
    SessionDetail,
    SessionPage,
    SessionView,
    message_view,
    session_view,
)
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import ChatMessage, ChatSession

MAX_TITLE = 80
_ORDER = (ChatSession.updated_at.desc(), ChatSession.row_id.desc())


class Audit(Protocol):
    """What is asked of the audit log."""

    async def record(self, *events: AuditEvent) -> None:
        """Write rows; raises where the policy says that nothing may happen without them."""

    async def append(self, session: AsyncSession, *events: AuditEvent) -> None:
        """Write rows in a transaction of the caller's."""


class History:
    """The stored sessions of one application."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    async def list(
        self,
        actor: Actor,
        *,
        user_id: str | None = None,
        page: int = 1,
        page_size: int = 20,
        cursor: str | None = None,
        archived: bool | None = None,
    ) -> SessionPage:
        """One page of what the actor may see, the session that was used last first.

        Args:
            page: from 1; not looked at where there is a cursor.
            cursor: of the page before, or empty for the first one: cheap however far it goes.

        Raises:
            Unprocessable: ``cursor`` is none of ours (422).
            StorageUnavailable: the database did not answer (503), as from all of these.
        """
        scope = scope_of(actor, user_id)
        conditions = [*scope.conditions]
        if archived is not None:
            conditions.append(ChatSession.is_archived == archived)
        query = select(ChatSession).where(*conditions).order_by(*_ORDER).limit(page_size + 1)
        if cursor:
            query = query.where(_after(cursor))
        elif cursor is None:
            query = query.offset((page - 1) * page_size)
        async with self._database.read() as session:
            rows = [*(await session.execute(query)).scalars()]
            total = await sessions_counted(session, scope.counted, archived=archived)
        shown = rows[:page_size]
        if scope.holds_foreign(shown):
            await self._audit.record(_listed(actor, user_id, len(shown)))
        return SessionPage(
            sessions=[session_view(row) for row in shown],
            total=total,
            page=page,
            page_size=page_size,
            has_more=len(rows) > page_size,
            next_cursor=_cursor_of(shown[-1]) if len(rows) > page_size else None,
        )

    async def get(self, actor: Actor, session_id: str, *, user_id: str | None = None) -> SessionDetail:
        """A session with its messages.

        Raises:
            NotFound: there is none that the actor may see (404).
            Conflict: there are several; name the user (409).
        """
        scope = scope_of(actor, user_id)
        async with self._database.read() as session:
            row = await _found(session, scope, session_id)
            query = select(ChatMessage).where(ChatMessage.session_row == row.row_id).order_by(ChatMessage.message_index)
            messages = [message_view(message, row.id) for message in (await session.execute(query)).scalars()]
        if scope.holds_foreign([row]):
            await self._audit.record(AuditEvent(action="session.read", **audited(actor, row)))
        return SessionDetail(session=session_view(row), messages=messages)

    async def change(
        self,
        actor: Actor,
        session_id: str,
        *,
        user_id: str | None = None,
        title: str | msgspec.UnsetType | None = msgspec.UNSET,
        archived: bool | msgspec.UnsetType = msgspec.UNSET,
    ) -> SessionView:
        """Rename a session, put it into the archive or take it out; what is `UNSET` stays. Raises as `get`."""
        scope = scope_of(actor, user_id)
        async with self._database.write() as session:
            row = await _found(session, scope, session_id, locks=True)
            if title is not msgspec.UNSET:
                row.title = None if title is None else title[:MAX_TITLE]
            if archived is not msgspec.UNSET and archived is not row.is_archived:
                row.is_archived = archived
                await count_sessions(session, [change_of(row, 1 if archived else -1)], archived=True)
            await session.flush()
            view = session_view(row)
            if scope.holds_foreign([row]):
                await self._audit.append(session, AuditEvent(action="session.changed", **audited(actor, row)))
        return view

    async def delete(self, actor: Actor, session_id: str, *, user_id: str | None = None) -> None:
        """Delete a session, its messages and their media. Raises as `get`."""
        scope = scope_of(actor, user_id)
        async with self._database.write() as session:
            row = await _found(session, scope, session_id, locks=True)
            event = AuditEvent(action="session.deleted", **audited(actor, row))
            is_foreign = scope.holds_foreign([row])
            await delete_sessions(session, [row])
            if is_foreign:
                await self._audit.append(session, event)

    async def export(
        self, actor: Actor, *, session_id: str | None = None, user_id: str | None = None
    ) -> AsyncGenerator[bytes]:
        """One session, or all that the actor may see, as JSON lines (see `exporting`); close it when you stop early.

        Raises:
            NotFound: as `get`, before the first line.
        """
        scope = scope_of(actor, user_id)
        row = None
        if session_id is not None:
            async with self._database.read() as session:
                row = await _found(session, scope, session_id)
        if scope.is_wide and (row is None or scope.holds_foreign([row])):
            await self._audit.record(_exported(actor, user_id, session_id))
        if row is not None:
            for line in await session_lines(self._database, row):
                yield line
            return
        async with aclosing(exported(self._database, scope.conditions)) as lines:
            async for line in lines:
                yield line


async def _found(session: AsyncSession, scope: Scope, session_id: str, *, locks: bool = False) -> ChatSession:
    query = select(ChatSession).where(ChatSession.id == session_id, *scope.conditions).order_by(*_ORDER).limit(2)
    rows: list[ChatSession] = [*(await session.execute(query.with_for_update() if locks else query)).scalars()]
    if not rows:
        raise NotFound("There is no such session.", code="session_not_found")
    if len(rows) > 1:
        raise Conflict("Several users have a session of this id; name one by 'user_id'.", param="user_id")
    return rows[0]


def _exported(actor: Actor, user_id: str | None, session_id: str | None) -> AuditEvent:
    return AuditEvent(
        action="session.exported",
        resource="session",
        resource_id=session_id,
        user_id=actor.name,
        org_id=actor.organization_id,
        metadata={"of_user": user_id},
    )


def _listed(actor: Actor, user_id: str | None, count: int) -> AuditEvent:
    return AuditEvent(
        action="session.listed",
        resource="session",
        user_id=actor.name,
        org_id=actor.organization_id,
        metadata={"of_user": user_id, "sessions": count},
    )


def _cursor_of(row: ChatSession) -> str:
    return base64.urlsafe_b64encode(f"{row.updated_at}.{row.row_id}".encode()).decode().rstrip("=")


def _after(cursor: str) -> ColumnElement[bool]:
    """What comes behind the last session of the page before."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        updated_at, row_id = (int(number) for number in text.split("."))
        if not (0 <= updated_at < 1 << 63 and 0 <= row_id < 1 << 63):
            raise ValueError("out of range")
    except (binascii.Error, ValueError) as exc:
        raise Unprocessable("'cursor' must be the 'next_cursor' of another page.", param="cursor") from exc
    return and_(
        ChatSession.updated_at <= updated_at,
        or_(ChatSession.updated_at < updated_at, ChatSession.row_id < row_id),
    )

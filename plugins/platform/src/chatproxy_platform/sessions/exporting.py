"""Sessions as JSON lines, a short piece of work on the database for each one, so that a slow reader holds none of it.

A line says what it is by ``object``: ``session``, then its ``message`` lines in order, then its ``media`` in base64.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, select

from chatproxy_platform.sessions.transcript import media_owner
from chatproxy_platform.sessions.views import message_view, session_view
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import ChatMessage, ChatSession, Media

_PAGE = 200
_encode = msgspec.json.Encoder().encode


async def exported(database: Database, conditions: tuple[ColumnElement[bool], ...]) -> AsyncGenerator[bytes]:
    """The lines of all sessions that fulfil conditions, oldest first; close it when you stop early.

    Raises:
        StorageUnavailable: the database did not answer (503).
    """
    last = 0
    while True:
        query = select(ChatSession).where(*conditions, ChatSession.row_id > last).order_by(ChatSession.row_id)
        async with database.read() as session:
            rows = [*(await session.execute(query.limit(_PAGE))).scalars()]
        for row in rows:
            for line in await session_lines(database, row):
                yield line
        if len(rows) < _PAGE:
            return
        last = rows[-1].row_id


async def session_lines(database: Database, row: ChatSession) -> list[bytes]:
    """The lines of one session; raises as `exported`."""
    messages = select(ChatMessage).where(ChatMessage.session_row == row.row_id).order_by(ChatMessage.message_index)
    media = select(Media).where(Media.owner == media_owner(row.row_id)).order_by(Media.digest)
    async with database.read() as session:
        lines = [_line("session", msgspec.to_builtins(session_view(row)))]
        views = [message_view(message, row.id) for message in (await session.execute(messages)).scalars()]
        lines += [_line("message", msgspec.to_builtins(view)) for view in views]
        lines += [_line("media", _shown(part, row.id)) for part in (await session.execute(media)).scalars()]
    return lines


def _shown(part: Media, session_id: str) -> dict[str, Any]:
    data = base64.b64encode(part.data).decode()
    return {"session_id": session_id, "sha256": part.digest, "media_type": part.media_type, "data": data}


def _line(kind: str, value: dict[str, Any]) -> bytes:
    return _encode({"object": kind, **value}) + b"\n"

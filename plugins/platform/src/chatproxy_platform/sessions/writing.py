"""The statements that store turns: for all sessions of a batch together, within the caller's transaction.

Rule: what is locked is locked in one order, so that processes that share a database do not wait for each other in
circles; a turn that is stored already is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

import msgspec
from sqlalchemy import Table, bindparam, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.sessions.counts import count_sessions
from chatproxy_platform.sessions.transcript import media_owner
from chatproxy_platform.sessions.turns import KeptTurn
from chatproxy_platform.storage.tables import ChatMessage, ChatSession, Media

_SESSIONS = cast("Table", ChatSession.__table__)
_MESSAGES = cast("Table", ChatMessage.__table__)
_MEDIA = cast("Table", Media.__table__)
Key = tuple[str, str, str]
Row = dict[str, Any]


class Head(msgspec.Struct):
    """A session's row, as far as a turn changes it."""

    row_id: int
    title: str | None
    message_count: int
    tokens_in: int
    tokens_out: int
    tokens_total: int
    metadata: dict[str, Any]
    updated_at: int
    model: str | None
    agent_type: str | None


_COLUMNS = [_SESSIONS.c[name] for name in ("owner", "user_id", "id", *Head.__struct_fields__)]


async def write_turns(session: AsyncSession, turns: Sequence[KeptTurn]) -> None:
    """Store turns in their order; one that is stored already, or stands twice among them, is stored once."""
    heads = await _heads(session, turns)
    seen = await _stored(session, [turn.turn_id for turn in turns if heads[turn.key].message_count])
    messages: list[Row] = []
    media: list[Row] = []
    for turn in turns:
        if turn.turn_id in seen:
            continue
        seen.add(turn.turn_id)
        head = heads[turn.key]
        messages += _rows(turn, head)
        media += [
            {"owner": media_owner(head.row_id), "created_at": turn.at, **msgspec.structs.asdict(part)}
            for part in turn.media
        ]
        _advance(head, turn)
    if messages:
        await session.execute(_MESSAGES.insert(), messages)
        await session.execute(_UPDATE, [_changes(heads[key]) for key in sorted(heads)])
    if media:
        await session.execute(insert_if_absent(session, _MEDIA), media)


def insert_if_absent(session: AsyncSession, table: Table) -> Any:
    """An insert in the database's own words, which leaves rows alone that are there."""
    return _inserts(session.get_bind().dialect.name, table)


@cache
def _inserts(dialect: str, table: Table) -> Any:  # made once: it would be compiled each time
    return (sqlite if dialect == "sqlite" else postgresql).insert(table).on_conflict_do_nothing()


_CHANGING = [name for name in Head.__struct_fields__ if name != "row_id"]
_UPDATE = (
    update(_SESSIONS)
    .where(_SESSIONS.c.row_id == bindparam("of_row"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING} | {"last_message_at": bindparam("new_updated_at")})
)


def _changes(head: Head) -> Row:
    values = msgspec.structs.asdict(head)
    return {"of_row": values.pop("row_id"), **{f"new_{name}": value for name, value in values.items()}}


async def _heads(session: AsyncSession, turns: Sequence[KeptTurn]) -> dict[Key, Head]:
    """The sessions of turns, locked; those that are not there are made and counted."""
    first: dict[Key, KeptTurn] = {}
    for turn in turns:
        first.setdefault(turn.key, turn)
    heads = await _locked(session, [key for key, turn in first.items() if not turn.is_first])
    missing = sorted(first.keys() - heads.keys())
    if missing:
        await session.execute(insert_if_absent(session, _SESSIONS), [_new_row(first[key]) for key in missing])
        made = await _locked(session, missing)
        heads.update(made)
        # one without messages was made here: another process commits none without
        new = [key for key, head in made.items() if not head.message_count]
        await count_sessions(session, [(key[0], key[1], first[key].organization_id, 1) for key in new])
    return heads


async def _locked(session: AsyncSession, keys: Iterable[Key]) -> dict[Key, Head]:
    wanted = sorted(keys)
    if not wanted:
        return {}
    query = (
        select(*_COLUMNS)
        .where(tuple_(_SESSIONS.c.owner, _SESSIONS.c.user_id, _SESSIONS.c.id).in_(wanted))
        .order_by(_SESSIONS.c.row_id)
        .with_for_update()
    )
    return {tuple(row[:3]): Head(*row[3:]) for row in (await session.execute(query)).all()}


def _new_row(turn: KeptTurn) -> Row:
    return {
        "id": turn.session_id,
        "owner": turn.owner,
        "user_id": turn.user_id,
        "organization_id": turn.organization_id,
        "title": turn.title,
        "model": turn.model,
        "agent_type": turn.agent_type,
        "surface": turn.surface,
        "created_at": turn.at,
        "updated_at": turn.at,
        "last_message_at": None,
        "message_count": 0,
        "tokens_in": 0,
        "tokens_out": 0,
        "tokens_total": 0,
        "metadata": {},
        "archived": False,
    }


async def _stored(session: AsyncSession, turn_ids: Sequence[str]) -> set[str]:
    """Which turns are stored already."""
    if not turn_ids:
        return set()
    query = select(_MESSAGES.c.turn_id).where(_MESSAGES.c.turn_id.in_(turn_ids)).distinct()
    return set((await session.execute(query)).scalars())


def _rows(turn: KeptTurn, head: Head) -> list[Row]:
    return [
        {
            "session_row": head.row_id,
            "message_index": head.message_count + number,
            "id": f"{turn.turn_id}_{number}",
            "turn_id": turn.turn_id,
            "role": message.role,
            "content": message.content,
            "raw": message.raw,
            "metadata": message.attributes,
            "tokens": message.tokens,
            "created_at": turn.at,
            "updated_at": turn.at,
        }
        for number, message in enumerate(turn.messages)
    ]


def _advance(head: Head, turn: KeptTurn) -> None:
    head.message_count += len(turn.messages)
    head.tokens_in += turn.tokens_in
    head.tokens_out += turn.tokens_out
    head.tokens_total += turn.tokens_in + turn.tokens_out
    head.title = head.title or turn.title
    head.metadata = {**head.metadata, **turn.metadata}
    head.updated_at = max(head.updated_at, turn.at)
    head.model = turn.model
    head.agent_type = turn.agent_type or head.agent_type

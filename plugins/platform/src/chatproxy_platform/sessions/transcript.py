"""Transcript: what is stored of a session, as the next request of it needs it.

Rule: nothing stored is changed here. Where a client went back and asked anew, the messages after that point are not
part of the transcript; nor are turns that ended before anything was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from chatproxy.errors import InvalidRequest
from chatproxy_platform.errors import Conflict
from chatproxy_platform.sessions import turns
from chatproxy_platform.sessions.media import attach, digests_in
from chatproxy_platform.sessions.parts import Json
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import ChatMessage, ChatSession, Media

EntriesOf = Callable[[Sequence[Json], str], list[Json]]


class Line(msgspec.Struct):
    """One stored message.

    Attributes:
        index: of all in the session.
        raw: see `KeptMessage.raw`.
    """

    index: int
    turn_id: str
    role: str
    content: Any
    raw: list[Any] | None
    attributes: Json

    @property
    def message(self) -> Json:
        """In chat's form."""
        return {"role": self.role, "content": self.content, **self.attributes.get(turns.MESSAGE, {})}

    @property
    def is_altered(self) -> bool:
        """Whether a guard made it other than the client's own."""
        return turns.ALTERED in self.attributes

    @property
    def surface(self) -> str:
        """Whose entries ``raw`` holds."""
        return "chat" if self.raw is None else str(self.attributes.get(turns.SURFACE, "chat"))


class Transcript:
    """What counts of a session's messages.

    Attributes:
        row_id: the session's.
        lead: the instructions that it went by last, in chat's form.
        lines: the others.
    """

    def __init__(self, row_id: int, lines: Sequence[Line]) -> None:
        self.row_id = row_id
        branch = _branch(lines)
        self.lead = [line.message for line in _last_lead(branch)]
        self.lines = _answered([line for line in branch if turns.INSTRUCTIONS not in line.attributes])

    def entries(self, surface: str, entries_of: EntriesOf, media: Mapping[str, bytes]) -> list[Any]:
        """The lines as entries of a surface: its own where all were said there, else by chat's form.

        Raises:
            Conflict: the surface cannot hold what was said on another one (409).
        """
        lines = _from_user(self.lines)
        if all(line.surface == surface for line in lines):
            own = [entry for line in lines for entry in ([line.message] if line.raw is None else line.raw)]
            return [attach(entry, media) for entry in own] if media else own
        said = [attach(line.message, media) for line in lines]
        try:
            return entries_of(said, surface)
        except (InvalidRequest, LookupError) as exc:
            raise Conflict(
                f"The session cannot go on on this surface: {exc} Go on where it began, or begin a new session."
            ) from exc

    def digests(self) -> set[str]:
        """Media that the lines refer to."""
        return digests_in([[line.content, line.raw, line.attributes] for line in self.lines])


async def load(database: Database, key: tuple[str, str, str], max_messages: int) -> Transcript | None:
    """The transcript of a session (owner, user, id); None where there is none.

    Raises:
        StorageUnavailable: the database did not answer (503).
    """
    owner, user_id, session_id = key
    message, session = ChatMessage.__table__.c, ChatSession.__table__.c
    query = (
        select(
            message.session_row, message.message_index, message.turn_id, message.role, message.content, message.raw,
            message.metadata,
        )
        .join(ChatSession.__table__, session.row_id == message.session_row)
        .where(session.owner == owner, session.user_id == user_id, session.id == session_id)
        .order_by(message.message_index.desc())
        .limit(max_messages)
    )  # fmt: skip
    async with database.read() as reading:
        rows = (await reading.execute(query)).all()
    return Transcript(rows[0][0], [Line(*row[1:]) for row in reversed(rows)]) if rows else None


async def media_of(database: Database, transcript: Transcript) -> dict[str, bytes]:
    """The media of a transcript, by digest; raises as `load` does."""
    digests = transcript.digests()
    if not digests:
        return {}
    table = Media.__table__.c
    query = select(table.digest, table.data).where(
        table.owner == media_owner(transcript.row_id), table.digest.in_(sorted(digests))
    )
    async with database.read() as reading:
        return {row[0]: row[1] for row in (await reading.execute(query)).all()}


def media_owner(row_id: int) -> str:
    """Media belong to one session, and leave with it."""
    return f"session:{row_id}"


def _branch(lines: Sequence[Line]) -> list[Line]:
    """The last message and those that it follows, in order."""
    by_index = {line.index: line for line in lines}
    found: list[Line] = []
    index = lines[-1].index if lines else -1
    while (line := by_index.get(index)) is not None:
        found.append(line)
        after = line.attributes.get(turns.AFTER)
        index = after if type(after) is int and after < index else index - 1
    found.reverse()
    return found


def _last_lead(lines: Sequence[Line]) -> list[Line]:
    """The instructions of the last turn that brought any."""
    leads = [line for line in lines if turns.INSTRUCTIONS in line.attributes]
    return [line for line in leads if line.turn_id == leads[-1].turn_id]


def _answered(lines: Sequence[Line]) -> list[Line]:
    """Without turns that ended before anything was answered."""
    answered = {line.turn_id for line in lines if line.role == "assistant"}
    return [line for line in lines if line.turn_id in answered or turns.INCOMPLETE not in line.attributes]


def _from_user(lines: list[Line]) -> list[Line]:
    """From the first thing a user says: what was cut off at the front must not leave half an exchange."""
    first = next((i for i, line in enumerate(lines) if line.role == "user" and line.raw != []), 0)
    return lines[first:] if lines and lines[0].index > 0 else lines

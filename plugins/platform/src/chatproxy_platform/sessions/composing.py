"""From what was asked and answered to the turn that is stored.

Rule: pure; may run in a thread, since media may be large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from chatproxy_platform.config import SessionsConfig
from chatproxy_platform.sessions import turns
from chatproxy_platform.sessions.aligning import same_instructions
from chatproxy_platform.sessions.forms import groups_of
from chatproxy_platform.sessions.media import Detacher
from chatproxy_platform.sessions.parts import Json, text_of
from chatproxy_platform.sessions.turns import KeptMessage, kept

MAX_TITLE = 80


class Asked(msgspec.Struct, kw_only=True):
    """What is new in a request, as it was read and as it was accepted.

    Attributes:
        surface: of the entries.
        sent: the new entries as the client sent them, JSON.
        accepted: as the guards left them.
        lead: the instructions, in chat's form, likewise; ``known_lead``: those that are stored.
        after: see `Standing.after`.
        view: see `RequestContext.client_view`.
    """

    surface: str
    sent: bytes
    accepted: bytes = b"[]"
    sent_lead: list[Json]
    lead: list[Json] = msgspec.field(default_factory=list)
    known_lead: list[Json] = msgspec.field(default_factory=list)
    after: int | None = None
    view: Callable[[str], str] | None = None


def composed(
    asked: Asked, entries: Sequence[Any], others: Sequence[Any], *, incomplete: str | None, config: SessionsConfig
) -> tuple[list[KeptMessage], list[turns.KeptMedia]]:
    """The messages of a turn, and their media.

    Args:
        entries: of the answer; ``others`` are its further choices.
        incomplete: why the answer is not whole.
    """
    marks: Json = {} if incomplete is None else {turns.INCOMPLETE: incomplete}
    messages = [*_lead(asked, marks), *_asked(asked, marks), *_answered(asked.surface, entries, others, marks)]
    if messages and asked.after is not None:
        messages[0].attributes[turns.AFTER] = asked.after
    media = Detacher(max_inline_bytes=config.max_inline_bytes, max_media_bytes=config.max_media_bytes)
    for message in messages:
        message.content = media.detach(message.content)
        message.attributes = media.detach(message.attributes)
        message.raw = None if message.raw is None else [media.detach(entry) for entry in message.raw]
    return messages, list(media.found.values())


def title_of(messages: Sequence[KeptMessage]) -> str | None:
    """The first line of what the user says first, at most 80 characters."""
    for message in messages:
        if message.role == "user":
            lines = (" ".join(line.split()) for line in text_of(message.content).replace("\0", " ").splitlines())
            first = next((line for line in lines if line), "")
            if first:
                return first if len(first) <= MAX_TITLE else first[: MAX_TITLE - 1] + "…"
    return None


def _lead(asked: Asked, marks: Json) -> list[KeptMessage]:
    """Instructions, where they are not those that are stored; what only plugins added is left out."""
    lead = _viewed(asked.lead, asked.view)
    if _contains(lead, asked.sent_lead):
        lead = asked.sent_lead
    if not lead or same_instructions(lead, asked.known_lead):
        return []
    return [kept(message, None, asked.surface, {**marks, turns.INSTRUCTIONS: True}) for message in lead]


def _contains(lead: Sequence[Json], sent: Sequence[Json]) -> bool:
    text = "\n".join(text_of(message.get("content")) for message in lead)
    return all(text_of(message.get("content")) in text for message in sent)


def _asked(asked: Asked, marks: Json) -> list[KeptMessage]:
    sent = groups_of(asked.surface, msgspec.json.decode(asked.sent))
    accepted = groups_of(asked.surface, _viewed(msgspec.json.decode(asked.accepted), asked.view))
    found: list[KeptMessage] = []
    for number, group in enumerate(accepted):
        is_same = number < len(sent) and sent[number] == group
        found += _kept_group(
            group.messages, group.entries, asked.surface, marks if is_same else {**marks, turns.ALTERED: True}
        )
    return found


def _answered(surface: str, entries: Sequence[Any], others: Sequence[Any], marks: Json) -> list[KeptMessage]:
    found: list[KeptMessage] = []
    for group in groups_of(surface, list(entries)):
        if turns.INCOMPLETE in marks:
            text = next((text for message in group.messages if (text := text_of(message.get("content")))), "")
            if text:  # what else there is was cut off somewhere, and cannot be said to a model again
                found.append(kept({"role": "assistant", "content": text}, None, surface, marks))
        else:
            found += _kept_group(group.messages, group.entries, surface, marks)
    if found and others:
        found[-1].attributes["choices"] = list(others)
    return found


def _kept_group(messages: Sequence[Json], entries: list[Any], surface: str, marks: Json) -> list[KeptMessage]:
    """Messages of one group: the first holds the surface's entries."""
    if surface == "chat":
        return [kept(message, None, surface, marks) for message in messages]
    return [kept(message, [] if number else entries, surface, marks) for number, message in enumerate(messages)]


def _viewed(value: Any, view: Callable[[str], str] | None) -> Any:
    """A value with its texts as the client knows them."""
    if view is None:
        return value
    if isinstance(value, str):
        return view(value)
    if isinstance(value, dict):
        return {key: _viewed(inner, view) for key, inner in value.items()}
    return [_viewed(inner, view) for inner in value] if isinstance(value, list) else value

"""From a surface's own entries of a conversation to chat messages, which are what is kept and compared.

Rule: pure, and lenient: what has no form in chat stands there as it is. What a model said in a row is one message; the
entries themselves are kept beside it, so that nothing is lost where a conversation goes on on its surface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chatproxy import ChatRequest
from chatproxy_platform.sessions.forms_messages import message_groups
from chatproxy_platform.sessions.forms_responses import item_groups
from chatproxy_platform.sessions.parts import INSTRUCTING, Json, text_of

SURFACES = frozenset({"chat", "responses", "messages"})


class Group(NamedTuple):
    """Entries of a surface that belong together, and what they are in chat's form; at least one of each."""

    entries: list[Any]
    messages: list[Json]


def groups_of(surface: str, entries: list[Any]) -> list[Group]:
    """The entries of a conversation, in groups that begin and end where messages do."""
    return [Group(own, made) for own, made in _GROUPINGS[surface](entries)]


def lead_of(request: ChatRequest) -> tuple[list[Json], int]:
    """The instructions that a request begins with as chat messages, and how many of its entries they are."""
    entries = request.messages
    count = next((i for i, entry in enumerate(entries) if not _instructs(entry)), len(entries))
    key = {"responses": "instructions", "messages": "system"}.get(request.layout.surface)
    top = text_of(request.get(key)) if key else ""
    lead: list[Json] = [{"role": "system", "content": top}] if top else []
    lead += [message for group in groups_of(request.layout.surface, entries[:count]) for message in group.messages]
    return lead, count


def _instructs(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("role") in INSTRUCTING


def _chat_groups(entries: list[Any]) -> list[tuple[list[Any], list[Json]]]:
    return [
        ([entry], [entry if isinstance(entry, dict) else {"role": "unknown", "content": entry}]) for entry in entries
    ]


_GROUPINGS: Mapping[str, Callable[[list[Any]], list[tuple[list[Any], list[Json]]]]] = {
    "chat": _chat_groups,
    "responses": item_groups,
    "messages": message_groups,
}

"""What is put into the audit log, and how it comes out of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from chatproxy_platform.clock import new_id, now_us, rfc3339

MAX_METADATA_CHARS = 64 << 10
MAX_TIME = 253_402_300_799_999_999  # the year 9999, in microseconds


def new_event_id() -> str:
    """A row's id is made with its event, so that storing it twice can be noticed."""
    return new_id("audit")


class AuditEvent(msgspec.Struct, frozen=True):
    """Something that somebody did or was refused.

    Attributes:
        action: ``<what>.<done>``, for example ``key.created``.
        resource: the kind of what it was done to, for example ``key``; ``resource_id`` says which one.
        user_id: who did it, as `Actor.name` says; None where nobody is known.
        org_id: the organization it belongs to.
        metadata: JSON values; never secrets, never the texts of conversations.
        at: microseconds; when it happened, which may be earlier than when it is written.
    """

    action: str
    resource: str
    resource_id: str | None = None
    user_id: str | None = None
    org_id: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    at: int = msgspec.field(default_factory=now_us)
    id: str = msgspec.field(default_factory=new_event_id)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit log.

    Attributes:
        seq: from 1, without gaps.
        details: the metadata as JSON text, exactly as the hash covers it.
        previous_hash: of the row before; both are SHA-256 in hexadecimal.
    """

    seq: int
    id: str
    timestamp: int
    user_id: str | None
    org_id: str | None
    action: str
    resource: str
    resource_id: str | None
    details: str
    previous_hash: str
    hash: str

    def shown(self) -> dict[str, Any]:
        """As clients of the administration see it; metadata that is no JSON (somebody changed it) is shown as text."""
        return {
            "id": self.id,
            "timestamp": rfc3339(min(max(self.timestamp, 0), MAX_TIME)),
            "user_id": self.user_id,
            "org_id": self.org_id,
            "action": self.action,
            "resource": self.resource,
            "resource_id": self.resource_id,
            "metadata": _decoded(self.details),
        }


def details_of(event: AuditEvent) -> str:
    """An event's metadata as the JSON text that is stored; what is too long is cut, and says so."""
    try:
        encoded = msgspec.json.encode(event.metadata, enc_hook=str, order="sorted").decode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no database takes
        text = json.dumps(event.metadata, default=str, ensure_ascii=False).encode("utf-8", "replace")
        encoded = msgspec.json.encode(json.loads(text), order="sorted").decode()
    if len(encoded) <= MAX_METADATA_CHARS:
        return encoded
    return msgspec.json.encode({"truncated": encoded[: MAX_METADATA_CHARS // 2]}).decode()


def storable(text: str, max_chars: int) -> str:
    """A text that both databases take: without NUL and halves of surrogate pairs, and not longer than its column."""
    cleaned = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return cleaned if len(cleaned) <= max_chars else cleaned[: max_chars - 1] + "…"


def _decoded(details: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(details, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"unreadable": details}

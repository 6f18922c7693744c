"""What is stored of one exchange, before it is rows and while it waits."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy_platform.clock import now_us

Json = dict[str, Any]
KIND = "turns"
INCOMPLETE = "incomplete"
INSTRUCTIONS = "instructions"
ALTERED = "altered"
AFTER = "after"
SURFACE = "surface"
MESSAGE = "message"


class KeptMessage(msgspec.Struct, kw_only=True):
    """One chat message.

    Attributes:
        raw: the surface's own entries that it stands for; empty where the message before holds them; None where the
            message is the entry.
        attributes: ``message``: the message's other fields, and what the platform marks: ``surface`` of ``raw``,
            ``incomplete`` (why), ``instructions``, ``altered`` (a guard changed it, so that the client's own does not
            look like it), ``after`` (the index of the message it follows, where that is not the one before).
    """

    role: str
    content: Any = None
    raw: list[Any] | None = None
    attributes: Json = msgspec.field(default_factory=dict)
    tokens: int | None = None


class KeptMedia(msgspec.Struct, kw_only=True, frozen=True):
    """A large part of a message, by its SHA-256."""

    digest: str
    media_type: str
    data: bytes


class KeptTurn(msgspec.Struct, kw_only=True):
    """One exchange's part of a session; ``turn_id`` makes storing it twice harmless.

    Attributes:
        is_first: the session's id was made for this turn, so that it need not be looked for.
        messages: at least one.
    """

    turn_id: str
    session_id: str
    owner: str
    user_id: str
    organization_id: str | None = None
    surface: str
    is_first: bool = False
    model: str
    agent_type: str | None = None
    title: str | None = None
    metadata: Json = msgspec.field(default_factory=dict)
    messages: list[KeptMessage]
    media: list[KeptMedia] = msgspec.field(default_factory=list)
    tokens_in: int = 0
    tokens_out: int = 0
    at: int = msgspec.field(default_factory=now_us)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names its session among all."""
        return self.owner, self.user_id, self.session_id


def kept(message: Json, raw: list[Any] | None, surface: str, marks: Json) -> KeptMessage:
    """A chat message as it is stored."""
    others = {
        key: value for key, value in message.items() if key not in {"role", "content"} and value not in (None, [])
    }
    attributes = {**marks}
    if others:
        attributes[MESSAGE] = others
    if raw is not None:
        attributes[SURFACE] = surface
    role = message.get("role")
    return KeptMessage(
        role=role[:32].replace("\0", "") if isinstance(role, str) else "unknown",
        content=message.get("content"),
        raw=raw,
        attributes=attributes,
    )

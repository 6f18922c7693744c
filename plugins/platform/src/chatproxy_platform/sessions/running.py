"""The session of one exchange, carried from hook to hook, and what is read of the exchange for it."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy import ChatRequest, PermissionDenied, RequestContext
from chatproxy.types import estimate_tokens
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.sessions.composing import Asked
from chatproxy_platform.sessions.fields import Fields
from chatproxy_platform.sessions.parts import text_of
from chatproxy_platform.sessions.reply import Answer, Hearing

STATE = "platform.session"
_MAX_OWNER = 210  # with room for what is put before it where sessions are counted


class Running(msgspec.Struct, kw_only=True):
    """The session of one exchange.

    Attributes:
        asked: what of the request is to be stored; None where nothing is kept.
        new_entries: how many of the request's last entries that is.
        is_settled: the turn was handed over, or needs not be.
    """

    session_id: str
    key: tuple[str, str, str]
    is_new: bool = False
    organization_id: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    asked: Asked | None = None
    new_entries: int = 0
    is_accepted: bool = False
    is_settled: bool = False
    hearing: Hearing | None = None


def running_of(ctx: RequestContext) -> Running | None:
    """The exchange's session; None where it has none."""
    found = ctx.state.get(STATE)
    return found if isinstance(found, Running) else None


def owner_of(ctx: RequestContext, identity: Identity | None) -> str | None:
    """Whose the session is; None where nobody is known."""
    if identity is not None:
        return identity.owner
    return None if ctx.principal is None else f"principal:{ctx.principal.id}"[:_MAX_OWNER]


def organization_of(identity: Identity | None, fields: Fields) -> str | None:
    """The key's; only a platform administrator may name another.

    Raises:
        PermissionDenied: the request names another one (403).
    """
    own = None if identity is None else identity.organization_id
    named = fields.organization_id
    if named is None or named == own or identity is None:
        return own
    if identity.role == "platform_admin":
        return named
    if own is None:
        return None
    raise PermissionDenied("The key belongs to another organization than the one in 'organization_id'.")


def instruct_again(request: ChatRequest, lead: list[dict[str, Any]]) -> None:
    """Give a resumed session its instructions again."""
    if lead and request.layout.surface == "chat":
        request.messages = [*lead, *request.messages]
    elif lead:
        request.instruct("\n\n".join(text_of(message.get("content")) for message in lead), "default")


def agent_of(workflow: Any) -> str | None:
    """What a session says as ``agent_type``: the workflow's name."""
    return workflow.replace("\0", "")[:200] if isinstance(workflow, str) else None


def tokens_of(answer: Answer | None, request: ChatRequest | None) -> tuple[int, int]:
    """In and out, as the answer says, else estimated as the gateway does."""
    if answer is None or request is None:
        return 0, 0
    if answer.usage is not None:
        return answer.usage.prompt_tokens, answer.usage.completion_tokens
    asked = sum(len(text.value) for text in request.texts())
    return estimate_tokens(asked), estimate_tokens(answer.size_bytes)

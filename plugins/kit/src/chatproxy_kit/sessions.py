"""Which session an exchange belongs to, and for whom: what the request says, before another plugin takes it out.

Source: the session semantics of the platform plugin: ``session_id`` at top level or in ``metadata``, likewise
``user_id``, and OpenAI's own ``user``.
"""

from __future__ import annotations

import re
from secrets import token_hex
from typing import Any

import msgspec

from chatproxy import ChatRequest, RequestContext
from chatproxy.errors import InvalidRequest

HEADER = "x-chatproxy-session-id"
MAX_CHARS = 200
_SAYING = frozenset({"session_id", "user_id", "metadata", "user"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STATE = "kit.said"


class Said(msgspec.Struct, frozen=True):
    """What a request says of its session; values as they came."""

    session_id: Any = None
    user_id: Any = None


_NOTHING = Said()


def note(ctx: RequestContext, request: ChatRequest) -> None:
    """Keep what the request says; call it before other plugins change the request."""
    if _SAYING.isdisjoint(request):
        return
    metadata = request.peek("metadata")
    inner: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    session_id, user_id = request.peek("session_id"), request.peek("user_id")
    ctx.state[_STATE] = Said(
        session_id=inner.get("session_id") if session_id is None else session_id,
        user_id=next((v for v in (user_id, inner.get("user_id"), request.peek("user")) if v is not None), None),
    )


def session_of(ctx: RequestContext) -> str:
    """The exchange's session: another plugin's, the request's, the header's, or a new one; told in a header.

    Raises:
        InvalidRequest: the request's is no usable name (400).
    """
    if ctx.session_id is None:
        said: Said = ctx.state.get(_STATE, _NOTHING)
        given = ctx.headers.get(HEADER) if said.session_id is None else said.session_id
        ctx.session_id = f"session-{token_hex(16)}" if given is None else _checked(given)
        if ctx.session_id.isascii() and ctx.session_id.isprintable():
            ctx.reply_headers.setdefault(HEADER, ctx.session_id)
    return ctx.session_id


def user_of(ctx: RequestContext) -> str | None:
    """Whom the request says it is for; nobody has checked it. What cannot name anybody is none."""
    user_id = ctx.state.get(_STATE, _NOTHING).user_id
    return user_id if isinstance(user_id, str) and _is_name(user_id) else None


def _checked(given: object) -> str:
    if not isinstance(given, str):
        raise InvalidRequest(f"'session_id' must be a string, found {type(given).__name__}.", param="session_id")
    if not _is_name(given):
        message = f"'session_id' must have 1 to {MAX_CHARS} characters, none of them a control character."
        raise InvalidRequest(message, param="session_id")
    return given


def _is_name(value: str) -> bool:
    return 0 < len(value) <= MAX_CHARS and not _CONTROL.search(value)

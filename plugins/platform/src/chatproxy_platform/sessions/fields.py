"""What a request says about its session, taken out of it in whatever place it is said.

Rule: pure. What is the platform's own leaves the request; ``allowed_tools`` and ``mcp_servers`` are read and stay, for
the plugin that runs tools takes them itself; Anthropic's own ``metadata.user_id`` stays too.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from chatproxy import ChatRequest
from chatproxy.errors import InvalidRequest

MAX_NAME = 200
MAX_ORGANIZATION = 64
MAX_METADATA_BYTES = 64 << 10
_OWN = ("session_id", "organization_id", "workflow", "variables", "setting_sources", "user_id")
_KEPT = ("workflow", "variables", "setting_sources", "organization_id")
_NAMED = ("allowed_tools", "mcp_servers")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What one request says.

    Attributes:
        user: whom the conversation is kept for, as the client says.
        system_prompt: stands before the request's own instructions.
        metadata: is kept with the session.
    """

    session_id: str | None = None
    user: str | None = None
    organization_id: str | None = None
    system_prompt: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


NOTHING = Fields()
_SAYING = frozenset({*_OWN, "system_prompt", "metadata", "user"})


def taken_from(request: ChatRequest) -> Fields:
    """Read what a request says about its session, and take it out of the request.

    Raises:
        InvalidRequest: a field has another form than it may have (400).
    """
    if _SAYING.isdisjoint(request):
        return NOTHING
    said = {name: request[name] for name in (*_OWN, "system_prompt") if name in request}
    has_metadata = "metadata" in request
    for name in said:
        del request[name]
    metadata = _taken_from_metadata(request) if has_metadata else {}
    found = {**{name: metadata.pop(name) for name in _OWN if name in metadata}, **said}
    found = {name: value for name, value in found.items() if value is not None}
    _name_tools(request, metadata)
    kept = {**metadata, **{name: unpacked(found[name]) for name in _KEPT if name in found}}
    if len(msgspec.json.encode(kept)) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"'metadata' holds over {MAX_METADATA_BYTES} bytes.", param="metadata")
    return Fields(
        session_id=_name(found, "session_id", MAX_NAME),
        user=_name(found, "user_id", MAX_NAME) or _user(request),
        organization_id=_name(found, "organization_id", MAX_ORGANIZATION),
        system_prompt=_prompt(found.get("system_prompt")),
        metadata=kept,
    )


def _taken_from_metadata(request: ChatRequest) -> dict[str, Any]:
    """All of ``metadata``; what is the platform's own is taken out of the request."""
    metadata = request.get("metadata")
    if not isinstance(metadata, dict):
        return {}
    found = dict(metadata)
    stays = {"user_id"} if request.layout.surface == "messages" else set()
    for name in _OWN:
        if name not in stays:
            metadata.pop(name, None)
    if not metadata:
        del request["metadata"]
    return found


def _name_tools(request: ChatRequest, metadata: dict[str, Any]) -> None:
    """Keep the names of tools and servers; a server's object may hold credentials."""
    for name in _NAMED:
        value = unpacked(request.get(name, metadata.pop(name, None)))
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            metadata[name] = value
    metadata.pop("mcp_progress", None)


def unpacked(value: Any) -> Any:
    """A value of ``metadata``, which OpenAI's clients hold as text: JSON where it looks like it."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def _name(found: dict[str, Any], name: str, max_chars: int) -> str | None:
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"'{name}' must be a string, found {type(value).__name__}.", param=name)
    if not value or len(value) > max_chars or _CONTROL.search(value):
        raise InvalidRequest(
            f"'{name}' must have 1 to {max_chars} characters, none of them a control character.", param=name
        )
    return value


def _user(request: ChatRequest) -> str | None:
    """OpenAI's own ``user``, which stays; what cannot name anybody is the upstream's affair."""
    value = request.get("user")
    if not isinstance(value, str) or not value or len(value) > MAX_NAME or _CONTROL.search(value):
        return None
    return value


def _prompt(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise InvalidRequest(f"'system_prompt' must be a string, found {type(value).__name__}.", param="system_prompt")

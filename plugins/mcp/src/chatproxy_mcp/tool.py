"""Tool: one tool of a server as models know it; plain data that the other modules pass around."""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that may be offered.

    Attributes:
        server: its server's name.
        name: what the server calls it.
        offered: what models call it, ``server__name``; at most 64 characters.
        description: as models get it.
        parameters: JSON schema of its arguments, an object.
        output_schema: JSON schema of its structured content.
        annotations: what the server says of its behaviour; hints, never trusted.
        digest: SHA-256 over what is pinned, in hexadecimal.
        flags: what the scan of its text found, short phrases.
        needs_approval: calls wait for the client's word.
    """

    server: str
    name: str
    offered: str
    title: str = ""
    description: str = ""
    parameters: Json = msgspec.field(default_factory=dict)
    output_schema: Json | None = None
    annotations: Json = msgspec.field(default_factory=dict)
    digest: str = ""
    flags: tuple[str, ...] = ()
    needs_approval: bool = False

    def __hash__(self) -> int:
        return hash((self.server, self.name, self.digest))


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that is not offered, and why.

    Attributes:
        reason: ``changed`` (since it was pinned), ``unapproved``, ``hidden_text``, ``flagged``, ``look_alike``,
            ``bad_name``, ``bad_schema``, ``denied`` or ``too_many``.
        detail: one short clause for the operator.
    """

    server: str
    name: str
    reason: str
    detail: str = ""
    digest: str = ""

"""Listing and LinkState: what is known of a server; plain data."""

from __future__ import annotations

from typing import Literal

import mcp_types
import msgspec

Status = Literal["idle", "connecting", "ready", "down"]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of a server.

    Attributes:
        tools: in the server's order; at most ``max_tools`` + 1, so that "too many" can be seen.
        ttl_s: how long the server says they hold; None: it does not say.
        is_partial: there were more.
    """

    tools: list[mcp_types.Tool]
    ttl_s: float | None = None
    is_partial: bool = False


class LinkState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a server; nothing secret.

    Attributes:
        sessions: open at the moment.
        last_error: a short sentence; None once it answered again.
        retry_in_s: until a call tries to connect again; 0: at once.
        calls: of tools, since the start; ``failures`` of them ended in a `ServerError`.
    """

    status: Status = "idle"
    sessions: int = 0
    protocol_version: str | None = None
    server_name: str | None = None
    server_version: str | None = None
    last_error: str | None = None
    retry_in_s: float = 0.0
    calls: int = 0
    failures: int = 0

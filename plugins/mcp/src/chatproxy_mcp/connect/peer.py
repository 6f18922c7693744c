"""Peer: what a server said of itself when a session was opened."""

from __future__ import annotations

import msgspec
from mcp import Client
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from chatproxy_mcp.connect.errors import clean

MAX_NAME = 64


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said of itself."""

    protocol_version: str
    name: str | None
    version: str | None
    lists_change: bool

    @property
    def is_modern(self) -> bool:
        """Whether it keeps no session."""
        return self.protocol_version in MODERN_PROTOCOL_VERSIONS


def peer_of(client: Client) -> Peer:
    """Read it; names are cleaned, since operators see them."""
    info = client.server_info
    tools = client.server_capabilities.tools
    return Peer(
        protocol_version=client.protocol_version,
        name=clean(info.name, MAX_NAME) if info is not None else None,
        version=clean(info.version, MAX_NAME) if info is not None else None,
        lists_change=bool(tools and tools.list_changed),
    )

"""Overview: servers, tools, health and pins as JSON, for the route and the commands.

Rule: never a header, an argument, an environment variable, or the part of an address that may hold a credential.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from chatproxy_mcp.config import Server
from chatproxy_mcp.operators.parts import Parts


def overview(parts: Parts, servers: list[str]) -> dict[str, Any]:
    """What is known of some servers of the configuration, in their order.

    Nothing is asked for: a server whose tools nobody wanted yet shows none.
    """
    states, report = parts.links.states(), parts.catalogue.report()
    return {
        "mode": parts.config.mode,
        "pinning": report["pinning"],
        "pins_fault": report["pins_fault"],
        "servers": {
            name: {
                **_reached(parts.config.servers[name]),
                "health": msgspec.to_builtins(states[name]) if name in states else None,
                **report["servers"][name],
                "pinned": len(parts.pins.of(name)),
            }
            for name in servers
        },
    }


def public_url(url: str) -> str:
    """An address's scheme, host and port: some services put a key into the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _reached(server: Server) -> dict[str, Any]:
    where = {"command": server.command} if server.url is None else {"url": public_url(server.url)}
    return {
        **where,
        "auth": _tag(server.auth),
        "approval": server.approval if isinstance(server.approval, str) else list(server.approval),
        "is_default": server.is_default,
    }


def _tag(auth: msgspec.Struct) -> str:
    return str(type(auth).__struct_config__.tag)

"""Endpoint: where a server is, as attributes of telemetry.

Rule: host and port only; paths and queries of addresses may hold keys, and so may arguments of commands.
Source: OpenTelemetry's conventions for MCP, "Recording MCP transport".
"""

from __future__ import annotations

import httpx2

from chatproxy_mcp.config import Server


def endpoint_of(server: Server) -> dict[str, str | int]:
    """The attributes of a server's transport, by name."""
    if server.url is None:
        return {"network.transport": "pipe"}
    url = httpx2.URL(server.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    return {
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "server.address": url.host,
        "server.port": port,
    }

"""Details: what `ToolCall.details` says of a call to a server, for telemetry.

Rule: what the call was, never what was said in it. The id of a session is no part of it: whoever has it may speak in
that session. Nor is the id of the JSON-RPC request, which the SDK keeps to itself.
Source: OpenTelemetry's conventions for MCP, "Client".
"""

from __future__ import annotations

from chatproxy_mcp.connect.errors import CallRefusedError, ServerError
from chatproxy_mcp.tool import Tool

_HTTP_ERRORS = range(400, 600)


def called(tool: Tool) -> dict[str, str | int]:
    """A call that goes to a server, by attribute names; the tool is named as its server does."""
    return {"mcp.method.name": "tools/call", "chatproxy.mcp.tool": tool.name}


def refused(failed: ServerError) -> dict[str, str | int]:
    """The code of a JSON-RPC error, where the server answered by one; a status of HTTP's is none."""
    if not isinstance(failed, CallRefusedError) or failed.code in _HTTP_ERRORS:
        return {}
    return {"rpc.response.status_code": str(failed.code)}

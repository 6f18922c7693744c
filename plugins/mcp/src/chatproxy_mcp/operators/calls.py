"""``chatproxy mcp call``: one tool, called by the operator.

Rule: no model, no guardrail and no pin stands between; it is for looking at a server, not for serving anybody.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import mcp_types
import msgspec

from chatproxy_mcp.catalogue.names import offered_name
from chatproxy_mcp.connect.errors import ServerError
from chatproxy_mcp.connect.links import Links
from chatproxy_mcp.operators.listing import chosen
from chatproxy_mcp.operators.parts import opened
from chatproxy_mcp.operators.shown import one_line, visible


async def call(args: argparse.Namespace) -> int:
    """Exit code 1: the tool or its server failed."""
    (name,) = chosen(args.plugin_config, [args.server])
    arguments = _object(args.arguments)
    timeout_s = args.plugin_config.servers[name].call_timeout_s
    async with opened(args.plugin_config, args.config_file) as parts:
        try:
            tool = await _own_name(parts.links, name, args.tool)
            result = await parts.links.call(name, tool, arguments, tenant="", meta={}, timeout_s=timeout_s)
        except ServerError as exc:
            sys.stderr.write(f"chatproxy mcp: {name}: {one_line(str(exc), 600)}\n")
            return 1
    if args.json:
        found = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{part}\n" for part in _shown(result)))
    return 1 if result.is_error else 0


def _object(text: str) -> dict[str, Any]:
    given = sys.stdin.buffer.read() if text == "-" else text.encode()
    try:
        return msgspec.json.decode(given or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise ValueError(f"the arguments are no JSON object: {exc}") from exc


async def _own_name(links: Links, server: str, wanted: str) -> str:
    """What the server calls a tool that is given by either of its names."""
    names = [tool.name for tool in (await links.list_tools(server)).tools]
    for name in names:
        if wanted in {name, offered_name(server, name)}:
            return name
    near = get_close_matches(wanted, names, n=3) or sorted(names)[:10]
    raise ValueError(f"{server} has no tool {wanted!r}; it has {one_line(', '.join(near) or 'none', 500)}")


def _shown(result: mcp_types.CallToolResult) -> Iterator[str]:
    for part in result.content:
        match part:
            case mcp_types.TextContent():
                yield visible(part.text)
            case mcp_types.ImageContent() | mcp_types.AudioContent():
                yield f"[{part.type}, {one_line(part.mime_type, 80)}, {len(part.data) * 3 // 4:,} bytes]"
            case mcp_types.ResourceLink():
                yield f"[resource {one_line(str(part.uri), 500)}]"
            case mcp_types.EmbeddedResource():
                yield f"[resource {one_line(str(part.resource.uri), 500)}]"
                if isinstance(part.resource, mcp_types.TextResourceContents):
                    yield visible(part.resource.text)
    if not result.content and result.structured_content is not None:
        yield json.dumps(result.structured_content, indent=2)

"""``chatproxy mcp list``: every server is asked now."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from chatproxy_mcp.config import Config
from chatproxy_mcp.operators.overview import overview
from chatproxy_mcp.operators.parts import Parts, opened
from chatproxy_mcp.operators.shown import one_line

_WIDTH = 72


async def list_servers(args: argparse.Namespace) -> int:
    """Exit code 1: a server could not be listed."""
    wanted = chosen(args.plugin_config, args.server)
    async with opened(args.plugin_config, args.config_file) as parts:
        found = await listed(parts, wanted)
    if args.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(found["servers"])))
    return 1 if any(_error(entry) for entry in found["servers"].values()) else 0


def chosen(config: Config, names: list[str] | None) -> list[str]:
    """The servers that are named, or all.

    Raises:
        ValueError: there is no such server, or none at all.
    """
    if not config.servers:
        raise ValueError("no servers are configured; add [plugins.mcp.servers.<name>] to the configuration")
    for name in names or ():
        if name not in config.servers:
            raise ValueError(f"there is no server {name!r}; there are {', '.join(sorted(config.servers))}")
    return list(dict.fromkeys(names)) if names else sorted(config.servers)


async def listed(parts: Parts, servers: list[str]) -> dict[str, Any]:
    """Ask servers for their tools, all at once; what is then known of them."""
    await asyncio.gather(*(parts.catalogue.refresh(name) for name in servers))
    return overview(parts, servers)


def _lines(servers: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, entry in servers.items():
        lines.append(f"{name}: {_summary(entry)}")
        for tool in entry["tools"]:
            known = ["approved"] if tool["approved"] else ["pinned"] if tool["pinned"] else []
            marks = [*known, *(f"! {flag}" for flag in tool["flags"])]
            lines.append(f"  {tool['offered']}" + (f"  ({'; '.join(marks)})" if marks else ""))
        for tool in entry["withheld"]:
            detail = f": {one_line(tool['detail'], _WIDTH)}" if tool["detail"] else ""
            lines.append(f"  - {one_line(tool['name'], _WIDTH)}  (withheld, {tool['reason']}{detail})")
    return lines


def _summary(entry: dict[str, Any]) -> str:
    health = entry["health"] or {}
    if error := _error(entry):
        return f"failed, {one_line(error, 200)}"
    who = " ".join(part for part in (health.get("server_name"), health.get("server_version")) if part)
    offered, withheld = len(entry["tools"]), len(entry["withheld"])
    return ", ".join(
        part
        for part in (
            health.get("status", "idle"),
            health.get("protocol_version"),
            one_line(who, _WIDTH) if who else None,
            f"{offered} tool{'' if offered == 1 else 's'}",
            f"{withheld} withheld" if withheld else None,
        )
        if part
    )


def _error(entry: dict[str, Any]) -> str | None:
    error: str | None = entry.get("error")
    return error

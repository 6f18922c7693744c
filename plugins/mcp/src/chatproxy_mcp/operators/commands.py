"""``chatproxy mcp list``, ``call`` and ``approve``.

Exit codes: 0 done; 1 a server or a tool failed, or something was not approved; 2 wrong usage, nothing was tried.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from chatproxy import Command
from chatproxy_mcp.operators.approval import approve
from chatproxy_mcp.operators.calls import call
from chatproxy_mcp.operators.listing import list_servers

_LOGGERS = ("chatproxy_mcp", "mcp", "httpx2", "httpcore2")


def mcp_command() -> Command:
    """For the hook ``commands``."""
    return Command(name="mcp", help="List, call and approve the tools of MCP servers.", run=run, configure=configure)


def run(args: argparse.Namespace) -> int:
    """Run an action; returns the exit code."""
    for name in _LOGGERS:  # the actions say themselves what is the matter
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        code: int = asyncio.run(args.action(args))
    except ValueError as exc:  # wrong usage, a file of pins that cannot be read
        sys.stderr.write(f"chatproxy mcp: {exc}\n")
        return 2
    except OSError as exc:
        sys.stderr.write(f"chatproxy mcp: {exc}\n")
        return 1
    return code


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    lists = actions.add_parser("list", help="Ask the servers for their tools.", allow_abbrev=False)
    lists.add_argument("--server", metavar="NAME", action="append", help="only this server; may be repeated")
    lists.add_argument("--json", action="store_true", help="write JSON")
    lists.set_defaults(action=list_servers)

    calls = actions.add_parser("call", help="Call a tool, without a model and without hooks.", allow_abbrev=False)
    calls.add_argument("server", metavar="SERVER")
    calls.add_argument("tool", metavar="TOOL", help="as the server calls it, or as models do (SERVER__TOOL)")
    calls.add_argument(
        "arguments", metavar="JSON", nargs="?", default="{}", help="an object; - for standard input; default {}"
    )
    calls.add_argument("--json", action="store_true", help="write the whole result as JSON")
    calls.set_defaults(action=call)

    approves = actions.add_parser("approve", help="Show withheld tools and pin what is approved.", allow_abbrev=False)
    approves.add_argument("server", metavar="SERVER", nargs="?")
    approves.add_argument(
        "tools", metavar="TOOL", nargs="*", help="as the server calls it; otherwise all withheld ones"
    )
    approves.add_argument("--all", action="store_true", help="of every server")
    approves.add_argument("--yes", action="store_true", help="approve without questions")
    approves.set_defaults(action=approve)
    for action in (lists, calls, approves):
        for source in ("--config", "--plugin"):  # the command line has read them already, wherever they stand
            action.add_argument(source, metavar="FILE", default=argparse.SUPPRESS, help="as for chatproxy serve")

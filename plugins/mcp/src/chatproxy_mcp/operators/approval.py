"""``chatproxy mcp approve``: what is withheld is shown as it was and as it is, and pinned when the operator says so.

Rule: what is pinned is the very listing that was shown; no server is asked again in between.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator

import msgspec

from chatproxy_mcp.catalogue.pins import Pin
from chatproxy_mcp.operators.listing import chosen, listed
from chatproxy_mcp.operators.parts import Parts, opened
from chatproxy_mcp.operators.shown import changes, one_line, visible
from chatproxy_mcp.tool import Tool

APPROVABLE = frozenset({"changed", "unapproved", "hidden_text", "flagged"})
_WIDTH = 200


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that an approval would offer again, or pin as it is where ``reason`` is empty."""

    tool: Tool
    pin: Pin | None
    reason: str
    detail: str


async def approve(args: argparse.Namespace) -> int:
    """Exit code 1: a server could not be listed, a tool is not there or cannot be approved, or somebody said no."""
    if args.server is not None and args.all:
        raise ValueError("give a server or --all, not both")
    if args.yes and args.server is None and not args.all:
        raise ValueError("--yes needs a server or --all")
    if not args.yes and not sys.stdin.isatty():
        raise ValueError("there is no terminal to ask on; look at the changes there, or use --yes")
    servers = chosen(args.plugin_config, [args.server] if args.server is not None else None)
    async with opened(args.plugin_config, args.config_file) as parts:
        found = await listed(parts, servers)
        failed = [(name, entry["error"]) for name, entry in found["servers"].items() if entry.get("error")]
        _complain(f"{name}: {one_line(error, _WIDTH)}" for name, error in failed)
        all_done = not failed
        for name in servers:
            if name not in dict(failed):
                all_done &= await _approve_of(parts, name, args.tools, is_sure=args.yes)
    return 0 if all_done else 1


async def _approve_of(parts: Parts, server: str, wanted: list[str], *, is_sure: bool) -> bool:
    """Ask about the tools of one server; whether every one of them is approved now."""
    candidates, faults = _candidates(parts, server, wanted)
    _complain(f"{server}: {fault}" for fault in faults)
    approved: list[Tool] = []
    for candidate in candidates:
        sys.stdout.write("".join(f"{line}\n" for line in _described(candidate)))
        if is_sure or _says_yes(f"Approve {server}: {one_line(candidate.tool.name, _WIDTH)}? [y/N] "):
            approved.append(candidate.tool)
    if approved:
        await asyncio.to_thread(parts.pins.approve, server, approved)
    sys.stdout.write(f"{server}: {len(approved)} of {len(candidates)} approved\n" if candidates else "")
    if not candidates and not faults:
        sys.stdout.write(f"{server}: nothing to approve\n")
    return len(approved) == len(candidates) and not faults


def _candidates(parts: Parts, server: str, wanted: list[str]) -> tuple[list[Candidate], list[str]]:
    """The tools to be asked about, and what is the matter with the others that were named."""
    seen, pins = parts.catalogue.seen(server), parts.pins.of(server)
    withheld = {each["name"]: each for each in parts.catalogue.report()["servers"][server]["withheld"]}
    found: list[Candidate] = []
    faults: list[str] = []
    for name in wanted or [name for name, each in withheld.items() if each["reason"] in APPROVABLE]:
        reason, detail = (withheld[name]["reason"], withheld[name]["detail"]) if name in withheld else ("", "")
        shown = one_line(name, _WIDTH)
        if name not in seen:
            faults.append(f"there is no tool {shown!r}" if not reason else f"{shown} cannot be approved ({reason})")
        elif reason and reason not in APPROVABLE:
            faults.append(f"{shown} cannot be approved ({reason}: {one_line(detail, _WIDTH)})")
        elif reason or (name in pins) is False or not pins[name].is_approved:
            found.append(Candidate(tool=seen[name], pin=pins.get(name), reason=reason, detail=detail))
    return found, faults


def _described(candidate: Candidate) -> Iterator[str]:
    tool, pin = candidate.tool, candidate.pin
    why = f" ({candidate.reason}: {one_line(candidate.detail, _WIDTH)})" if candidate.reason else ""
    yield f"{tool.server}: {one_line(tool.name, _WIDTH)}{why}"
    for flag in tool.flags:
        yield f"  ! {one_line(flag, _WIDTH)}"
    if pin is None or pin.digest == tool.digest:
        yield from _indented("description", visible(tool.description).splitlines())
        return
    yield f"  pinned {pin.approved_at} ({'approved' if pin.is_approved else 'when first seen'})"
    text = list(changes(pin.description, tool.description))
    yield from _indented("description", text or ["is the same"])
    schema = list(changes(_pretty(pin.parameters), _pretty(msgspec.json.encode(tool.parameters, order="sorted"))))
    if not pin.parameters:
        yield "  parameters: too large to be kept, so the change cannot be shown"
    else:
        yield from _indented("parameters", schema or ["are the same"])
    if pin.parameters and not text and not schema:
        yield from _indented("the change is in one of these, now", _others(tool))


def _others(tool: Tool) -> list[str]:
    rest = {"title": tool.title, "output schema": tool.output_schema, "annotations": tool.annotations}
    return [visible(f"{name}: {msgspec.json.encode(value).decode()}") for name, value in rest.items()]


def _indented(label: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"  {label}:"
    for line in lines:
        yield f"    {line}"


def _pretty(schema: str | bytes) -> str:
    """A schema with sorted keys, a line for each value."""
    if not schema:
        return ""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.decode(schema), order="sorted"), indent=2).decode()


def _says_yes(question: str) -> bool:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _complain(messages: Iterable[str]) -> None:
    for message in messages:
        sys.stderr.write(f"chatproxy mcp: {message}\n")

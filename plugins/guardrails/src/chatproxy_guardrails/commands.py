"""``chatproxy guardrails test``: what the policies would do to a text, in colour."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from chatproxy import Command
from chatproxy_guardrails.bound import Bound, bind
from chatproxy_guardrails.checks.base import TARGETS, Finding, HasLifespan, Target
from chatproxy_guardrails.config import Config
from chatproxy_guardrails.rehearsal import Step, rehearse

_COLOURS = {"block": "31", "redact": "33", "mask_reversibly": "36", "flag": "35"}


def test_command() -> Command:
    """For the hook ``commands``."""
    return Command(
        name="guardrails",
        help="Show what the guardrail policies would do to a text.",
        run=run,
        configure=_configure,
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0: the text passes, changed or not; 1: it is blocked; 2: nothing could be tested."""
    try:
        config = _policies(args)
        text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text(encoding="utf-8")
        steps = asyncio.run(_rehearsed(config, text, args.on, args.role))
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        sys.stderr.write(f"chatproxy guardrails: {exc}\n")
        return 2
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(_as_json(steps, text)), indent=2).decode() + "\n")
    else:
        _show(steps, text, colour=_wants_colour(args.color))
    return 1 if any(step.blocks for step in steps) else 0


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    test = actions.add_parser("test", help="Test a text.", allow_abbrev=False)
    test.add_argument("file", metavar="FILE", help="a text file; - for standard input")
    test.add_argument("--policy", metavar="TOML", help="policies; otherwise those of the configuration")
    for source in ("--config", "--plugin"):  # the command line has read them already, wherever they stand
        test.add_argument(source, default=argparse.SUPPRESS, help="as for chatproxy serve")
    test.add_argument("--on", choices=TARGETS, default="input", help="what the text is (input)")
    test.add_argument("--role", default="user", help="whose text it is (user)")
    test.add_argument("--json", action="store_true", help="write JSON")
    test.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colours (auto)")


def _policies(args: argparse.Namespace) -> Config:
    """The policies of ``--policy``: ``[[policy]]`` at its top, or a whole configuration."""
    if args.policy is None:
        config: Config = args.plugin_config
        return config
    found = tomllib.loads(Path(args.policy).read_text(encoding="utf-8"))
    table: Mapping[str, Any] = found.get("plugins", {}).get("guardrails", found)
    return msgspec.convert(table, Config)


async def _rehearsed(config: Config, text: str, target: Target, role: str) -> list[Step]:
    bounds: list[Bound] = bind(config.policy)
    async with AsyncExitStack() as stack:
        for bound in bounds:
            if isinstance(bound.check, HasLifespan):
                await stack.enter_async_context(bound.check.lifespan())
        return await rehearse(bounds, text, target, role)


# -- what is shown ----------------------------------------------------------------------------------------------------


def _show(steps: Sequence[Step], text: str, *, colour: bool) -> None:
    write = sys.stdout.write
    for step in steps:
        policy = step.bound.policy
        write(f"policy {policy.name} ({policy.check}, {policy.action}, {policy.mode}): {_summary(step)}\n")
        for finding in step.findings:
            line, column = _place(step.text, finding.start)
            write(f"  {line}:{column} {finding.kind}: {_shown(step, finding, colour=colour)}\n")
    if not steps:
        write("no policy looks at such a text\n")
    elif steps[-1].blocks:
        write("result: blocked\n")
    elif steps[-1].result == text:
        write("result: passes unchanged\n")
    else:
        write(f"result: passes as\n{steps[-1].result}\n")


def _summary(step: Step) -> str:
    if step.failure:
        return f"the check failed: {step.failure}"
    found = len(step.findings)
    return "nothing found" if not found else f"{found} finding{'s' if found > 1 else ''}"


def _shown(step: Step, finding: Finding, *, colour: bool) -> str:
    """The finding in the middle of its line."""
    begin = max(step.text.rfind("\n", 0, finding.start) + 1, finding.start - 30)
    end = min((step.text + "\n").index("\n", finding.end), finding.end + 30)
    before, found = step.text[begin : finding.start], step.text[finding.start : finding.end].replace("\n", "⏎")
    mark = (f"\x1b[1;{_COLOURS[step.bound.policy.action]}m", "\x1b[0m") if colour else ("»", "«")
    return _printable(before) + mark[0] + _printable(found) + mark[1] + _printable(step.text[finding.end : end])


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "·" for char in text)


def _place(text: str, position: int) -> tuple[int, int]:
    """Line and column, from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _as_json(steps: Sequence[Step], text: str) -> dict[str, Any]:
    return {
        "blocked": any(step.blocks for step in steps),
        "result": steps[-1].result if steps else text,
        "policies": [
            {
                "policy": step.bound.name,
                "check": step.bound.policy.check,
                "action": step.bound.policy.action,
                "mode": step.bound.policy.mode,
                "failure": step.failure or None,
                "findings": [msgspec.structs.asdict(finding) for finding in step.findings],
            }
            for step in steps
        ],
    }


def _wants_colour(choice: str) -> bool:
    if choice == "auto":
        return sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return choice == "always"

"""``chatproxy usage``: sums of usage at the terminal, as a table, CSV or JSON."""

from __future__ import annotations

import argparse
import asyncio
import sys

import msgspec

from chatproxy import ApiError, Command
from chatproxy_platform.config import Config
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.storage.database import Database
from chatproxy_platform.usage.reports import DIMENSIONS, Reports, UsageQuery, UsageReport, to_csv

_SHOWN = ("requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")


def usage_command() -> Command:
    """For the hook ``commands``."""
    return Command(name="usage", help="Show what was used and what it cost.", run=run, configure=_configure)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: shown; 2: it could not be read."""
    try:
        query = _query(args)
        report = asyncio.run(_report(args.plugin_config, query))
    except ApiError as exc:
        sys.stderr.write(f"chatproxy usage: {exc.message}\n")
        return 2
    if args.csv:
        sys.stdout.write(to_csv(report, query.by))
    elif args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    else:
        _show(report, query)
    return 0


def _configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--by", default="day", metavar="NAMES", help=f"one or more of {', '.join(DIMENSIONS)}, with commas (day)")
    add("--from", dest="start", metavar="DAY", help="the first day, as 2026-11-01, UTC")
    add("--to", dest="end", metavar="DAY", help="the last day")
    for name, field in DIMENSIONS.items():
        if name != "day":
            add(f"--{name}", dest=field, metavar="ID", help=f"of this {name} alone")
    add("--limit", type=int, default=1000, help="rows at most (1000)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="write CSV")
    form.add_argument("--json", action="store_true", help="write JSON")


def _query(args: argparse.Namespace) -> UsageQuery:
    return UsageQuery(
        by=tuple(name.strip() for name in args.by.split(",") if name.strip()),
        start=args.start,
        end=args.end,
        key_id=args.key_id,
        user_id=args.user_id,
        organization_id=args.organization_id,
        model=args.model,
        limit=args.limit,
    )


async def _report(config: Config, query: UsageQuery) -> UsageReport:
    database = Database(config.database_url, config.database)
    try:
        return await Reports(database).sums(OPERATOR, query)
    finally:
        await database.aclose()


def _show(report: UsageReport, query: UsageQuery) -> None:
    names = [DIMENSIONS[name] for name in query.by]
    lines = [[*names, *_SHOWN, "cost_usd"]]
    for row in [*report.rows, report.total] if names else report.rows:
        texts = [_printable(getattr(row, name) or "-") for name in names]
        if row is report.total:
            texts = ["total", *[""] * (len(names) - 1)]
        lines.append([*texts, *(str(getattr(row, name)) for name in _SHOWN), f"{row.cost_usd:.6f}"])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            text.ljust(width) if index < len(names) else text.rjust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    if report.count > len(report.rows):
        sys.stdout.write(f"{len(report.rows)} of {report.count} rows; see --limit\n")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "·" for char in text)

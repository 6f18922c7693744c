"""``chatproxy audit verify|export|tail``: the audit log at the command line."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from chatproxy import Command
from chatproxy_platform.audit.chain import Head
from chatproxy_platform.audit.events import Entry
from chatproxy_platform.audit.reading import AuditReader, Verdict, json_line
from chatproxy_platform.config import Config
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database

POLL_S = 1.0
_LINE = "{timestamp}  {action:<24} {resource} {resource_id}  by {user_id} {org_id}  {metadata}\n"


def audit_command() -> Command:
    """For the hook ``commands``."""
    return Command(name="audit", help="Check, export or follow the audit log.", run=run, configure=_configure)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: done, nothing wrong; 1: `verify` found a bad row; 2: the log could not be read."""
    try:
        return asyncio.run(_run(args))
    except (StorageUnavailable, OSError, ValueError) as exc:
        sys.stderr.write(f"chatproxy audit: {exc}\n")
        return 2
    except KeyboardInterrupt:
        return 0


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    verify = actions.add_parser("verify", help="Check every row; exit code 1 names the first bad one.")
    verify.add_argument("--anchor", metavar="SEQ:HASH", type=_anchor, help="a row that an earlier verify ended with")
    verify.set_defaults(action=_verify)
    export = actions.add_parser("export", help="Write all rows as JSON lines.")
    export.add_argument("--output", metavar="FILE", default="-", help="a file; - for standard output (-)")
    export.set_defaults(action=_export)
    tail = actions.add_parser("tail", help="Show the last rows.")
    tail.add_argument("-n", "--lines", metavar="N", type=_count, default=20, help="how many (20)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with new ones until interrupted")
    tail.set_defaults(action=_tail)
    for action in (verify, export, tail):
        action.add_argument("--json", action="store_true", help="write JSON")
        for source in ("--config", "--plugin"):  # the command line has read them already, wherever they stand
            action.add_argument(source, default=argparse.SUPPRESS, help="as for chatproxy serve")


async def _run(args: argparse.Namespace) -> int:
    config: Config = args.plugin_config
    async with _reader(config) as reader:
        action: Callable[[AuditReader, argparse.Namespace], Awaitable[int]] = args.action
        return await action(reader, args)


@asynccontextmanager
async def _reader(config: Config) -> AsyncIterator[AuditReader]:
    database = Database(config.database_url, config.database)
    try:
        yield AuditReader(database)
    finally:
        await database.aclose()


async def _verify(reader: AuditReader, args: argparse.Namespace) -> int:
    verdict = await reader.verify(args.anchor)
    shown = _as_json(verdict) if args.json else _as_text(verdict)
    sys.stdout.write(f"{shown}\n")
    return 0 if verdict.fault is None else 1


def _as_text(verdict: Verdict) -> str:
    good = f"{verdict.rows} rows are as they were written; the last is {verdict.rows}:{verdict.hash}"
    if verdict.fault is None:
        return good
    fault = verdict.fault
    return f"{fault.message} [{fault.kind}{f', id {fault.id}' if fault.id else ''}]\nBefore it, {good}"


def _as_json(verdict: Verdict) -> str:
    shown = {"intact": verdict.fault is None, **msgspec.structs.asdict(verdict)}
    return msgspec.json.encode(shown).decode()


async def _export(reader: AuditReader, args: argparse.Namespace) -> int:
    if args.output == "-":
        await _write_all(reader, sys.stdout.buffer)
    else:
        with await asyncio.to_thread(Path(args.output).open, "xb") as file:
            await _write_all(reader, file)
    return 0


async def _write_all(reader: AuditReader, file: BinaryIO) -> None:
    async with aclosing(reader.export()) as lines:
        async for some in lines:
            await asyncio.to_thread(file.write, some)
    await asyncio.to_thread(file.flush)


async def _tail(reader: AuditReader, args: argparse.Namespace) -> int:
    rows = await reader.tail(args.lines)
    _show(rows, as_json=args.json)
    while args.follow:
        last = rows[-1].seq if rows else 0
        await asyncio.sleep(POLL_S)
        async with aclosing(reader.batches(last)) as batches:
            async for batch in batches:
                _show(batch, as_json=args.json)
                rows = batch
    return 0


def _show(rows: list[Entry], *, as_json: bool) -> None:
    for row in rows:
        sys.stdout.write(json_line(row).decode() if as_json else _printable(row))
    sys.stdout.flush()


def _printable(row: Entry) -> str:
    """One line; what could move a terminal's cursor is shown as a dot."""
    shown = {**row.shown(), "metadata": row.details}
    texts = {name: "".join(c if c.isprintable() else "·" for c in str(value or "-")) for name, value in shown.items()}
    return _LINE.format(**texts)


def _anchor(text: str) -> Head:
    seq, _, digest = text.partition(":")
    if not seq.isdecimal() or len(digest) != 64:
        raise argparse.ArgumentTypeError("must be SEQ:HASH, as verify shows it")
    return Head(int(seq), digest.lower())


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError("must be a number from 1 to 100000")
    return int(text)

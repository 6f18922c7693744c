"""``chatproxy db upgrade|check``: the schema of the platform's database."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from chatproxy import ApiError, Command
from chatproxy.errors import ConfigError
from chatproxy_platform.config import Config
from chatproxy_platform.storage import schema
from chatproxy_platform.storage.database import Database

Action = Callable[[Database, argparse.Namespace], Awaitable[int]]


def db_command() -> Command:
    """For the hook ``commands``."""
    return Command(
        name="db", help="Bring the platform's database up to date, or check it.", run=run, configure=_configure
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0: done, or the schema is as it should be; 1: it differs; 2: the database cannot be used."""
    config: Config = args.plugin_config
    action: Action = args.action
    try:
        return asyncio.run(_act(action, config, args))
    except (ConfigError, ApiError) as exc:
        sys.stderr.write(f"chatproxy db: {exc}\n")
        return 2


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    upgrade = actions.add_parser("upgrade", help="Make or change the tables.", allow_abbrev=False)
    upgrade.add_argument("--sql", action="store_true", help="only write the statements; the database is not asked")
    upgrade.add_argument("--from", dest="start", metavar="REVISION", help="with --sql: what the schema has (nothing)")
    upgrade.set_defaults(action=_upgrade)
    check = actions.add_parser("check", help="Say how the tables differ.", allow_abbrev=False)
    check.set_defaults(action=_check)
    for action in (upgrade, check):
        for source in ("--config", "--plugin"):  # the command line has read them already, wherever they stand
            action.add_argument(source, default=argparse.SUPPRESS, help="as for chatproxy serve")


async def _act(action: Action, config: Config, args: argparse.Namespace) -> int:
    database = Database(config.database_url, config.database)
    try:
        return await action(database, args)
    finally:
        await database.aclose()


async def _upgrade(database: Database, args: argparse.Namespace) -> int:
    if args.sql:
        await asyncio.to_thread(schema.script, database, start=args.start)
    else:
        await schema.upgrade(database)
        sys.stdout.write("the database is up to date\n")
    return 0


async def _check(database: Database, _: argparse.Namespace) -> int:
    differences = await schema.check(database)
    for difference in differences:
        sys.stdout.write(f"{difference}\n")
    if not differences:
        sys.stdout.write("the database is as this version wants it\n")
    return 1 if differences else 0

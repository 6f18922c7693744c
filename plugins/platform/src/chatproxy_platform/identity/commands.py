"""``chatproxy keys create|list|rotate|revoke|disable|enable``: keys at the command line, as the operator."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from chatproxy import ApiError, Command, NotFound
from chatproxy.errors import StartupError
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import Config, Limits
from chatproxy_platform.identity.bootstrap import bootstrap
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.keys import KeyService
from chatproxy_platform.identity.people import PeopleService
from chatproxy_platform.identity.pepper import load_hasher
from chatproxy_platform.identity.records import OPERATOR, RANKS
from chatproxy_platform.identity.specs import KeySpec, OrganizationSpec, UserSpec
from chatproxy_platform.identity.views import KeyFilter, KeyView, Page
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import prepare

PAGE = 100
_ONE = "{id}  {status:<8}  {role:<14}  {name}  user={user}  organization={organization}  expires={expires}\n"


class Services(NamedTuple):
    """What the command uses of the platform."""

    keys: KeyService
    people: PeopleService


def keys_command() -> Command:
    """For the hook ``commands``."""
    return Command(name="keys", help="Make, list, rotate and revoke API keys.", run=run, configure=_configure)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: done; 1: refused, as the message says; 2: the database or the configuration cannot be used."""
    try:
        return asyncio.run(_run(args))
    except ApiError as exc:
        sys.stderr.write(f"chatproxy keys: {exc.message}\n")
        return 2 if exc.status >= 500 else 1
    except (StartupError, msgspec.ValidationError) as exc:
        sys.stderr.write(f"chatproxy keys: {exc}\n")
        return 2


# -- arguments --------------------------------------------------------------------------------------------------------


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="Make a key; its text is written once.", allow_abbrev=False)
    _configure_create(create)
    listing = actions.add_parser("list", help="List keys.", allow_abbrev=False)
    listing.add_argument("--user", help="of this user only")
    listing.add_argument("--organization", help="of this organization only")
    listing.add_argument("--all", action="store_true", help="revoked ones too")
    listing.set_defaults(action=_list)
    parsers = [create, listing]
    for name, action, text in (
        ("rotate", _rotate, "Give a key a new secret."),
        ("revoke", _revoke, "End a key for good."),
        ("disable", _disable, "Close a key for a while."),
        ("enable", _enable, "Open a key again."),
    ):
        one = actions.add_parser(name, help=text, allow_abbrev=False)
        one.add_argument("key", metavar="ID", help="the key's id, as 'list' shows it")
        one.set_defaults(action=action)
        parsers.append(one)
    for one in parsers:
        one.add_argument("--json", action="store_true", help="write JSON")
        for source in ("--config", "--plugin"):  # the command line has read them already, wherever they stand
            one.add_argument(source, default=argparse.SUPPRESS, help="as for chatproxy serve")


def _configure_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="", help="what it is for")
    parser.add_argument("--user", metavar="ID", help="whose it is; made where there is no such user")
    parser.add_argument("--organization", metavar="ID", help="made where there is none")
    parser.add_argument("--role", choices=tuple(RANKS), default="user", help="(user)")
    parser.add_argument("--model", metavar="GLOB", action="append", help="it may use; may be repeated (all)")
    parser.add_argument("--surface", metavar="NAME", action="append", help="it may use; may be repeated (all)")
    expiry = parser.add_mutually_exclusive_group()
    expiry.add_argument("--expires-at", metavar="TIME", help="RFC 3339 (never)")
    expiry.add_argument("--expires-in-days", metavar="N", type=int, help="days from now")
    for limit in Limits.__struct_fields__:
        parser.add_argument(f"--{limit.replace('_', '-')}", metavar="N", type=int, help="(no limit of its own)")
    parser.add_argument("--budget-usd", metavar="USD", type=float, help="(none)")
    parser.add_argument("--budget-period", choices=("day", "month", "total"), default="month", help="(month)")
    parser.set_defaults(action=_create)


def _spec_of(args: argparse.Namespace) -> KeySpec:
    """A key as the arguments wish it; raises msgspec.ValidationError."""
    limits = {name: value for name in Limits.__struct_fields__ if (value := getattr(args, name)) is not None}
    budget = None if args.budget_usd is None else {"usd": args.budget_usd, "period": args.budget_period}
    expires_at: Any = args.expires_at
    if args.expires_in_days is not None:
        try:
            expires_at = datetime.now(UTC) + timedelta(days=args.expires_in_days)
        except OverflowError as exc:
            raise msgspec.ValidationError(f"--expires-in-days: {exc}") from exc
    wished = {
        "name": args.name,
        "user_id": args.user,
        "organization_id": args.organization,
        "role": args.role,
        "models": args.model,
        "surfaces": args.surface,
        "limits": limits or None,
        "budget": budget,
        "expires_at": expires_at,
    }
    return msgspec.convert(wished, KeySpec)


# -- actions ----------------------------------------------------------------------------------------------------------


async def _run(args: argparse.Namespace) -> int:
    async with _opened(args.plugin_config) as services:
        action: Callable[[Services, argparse.Namespace], Awaitable[int]] = args.action
        return await action(services, args)


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[Services]:
    database = Database(config.database_url, config.database)
    try:
        await prepare(database)
        hasher = await asyncio.to_thread(load_hasher, config)
        audit = AuditLog(database, config.audit)
        unkeyed = msgspec.structs.replace(config, keys=msgspec.structs.replace(config.keys, bootstrap=False))
        await bootstrap(database, audit, hasher, unkeyed)
        cache = KeyCache(database, config, hasher)
        yield Services(
            KeyService(database, cache, audit, hasher, config), PeopleService(database, cache, audit, config)
        )
    finally:
        await database.aclose()


async def _create(services: Services, args: argparse.Namespace) -> int:
    spec = _spec_of(args)
    if args.organization is not None:
        await _make_organization(services.people, args.organization)
    if args.user is not None:
        await _make_user(services.people, args)
    view, text = await services.keys.create(OPERATOR, spec)
    _show(view, text, as_json=args.json)
    return 0


async def _make_organization(people: PeopleService, organization_id: str) -> None:
    try:
        await people.get_organization(OPERATOR, organization_id)
    except NotFound:
        wished = {"id": organization_id, "name": organization_id}
        await people.create_organization(OPERATOR, msgspec.convert(wished, OrganizationSpec))


async def _make_user(people: PeopleService, args: argparse.Namespace) -> None:
    try:
        await people.get_user(OPERATOR, args.user)
    except NotFound:
        wished = {"id": args.user, "role": args.role, "organization_id": args.organization}
        await people.create_user(OPERATOR, msgspec.convert(wished, UserSpec))


async def _list(services: Services, args: argparse.Namespace) -> int:
    wanted = KeyFilter(user_id=args.user, organization_id=args.organization, revoked=None if args.all else False)
    number, shown, total = 1, 0, 1
    while shown < total:
        keys, total = await services.keys.list(OPERATOR, wanted, Page(number=number, size=PAGE))
        if not keys:
            break
        for view in keys:
            _show(view, None, as_json=args.json)
        number, shown = number + 1, shown + len(keys)
    return 0


async def _rotate(services: Services, args: argparse.Namespace) -> int:
    view, text = await services.keys.rotate(OPERATOR, args.key)
    _show(view, text, as_json=args.json)
    return 0


async def _revoke(services: Services, args: argparse.Namespace) -> int:
    _show(await services.keys.revoke(OPERATOR, args.key), None, as_json=args.json)
    return 0


async def _disable(services: Services, args: argparse.Namespace) -> int:
    _show(await services.keys.set_disabled(OPERATOR, args.key, disabled=True), None, as_json=args.json)
    return 0


async def _enable(services: Services, args: argparse.Namespace) -> int:
    _show(await services.keys.set_disabled(OPERATOR, args.key, disabled=False), None, as_json=args.json)
    return 0


def _show(view: KeyView, text: str | None, *, as_json: bool) -> None:
    """A key in one line; where it is new, its text alone, so that a script can keep it."""
    if as_json:
        shown = msgspec.structs.asdict(view) | ({} if text is None else {"key": text})
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
        return
    line = _ONE.format(
        id=view.id,
        status=view.status,
        role=view.role,
        name=view.name or "-",
        user=view.user_id or "-",
        organization=view.organization_id or "-",
        expires=view.expires_at or "never",
    )
    if text is None:
        sys.stdout.write(line)
    else:
        sys.stderr.write(line)
        sys.stdout.write(f"{text}\n")

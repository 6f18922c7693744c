"""The administration's routes in a gateway in memory, asked by the people of two organizations with real keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from chatproxy_platform.administration.routes import platform_routes
from chatproxy_platform.administration.services import Services
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.clock import now_us
from chatproxy_platform.config import Budget, Config, KeysConfig, Limits
from chatproxy_platform.identity.authenticator import Authenticator
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.keys import KeyService

from chatproxy_platform.identity.people import PeopleService
from chatproxy_platform.identity.pepper import load_hasher
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec

from chatproxy_platform.sessions.store import History
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import prepare
from chatproxy_platform.storage.tables import Organization, User
from chatproxy_platform.usage.reports import Reports

from chatproxy import App, Principal, RequestContext, hookimpl
from chatproxy.testing import Gateway, make_app

PEOPLE = {
    "root": ("platform_admin", None),
    "alf": ("org_admin", "a"),
    "ann": ("user", "a"),
    "bea": ("org_admin", "b"),
    "ben": ("user", "b"),
}
CONFIG = Config(keys=KeysConfig(pepper="0123456789abcdefghijkl"))


@dataclass
class PlatformOnly:
    """The routes and what they use, without anything that an exchange needs.

    Attributes:
        texts: of everybody's key, while the gateway lives.
    """

    url: str
    texts: dict[str, str] = field(default_factory=dict)
    services: Services | None = None
    authenticator: Authenticator | None = None
    chatproxy_name: str = "platform"

    @hookimpl
    def routes(self, config: Any) -> Iterable[Any]:
        return platform_routes()

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal | None:
        assert self.authenticator is not None
        return await self.authenticator.authenticate(ctx, headers)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            database = Database(self.url)
            stack.push_async_callback(database.aclose)
            await database.open(prepare)
            audit = AuditLog(database, CONFIG.audit)
            await audit.open()
            stack.push_async_callback(audit.aclose)
            hasher = load_hasher(CONFIG)
            cache = KeyCache(database, CONFIG, hasher)
            await people_of(database)
            await cache.open()
            stack.push_async_callback(cache.aclose)
            self.authenticator = Authenticator(cache, None, audit, CONFIG)
            self.services = Services(
                database=database,
                audit=audit,
                keys=KeyService(database, cache, audit, hasher, CONFIG),
                people=PeopleService(database, cache, audit, CONFIG),
                history=History(database, audit),
                reports=Reports(database),
            )
            await self._make_keys()
            app.provide(self.services)
            yield

    async def _make_keys(self) -> None:
        assert self.services is not None
        for name, (role, _) in PEOPLE.items():
            spec = KeySpec(
                name=f"{name}'s",
                user_id=name,
                role=cast("Any", role),
                limits=Limits(requests_per_minute=600) if role == "user" else None,
                budget=Budget(usd=5) if role == "user" else None,
            )
            _, self.texts[name] = await self.services.keys.create(OPERATOR, spec)


async def people_of(database: Database) -> None:
    """The organizations ``a`` and ``b``, and `PEOPLE`."""
    async with database.write() as session:
        for name in ("a", "b"):
            session.add(Organization(id=name, name=name.upper(), created_at=now_us()))
        await session.flush()
        for name, (role, organization) in PEOPLE.items():
            session.add(
                User(
                    id=name,
                    email=f"{name}@example.com",
                    name=name.title(),
                    role=role,
                    organization_id=organization,
                    created_at=now_us(),
                )
            )


class Administration:
    """The gateway, and how to ask it.

    Attributes:
        services: what the routes use.
    """

    def __init__(self, gateway: Gateway, plugin: PlatformOnly) -> None:
        assert plugin.services is not None
        self.gateway = gateway
        self.services = plugin.services
        self._texts = plugin.texts

    async def ask(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, by somebody's key, or by a key's text."""
        text = None if who is None else self._texts.get(who, who)
        headers = {**({} if text is None else {"authorization": f"Bearer {text}"}), **options.pop("headers", {})}
        return await self.gateway.client.request(method, path, headers=headers, **options)


@asynccontextmanager
async def administering(url: str) -> AsyncIterator[Administration]:
    """The routes over a new database."""
    plugin = PlatformOnly(url)
    async with make_app(plugins=[plugin]) as gateway:
        yield Administration(gateway, plugin)

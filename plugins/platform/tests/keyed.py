"""A gateway whose callers need keys, with everything of identity around one database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import httpx
import msgspec
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig, Config
from chatproxy_platform.identity.authenticator import Authenticator, TokenSource
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.current import identity_of
from chatproxy_platform.identity.keys import KeyService
from chatproxy_platform.identity.people import PeopleService
from chatproxy_platform.identity.records import OPERATOR, Actor, Identity
from chatproxy_platform.identity.specs import KeySpec, OrganizationSpec, UserSpec
from chatproxy_platform.identity.tokens import Hasher
from chatproxy_platform.storage.database import Database
from litestar import get

from chatproxy import Principal, RequestContext, hookimpl
from chatproxy.testing import Gateway, make_app

PEPPER = b"a pepper for tests, long enough"


class Keyed:
    """A plugin that lets in by an authenticator, and has a route for each role.

    Attributes:
        seen: who came in, in order.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self.seen: list[Identity] = []
        self._authenticator = authenticator

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        principal = await self._authenticator.authenticate(ctx, headers)
        identity = identity_of(ctx)
        assert identity is not None
        self.seen.append(identity)
        return principal

    @hookimpl
    def routes(self) -> list[Any]:
        def route(role: str) -> Any:
            @get(f"/{role}", opt={"access": role, "own_path": True}, sync_to_thread=False)
            def answer() -> dict[str, str]:
                return {"for": role}

            return answer

        return [route(role) for role in ("user", "org_admin", "platform_admin")]


class World:
    """Everything of identity around one database, and a gateway before it, for tests that ask it."""

    def __init__(
        self, database: Database, config: Config, tokens: TokenSource | None, clock: Callable[[], float] | None
    ) -> None:
        self.database = database
        self.config = config
        self.hasher = Hasher(PEPPER)
        self.audit = AuditLog(database, AuditConfig())
        timed = {} if clock is None else {"clock": clock}
        self.cache = KeyCache(database, config, self.hasher, **timed)
        self.keys = KeyService(database, self.cache, self.audit, self.hasher, config)
        self.people = PeopleService(database, self.cache, self.audit, config)
        self.authenticator = Authenticator(self.cache, tokens, self.audit, config)
        self.plugin = Keyed(self.authenticator)

    @cached_property
    def gateway(self) -> Gateway:
        """Lets in by the authenticator; `world` opens it."""
        return make_app(plugins=[self.plugin])

    async def chat(self, text: str | None, **fields: Any) -> httpx.Response:
        """A chat request with a key."""
        headers = {} if text is None else {"authorization": f"Bearer {text}"}
        body = {"model": "scripted", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return await self.gateway.client.post("/v1/chat/completions", json=body, headers=headers)

    async def get(self, path: str, text: str) -> httpx.Response:
        return await self.gateway.client.get(path, headers={"x-api-key": text})

    async def key(self, actor: Actor = OPERATOR, **fields: Any) -> str:
        """A new key's text."""
        return (await self.keys.create(actor, msgspec.convert(fields, KeySpec)))[1]

    async def actor(self, **fields: Any) -> Actor:
        """Who asks with a new key."""
        return await self.actor_by(await self.key(**fields))

    async def actor_by(self, text: str) -> Actor:
        entry = await self.cache.find(text.split("_")[1])
        assert entry is not None
        identity = entry.identity
        return Actor(name=identity.user_id or identity.id, identity=identity)

    async def user(self, user_id: str, **fields: Any) -> str:
        await self.people.create_user(OPERATOR, msgspec.convert({"id": user_id, **fields}, UserSpec))
        return user_id

    async def organization(self, organization_id: str, **fields: Any) -> str:
        spec = msgspec.convert({"id": organization_id, "name": organization_id, **fields}, OrganizationSpec)
        return (await self.people.create_organization(OPERATOR, spec)).id

    async def rows(self, action: str) -> list[dict[str, Any]]:
        """What the audit log holds of an action, the newest first."""
        await self.audit.record()
        entries, _ = await self.audit.page(200, 0, action=action)
        return [entry.shown() for entry in entries]


@asynccontextmanager
async def identities(
    database: Database,
    *,
    tokens: TokenSource | None = None,
    clock: Callable[[], float] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """Opened and closed as the platform does it; its gateway is not opened."""
    made = World(database, msgspec.convert(settings, Config), tokens, clock)
    await made.audit.open()
    await made.cache.open()
    try:
        yield made
    finally:
        await made.cache.aclose()
        made.authenticator.close()
        await made.audit.aclose()


@asynccontextmanager
async def world(database: Database, **options: Any) -> AsyncIterator[World]:
    """As `identities`, with the gateway."""
    async with identities(database, **options) as made, made.gateway:
        yield made


def key_id(text: str) -> str:
    return text.split("_")[1]

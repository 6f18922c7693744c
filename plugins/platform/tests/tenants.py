"""Two tenants with everybody in them, and keys of every standing, stored before a gateway starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import chatproxy_platform.plugin
import httpx
import psycopg
from chatproxy_platform.clock import now_us
from chatproxy_platform.identity.tokens import Hasher
from chatproxy_platform.platform import Platform
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import upgrade
from chatproxy_platform.storage.tables import Key, Organization, User

from chatproxy import App, hookimpl
from chatproxy.testing import ScriptedUpstream, make_app

PEPPER = "the-pepper-of-these-tests-0123456789"
HOST = "gateway"
POSTGRES = os.environ.get("CHATPROXY_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")

# who: (role, organization, whether the owner, the organization or the key itself is closed)
STANDINGS: dict[str, dict[str, Any]] = {
    "user": {"role": "user", "organization": "a"},
    "org_admin": {"role": "org_admin", "organization": "a"},
    "platform_admin": {"role": "platform_admin"},
    "other_user": {"role": "user", "organization": "b"},
    "other_org_admin": {"role": "org_admin", "organization": "b"},
    "lone_user": {"role": "user"},
    "demoted": {"role": "user", "key_role": "platform_admin", "organization": "a"},
    "expired": {"role": "platform_admin", "key": {"expires_at": 1}},
    "revoked": {"role": "platform_admin", "key": {"revoked_at": 1}},
    "disabled": {"role": "platform_admin", "key": {"is_disabled": True}},
    "owner_disabled": {"role": "platform_admin", "is_disabled": True},
    "organization_disabled": {"role": "org_admin", "organization": "closed"},
}


@dataclass
class Tenants:
    """Whom a database knows.

    Attributes:
        keys: the texts of keys by who has them; ``ids`` of them likewise.
    """

    url: str
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def store(self) -> None:
        """Write all of it."""
        database, hasher = Database(self.url), Hasher(PEPPER.encode())
        await upgrade(database)
        await database.open()
        async with database.write() as session:
            for name in ("a", "b", "closed"):
                session.add(Organization(id=name, name=name, is_disabled=name == "closed", attributes={}, created_at=1))
            await session.flush()
            for who, standing in STANDINGS.items():
                session.add(_user(who, standing))
            await session.flush()
            for who, standing in STANDINGS.items():
                new = hasher.new_key()
                self.keys[who], self.ids[who] = new.text, new.id
                session.add(_key(who, standing, new.id, new.secret_hash))
        await database.aclose()


def _user(who: str, standing: dict[str, Any]) -> User:
    return User(
        id=who,
        email=f"{who}@example.com",
        name=who,
        role=standing["role"],
        organization_id=standing.get("organization"),
        is_disabled=standing.get("is_disabled", False),
        attributes={},
        created_at=now_us(),
    )


def _key(who: str, standing: dict[str, Any], key_id: str, secret_hash: bytes) -> Key:
    values = {"is_disabled": False, **standing.get("key", {})}
    return Key(
        id=key_id,
        name=who,
        secret_hash=secret_hash,
        owner_id=who,
        organization_id=standing.get("organization"),
        role=standing.get("key_role", standing["role"]),
        attributes={},
        created_at=now_us(),
        **values,
    )


@contextmanager
def new_schema() -> Iterator[str]:
    """A database URL of a schema of its own in the PostgreSQL that runs here."""
    schema = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"{POSTGRES.replace('postgresql://', 'postgresql+psycopg://')}?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


class Eye:
    """A plugin that sees the application."""

    def __init__(self) -> None:
        self.app: App | None = None

    @hookimpl(trylast=True)
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        self.app = app
        yield


@dataclass
class Company:
    """A gateway with the whole platform, and both tenants.

    Attributes:
        upstream: what every model's requests reach.
    """

    tenants: Tenants
    client: httpx.AsyncClient
    app: App
    upstream: ScriptedUpstream

    @property
    def platform(self) -> Platform:
        """The plugin's parts."""
        return self.app.plugin(Platform)

    async def ask(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, by somebody's key; ``who`` may be a text that is no key's name."""
        key = self.tenants.keys.get(who, who) if who is not None else None
        headers = {**({} if key is None else {"authorization": f"Bearer {key}"}), **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)


@asynccontextmanager
async def company(url: str, *, plugins: tuple[object, ...] = (), **settings: Any) -> AsyncIterator[Company]:
    """Both tenants, and a gateway that serves them."""
    tenants, eye, upstream = Tenants(url), Eye(), ScriptedUpstream()
    await tenants.store()
    keys = {"pepper": PEPPER, "bootstrap": False, "revocation_s": 60.0, **settings.pop("keys", {})}
    database = {"deadline_s": 30.0, **settings.pop("database", {})}  # however busy the machine is
    table = {"database_url": url, "allowed_hosts": [HOST], "database": database, "keys": keys, **settings}
    gateway = make_app(
        plugins=[chatproxy_platform.plugin, eye, *plugins], upstream=upstream, plugin_settings={"platform": table}
    )
    async with gateway:
        assert eye.app is not None
        yield Company(tenants, gateway.client, eye.app, upstream)

"""A whole gateway with the platform, in memory, and the keys of those who use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

import chatproxy_platform.plugin
import httpx
import msgspec
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec, OrganizationSpec, UserSpec
from chatproxy_platform.platform import Platform

from chatproxy import App, hookimpl
from chatproxy.testing import Gateway, make_app

PEPPER = "a pepper of the tests, long enough"


class Opened:
    """A gateway that runs.

    Attributes:
        platform: its parts, for what has no route.
        key: of an application without owner, with nothing but what every key may.
    """

    def __init__(self, gateway: Gateway, platform: Platform, key: str) -> None:
        self.gateway = gateway
        self.platform = platform
        self.key = key

    async def ask(self, path: str, key: str | None = None, *, method: str = "", **options: Any) -> httpx.Response:
        """Send a request with a key; a POST where there is a body."""
        headers = {"authorization": f"Bearer {key or self.key}", **options.pop("headers", {})}
        method = method or ("POST" if "json" in options else "GET")
        return await self.gateway.client.request(method, path, headers=headers, **options)

    async def chat(self, text: str = "Hello", *, key: str | None = None, **fields: Any) -> httpx.Response:
        """One chat request."""
        body = {"model": "demo", "messages": [{"role": "user", "content": text}], **fields}
        return await self.ask("/v1/chat/completions", key, json=body)

    async def new_key(self, **spec: Any) -> str:
        """A key's text; fields as `KeySpec` has them."""
        _, text = await self.platform.keys.create(OPERATOR, msgspec.convert(spec, KeySpec))
        return text

    async def new_user(self, user_id: str, **spec: Any) -> None:
        """A user; fields as `UserSpec` has them."""
        await self.platform.people.create_user(OPERATOR, msgspec.convert({"id": user_id, **spec}, UserSpec))

    async def new_organization(self, organization_id: str, **spec: Any) -> None:
        """An organization; fields as `OrganizationSpec` has them."""
        found = msgspec.convert({"id": organization_id, "name": organization_id, **spec}, OrganizationSpec)
        await self.platform.people.create_organization(OPERATOR, found)


class Eye:
    """Sees the application from within."""

    def __init__(self) -> None:
        self.app: App | None = None

    @hookimpl
    def lifespan(self, app: App) -> None:
        """Remember it."""
        self.app = app


@asynccontextmanager
async def opened(
    database_url: str, *, plugins: tuple[object, ...] = (), tables: Mapping[str, Any] | None = None, **options: Any
) -> AsyncIterator[Opened]:
    """A gateway with the demo model.

    Args:
        tables: of ``[plugins.platform]``, beside what every test needs; ``plugin_settings`` for those of others.
        options: as `make_app` takes them.
    """
    options.setdefault("demo", "upstream" not in options)
    others, eye = options.pop("plugin_settings", {}), Eye()
    with TemporaryDirectory() as spool:
        platform = {
            "database_url": database_url,
            "allowed_hosts": ["gateway"],
            **(tables or {}),
            "keys": {"pepper": PEPPER, "bootstrap": False, **(tables or {}).get("keys", {})},
            "usage": {"spool_dir": spool, **(tables or {}).get("usage", {})},
        }
        settings = {**others, "platform": platform}
        made = make_app(plugins=[chatproxy_platform.plugin, eye, *plugins], plugin_settings=settings, **options)
        async with made as gateway:
            assert eye.app is not None
            found = eye.app.plugin(Platform)
            _, text = await found.keys.create(OPERATOR, KeySpec(name="tests"))
            yield Opened(gateway, found, text)

"""A gateway with the platform and guardrails, asked with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatproxy_guardrails
import chatproxy_platform.plugin
import httpx
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec
from chatproxy_platform.platform import Platform

from chatproxy import App, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, make_app


class Eye:
    """Sees the application from within."""

    app: App

    @hookimpl
    def lifespan(self, app: App) -> None:
        """Remember it."""
        self.app = app


class Guarded:
    """A gateway that runs; every request of ``client`` carries a key."""

    def __init__(self, gateway: Gateway, platform: Platform, upstream: ScriptedUpstream) -> None:
        self.gateway = gateway
        self.client = gateway.client
        self.platform = platform
        self.upstream = upstream

    async def chat(self, text: str | None, **fields: Any) -> httpx.Response:
        """One chat request of the user ``ann``."""
        return await self.gateway.chat(text, user="ann", **fields)

    async def session(self) -> dict[str, Any]:
        """The one session that is stored."""
        (found,) = (await self.client.get("/v1/sessions?user_id=ann")).json()["sessions"]
        return dict(found)

    async def said(self) -> list[str]:
        """Its texts."""
        session_id = (await self.session())["id"]
        detail = (await self.client.get(f"/v1/sessions/{session_id}?user_id=ann")).json()
        return [str(message["content"]) for message in detail["messages"]]


@asynccontextmanager
async def guarded(
    folder: Path, upstream: ScriptedUpstream, policy: dict[str, Any], **options: Any
) -> AsyncIterator[Guarded]:
    """The gateway, with one policy named ``private``."""
    eye = Eye()
    tables = {
        "guardrails": {"policy": [{"name": "private", "check": "pii", **policy}]},
        "platform": {"database_url": f"sqlite:///{folder / 'platform.db'}", "allowed_hosts": ["gateway"]},
    }
    plugins = [chatproxy_guardrails, chatproxy_platform.plugin, eye, *options.pop("plugins", ())]
    async with make_app(plugins=plugins, upstream=upstream, plugin_settings=tables, **options) as gateway:
        platform = eye.app.plugin(Platform)
        _, text = await platform.keys.create(OPERATOR, KeySpec())
        gateway.client.headers["authorization"] = f"Bearer {text}"
        yield Guarded(gateway, platform, upstream)

"""The platform beside guardrails: what is kept of a conversation that a policy changed or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatproxy_guardrails
import chatproxy_platform
import pytest
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec
from chatproxy_platform.platform import Platform

from chatproxy import App, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, make_app
from chatproxy.testing.matrix import Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

MAIL = "erika.mustermann@posteo.de"
CELLS = [cell for cell in cells_with(calls=True) if cell.is_native]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Eye:
    """Sees the application from within."""

    app: App

    @hookimpl
    def lifespan(self, app: App) -> None:
        self.app = app


@asynccontextmanager
async def opened(folder: Path, cell: Cell, *said: Said, **policy: Any) -> AsyncIterator[tuple[Gateway, Platform]]:
    eye = Eye()
    upstream = ScriptedUpstream(*[scripted(cell.upstream_dialect, one, is_streamed=cell.is_streamed) for one in said])
    tables = {
        "guardrails": {"policy": [{"name": "private", **policy}]},
        "platform": {"database_url": f"sqlite:///{folder / 'platform.db'}", "allowed_hosts": ["gateway"]},
    }
    plugins = [chatproxy_guardrails, chatproxy_platform, eye]
    async with make_app(plugins=plugins, upstream=upstream, upstreams=cell.upstreams, plugin_settings=tables) as app:
        platform = eye.app.plugin(Platform)
        _, text = await platform.keys.create(OPERATOR, KeySpec())
        app.client.headers["authorization"] = f"Bearer {text}"
        yield app, platform


async def kept(gateway: Gateway) -> list[str]:
    """The stored texts of the one session."""
    (session,) = (await gateway.client.get("/v1/sessions?user_id=ann")).json()["sessions"]
    detail = (await gateway.client.get(f"/v1/sessions/{session['id']}?user_id=ann")).json()
    return [str(message["content"]) for message in detail["messages"]]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_what_a_policy_took_out_is_not_kept(cell: Cell, tmp_path: Path) -> None:
    policy = {"check": "pii", "on": ["input", "output"], "action": "redact"}
    async with opened(tmp_path, cell, Said(content=f"Wrote to {MAIL}."), **policy) as (gateway, _):
        heard = await cell.ask(gateway, f"Write to {MAIL}", metadata={"user_id": "ann"})
        texts = await kept(gateway)
    assert heard.status == 200
    assert len(texts) == 2
    assert MAIL not in str(texts)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_refusal_of_a_policy_is_audited_without_the_text(cell: Cell, tmp_path: Path) -> None:
    policy = {"check": "pii", "on": ["input"], "action": "block"}
    async with opened(tmp_path, cell, Said(), **policy) as (gateway, platform):
        heard = await cell.ask(gateway, f"Write to {MAIL}", metadata={"user_id": "ann"})
    # it is written when the log is closed, at the latest
    assert heard.status == 400
    rows, _ = await platform.audit.page(50, 0, action="guardrail.blocked")
    await platform.database.aclose()
    (row,) = rows
    shown = row.shown()
    assert (shown["resource_id"], shown["metadata"]["surface"]) == ("private", cell.surface)
    assert MAIL not in str(shown)

"""What docs/observability.md shows is right: its configuration, its plugin, the names it gives."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chatproxy import App, ProxyConfig, RequestContext, hookimpl
from chatproxy.testing import make_app
from chatproxy.types import AttributeValue

from .pages import blocks, prose, read

PAGE = "docs/observability.md"


class Tracer:
    """Records every exchange, and keeps what plugins said of it."""

    chatproxy_name = "tracer"

    def __init__(self) -> None:
        self.attributes: dict[str, AttributeValue] = {}

    def begin(self, ctx: RequestContext) -> None:
        ctx.trace.adopt("1" * 32, "2" * 16, 1, is_recording=True)
        self.attributes = ctx.trace.attributes

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.set_tracer(self)
        yield


async def test_plugin_puts_the_tenant_into_the_trace() -> None:
    (block,) = blocks(PAGE, "python")
    space: dict[str, Any] = {"__name__": "page"}
    exec(compile(block.text, PAGE, "exec"), space)  # noqa: S102 - a block of the page
    plugin = type("Page", (), {"chatproxy_name": "tenants", "before_request": staticmethod(space["before_request"])})()
    tracer = Tracer()
    async with make_app(plugins=[tracer, plugin]) as gateway:
        messages = [{"role": "user", "content": "Hi"}]
        body = {"model": "scripted", "messages": messages}
        await gateway.client.post("/v1/chat/completions", json=body, headers={"x-tenant": "acme"})
    assert tracer.attributes == {"tenancy.tenant": "acme"}


def test_configuration_is_right(tmp_path: Path) -> None:
    (block,) = blocks(PAGE, "toml")
    path = tmp_path / "chatproxy.toml"
    path.write_text(block.text, encoding="utf-8")
    assert ProxyConfig.load(path, environ={}).plugins.enabled == ("guardrails", "otel")


def test_names_are_those_of_the_plugin() -> None:
    named = set(re.findall(r"`((?:gen_ai|chatproxy)\.[\w.]+)`", prose(PAGE)))
    known = read("plugins/otel/src/chatproxy_otel/names.py")
    assert len(named) > 8
    assert [name for name in sorted(named) if f'"{name}"' not in known] == []

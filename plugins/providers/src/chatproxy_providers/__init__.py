"""Providers: models of other vendors by their own libraries, on every API of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from chatproxy import App, ChatRequest, Handler, Model, RequestContext, hookimpl
from chatproxy_providers.catalogue import PREFIX, listed, make_handlers
from chatproxy_providers.config import Config


@hookimpl
def config_type() -> type[Config]:
    """What ``[plugins.providers]`` may hold."""
    return Config


@hookimpl
def handlers(config: Config) -> Iterable[Handler]:
    """``providers:<id>`` for each model."""
    return make_handlers(config)


@hookimpl
@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Keep the vendors' keys out of logs and of what other plugins export."""
    for entry in app.config(Config).model.values():
        for secret in entry.secrets():
            app.hide(secret)
    yield


@hookimpl
async def models(ctx: RequestContext) -> Iterable[Model]:
    """What is configured."""
    return listed(ctx.config(Config))


@hookimpl
async def select_handler(ctx: RequestContext, request: ChatRequest) -> str | None:
    """By the model's id; a name of ``[models]`` that is none of ours is left to it."""
    return PREFIX + request.model if request.model in ctx.config(Config).model else None

"""The platform as a plugin: its hooks, each of which delegates.

Rule: only a gateway and the command line import this module; a part imported alone loads no more than it needs.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from chatproxy import (
    App,
    ChatRequest,
    ChatResponse,
    Command,
    Principal,
    RequestContext,
    StreamEvent,
    hookimpl,
)
from chatproxy.types import SessionStore
from chatproxy_platform.administration.routes import platform_routes
from chatproxy_platform.administration.services import Services
from chatproxy_platform.audit.commands import audit_command
from chatproxy_platform.config import Config
from chatproxy_platform.identity.commands import keys_command
from chatproxy_platform.platform import Platform, opened
from chatproxy_platform.storage.commands import db_command
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.state import StateStore
from chatproxy_platform.usage.commands import usage_command

chatproxy_name = "platform"
Events = AsyncIterator[StreamEvent]


def keeps_sessions(config: Config) -> bool:
    """Whether conversations are kept."""
    return config.sessions.enabled


@hookimpl
def config_type() -> type[Config]:
    """What ``[plugins.platform]`` may hold."""
    return Config


@hookimpl
def commands() -> Iterable[Command]:
    """``chatproxy db``, ``keys``, ``audit`` and ``usage``."""
    return [db_command(), keys_command(), audit_command(), usage_command()]


@hookimpl
def session_store(config: Config) -> SessionStore:
    """Every plugin's state in the database."""
    return StateStore(Database(config.database_url, config.database))


@hookimpl
def routes(config: Config) -> Iterable[Any]:
    """``/v1/sessions``, ``/v1/platform`` and their other spellings."""
    return platform_routes(config)


@hookimpl(tryfirst=True)
@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """First to open and last to close, for others keep their state here."""
    async with opened(app) as platform:
        app.provide(platform)
        app.provide(platform.services, Services)
        yield


@hookimpl
async def authenticate(ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
    """By key or token."""
    return await ctx.plugin(Platform).authenticate(ctx, headers)


@hookimpl(tryfirst=True, before=["guardrails"])
async def before_request(ctx: RequestContext, request: ChatRequest) -> None:
    """First: guards see the whole conversation, and what is over a limit costs them nothing."""
    await ctx.plugin(Platform).begin(ctx, request)


@hookimpl(tryfirst=True, when=keeps_sessions)
async def select_handler(ctx: RequestContext, request: ChatRequest) -> None:
    """Chooses nobody; sees the request as the guards left it."""
    ctx.plugin(Platform).sessions.accepted(ctx, request)


@hookimpl(tryfirst=True, before=["guardrails"], when=keeps_sessions)
async def transform_stream(ctx: RequestContext, request: ChatRequest) -> Callable[[Events], Events] | None:
    """Nearest to the client: what is stored is what the client gets."""
    return ctx.plugin(Platform).sessions.transform(ctx, request)


@hookimpl(tryfirst=True, before=["guardrails"], when=keeps_sessions)
async def before_response(ctx: RequestContext, request: ChatRequest, response: ChatResponse) -> None:
    """Last of all, since this hook runs in reverse: what is stored is what the client gets."""
    await ctx.plugin(Platform).sessions.complete(ctx, request, response)

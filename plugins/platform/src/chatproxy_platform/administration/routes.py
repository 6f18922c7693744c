"""Every route of the platform."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.handlers import HTTPRouteHandler
from litestar.types import Middleware

from chatproxy_platform.administration.admins import admin_routes
from chatproxy_platform.administration.audit import audit_routes
from chatproxy_platform.administration.cors import allowing
from chatproxy_platform.administration.keys import key_routes
from chatproxy_platform.administration.me import me_routes
from chatproxy_platform.administration.people import organization_routes, user_routes
from chatproxy_platform.administration.sessions import session_routes
from chatproxy_platform.administration.stats import stats_routes
from chatproxy_platform.administration.usage import usage_routes
from chatproxy_platform.config import Config


def platform_routes(config: Config) -> list[Any]:
    """For the hook `routes`; in routers, since a path with two methods is given by two handlers."""
    cors = allowing(config.allowed_origins)
    platform = [*me_routes(), *stats_routes(), *audit_routes(), *usage_routes()]
    people = [*key_routes(), *user_routes(), *organization_routes(), *admin_routes()]
    tagged = {"sessions": session_routes(), "platform": platform, "people": people}
    return [_router(tag, handlers, cors) for tag, handlers in tagged.items()]


def _router(tag: str, handlers: list[HTTPRouteHandler], cors: Middleware) -> Router:
    """Nothing of it may be kept by anybody in between."""
    return Router(
        "/",
        route_handlers=handlers,
        opt={"own_path": True},
        tags=[tag],
        middleware=[cors],
        cache_control=CacheControlHeader(no_store=True),
    )

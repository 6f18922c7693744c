"""Every route of the platform."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.handlers import HTTPRouteHandler

from chatproxy_platform.administration.admins import admin_routes
from chatproxy_platform.administration.audit import audit_routes
from chatproxy_platform.administration.keys import key_routes
from chatproxy_platform.administration.me import me_routes
from chatproxy_platform.administration.people import organization_routes, user_routes
from chatproxy_platform.administration.sessions import session_routes
from chatproxy_platform.administration.stats import stats_routes
from chatproxy_platform.administration.usage import usage_routes


def platform_routes() -> list[Any]:
    """For the hook `routes`; in routers, since a path with two methods is given by two handlers."""
    platform = [*me_routes(), *stats_routes(), *audit_routes(), *usage_routes()]
    people = [*key_routes(), *user_routes(), *organization_routes(), *admin_routes()]
    return [_router("sessions", session_routes()), _router("platform", platform), _router("people", people)]


def _router(tag: str, handlers: list[HTTPRouteHandler]) -> Router:
    """Nothing of it may be kept by anybody in between."""
    return Router(
        "/",
        route_handlers=handlers,
        opt={"own_path": True},
        tags=[tag],
        cache_control=CacheControlHeader(no_store=True),
    )

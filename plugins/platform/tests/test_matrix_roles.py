"""Which role each of the platform's routes is for, written down once more: a route's own word is not enough (A-07)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chatproxy_platform.administration.routes import platform_routes
from chatproxy_platform.config import Config

from chatproxy import App, hookimpl
from chatproxy.testing import make_app

USER, ORGANIZATION, PLATFORM = "user", "org_admin", "platform_admin"
ROLES = {
    "GET sessions": USER,
    "GET sessions/{}": USER,
    "PATCH sessions/{}": USER,
    "DELETE sessions/{}": USER,
    "GET platform/me": USER,
    "GET platform/usage": USER,
    "GET platform/keys": USER,
    "POST platform/keys": USER,
    "GET platform/keys/{}": USER,
    "PATCH platform/keys/{}": USER,
    "DELETE platform/keys/{}": USER,
    "POST platform/keys/{}/rotate": USER,
    "POST platform/keys/{}/revoke": USER,
    "POST platform/keys/{}/disable": USER,
    "POST platform/keys/{}/enable": USER,
    "GET platform/users": ORGANIZATION,
    "POST platform/users": ORGANIZATION,
    "GET platform/users/{}": USER,
    "PATCH platform/users/{}": USER,
    "GET platform/organizations": ORGANIZATION,
    "POST platform/organizations": PLATFORM,
    "GET platform/organizations/{}": ORGANIZATION,
    "PATCH platform/organizations/{}": ORGANIZATION,
    "GET platform/stats": PLATFORM,
    "GET platform/audit": PLATFORM,
    "GET platform/admins": PLATFORM,
    "POST platform/admins": PLATFORM,
    "DELETE platform/admins/{}": PLATFORM,
}


class Routes:
    """The platform's routes and nothing else of it."""

    chatproxy_name = "platform"

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = {}

    @hookimpl
    def routes(self) -> list[object]:
        return platform_routes(Config())

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        for route in app.routes:
            if route.plugin == "platform" and route.methods != ("OPTIONS",):
                for path in route.paths:
                    for method in route.methods:
                        self.found.setdefault(f"{method} {_plain(path)}", set()).add(route.access)
        yield


def _plain(path: str) -> str:
    """A path without what differs between its two spellings, and without its parameter's name."""
    for prefix in ("/api/v1/", "/atoms/chat/", "/v1/"):
        path = path.removeprefix(prefix)
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


async def test_every_route_of_the_platform_is_for_the_role_that_is_written_down() -> None:
    routes = Routes()
    async with make_app(plugins=[routes]):
        assert routes.found == {name: {role} for name, role in ROLES.items()}

"""Routes are closed by default, and the role of the matched route decides; nothing that a client writes does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chatproxy_platform.administration.access import check, check_declared, needed_role
from chatproxy_platform.identity.records import RANKS, Identity
from litestar import Router, delete, get, post
from litestar.handlers import HTTPRouteHandler

from chatproxy import App, Principal, RequestContext, hookimpl
from chatproxy.errors import PluginError
from chatproxy.testing import make_app
from chatproxy.types.route import UNKNOWN_ROUTE, Route

ROLES = tuple(RANKS)


class Gate:
    """A plugin of the platform's name that believes the header ``x-role``, and checks access as the platform does."""

    chatproxy_name = "platform"

    def __init__(self, *routes: HTTPRouteHandler | Router) -> None:
        self.own_routes = routes

    @hookimpl
    def routes(self) -> list[HTTPRouteHandler | Router]:
        return list(self.own_routes)

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        role: Any = headers["x-role"]
        check(ctx, Identity(id="key_a", owner="key:a", role=role))
        return Principal(id="key_a")

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        check_declared(app.routes)
        yield


class Guest:
    """Another plugin, with routes of its own."""

    chatproxy_name = "guest"

    @hookimpl
    def routes(self) -> list[HTTPRouteHandler]:
        return [
            get("/undeclared", sync_to_thread=False)(_ok),
            get("/invented", sync_to_thread=False, opt={"access": "owner"})(_ok),
            get("/for-users", sync_to_thread=False, opt={"access": "user"})(_ok),
            get("/public", sync_to_thread=False, opt={"public": True})(_ok),
        ]


def _ok() -> dict[str, bool]:
    return {"ok": True}


def own(path: str, access: str | None) -> HTTPRouteHandler:
    opt = {"own_path": True} if access is None else {"own_path": True, "access": access}
    return get(path, sync_to_thread=False, opt=opt)(_ok)


@pytest.mark.parametrize("needed", ROLES)
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_includes_those_below_it(needed: str, role: str) -> None:
    async with make_app(plugins=[Gate(own("/v1/thing", needed))]) as gateway:
        answer = await gateway.client.get("/v1/thing", headers={"x-role": role})
    assert answer.status_code == (200 if RANKS[role] >= RANKS[needed] else 403)
    if answer.status_code == 403:
        assert answer.json()["error"]["code"] == "permission_denied"
        assert needed in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["undeclared", "invented"])
async def test_a_route_of_another_plugin_without_a_known_role_is_for_the_highest(path: str) -> None:
    async with make_app(plugins=[Gate(), Guest()]) as gateway:
        statuses = {
            role: (await gateway.client.get(f"/plugins/guest/{path}", headers={"x-role": role})).status_code
            for role in ROLES
        }
    assert statuses == {"user": 403, "org_admin": 403, "platform_admin": 200}


async def test_routes_for_users_and_for_everybody_stay_open() -> None:
    async with make_app(plugins=[Gate(), Guest()]) as gateway:
        for path in ("/plugins/guest/for-users", "/v1/models"):
            assert (await gateway.client.get(path, headers={"x-role": "user"})).status_code == 200
        assert (await gateway.chat("hi")).status_code == 500  # no header: the gate of this test falls over, closed
        for path in ("/plugins/guest/public", "/health", "/livez", "/readyz", "/"):
            assert (await gateway.client.get(path)).status_code == 200


@pytest.mark.parametrize("access", [None, "", "public", "admin", "USER", "user ", "none"])
async def test_an_own_route_without_a_known_role_stops_the_start(access: str | None) -> None:
    gateway = make_app(plugins=[Gate(own("/v1/thing", access))])
    with pytest.raises(PluginError, match=r"GET/HEAD /v1/thing|GET /v1/thing"):
        async with gateway:
            raise AssertionError("it started")


async def test_an_own_route_that_calls_itself_public_stops_the_start() -> None:
    route = get("/v1/open", sync_to_thread=False, opt={"own_path": True, "public": True})(_ok)
    with pytest.raises(PluginError, match="/v1/open"):
        async with make_app(plugins=[Gate(route)]):
            raise AssertionError("it started")


def test_every_fault_is_named_at_once() -> None:
    routes = [
        Route(paths=("/a",), methods=("GET",), plugin="platform"),
        Route(paths=("/b", "/c"), methods=("POST",), plugin="platform", access="root"),
        Route(paths=("/core",), methods=("GET",)),
        Route(paths=("/d",), methods=("GET",), plugin="platform", access="user"),
        Route(paths=("/e",), methods=("GET",), plugin="guest"),
        Route(paths=("/f",), methods=("OPTIONS",), plugin="platform", access="public"),
    ]
    with pytest.raises(PluginError) as refused:
        check_declared(routes)
    named = {path for path in ["/a", "/b", "/c", "/core", "/d", "/e", "/f"] if f"{path}:" in str(refused.value)}
    assert named == {"/a", "/c", "/core"}
    assert "POST /b /c" in str(refused.value)


def test_a_route_that_matched_nothing_is_for_the_highest() -> None:
    assert needed_role(UNKNOWN_ROUTE) == "platform_admin"


async def test_methods_of_a_path_keep_their_own_roles() -> None:
    @post("/v1/thing", sync_to_thread=False, opt={"own_path": True, "access": "platform_admin"})
    def make() -> dict[str, bool]:
        return {"made": True}

    @delete("/v1/thing", sync_to_thread=False, status_code=200, opt={"own_path": True, "access": "org_admin"})
    def drop() -> dict[str, bool]:
        return {"dropped": True}

    gate = Gate(Router("/", route_handlers=[own("/v1/thing", "user"), make, drop], opt={"own_path": True}))
    async with make_app(plugins=[gate]) as gateway:
        statuses = {
            (method, role): (await gateway.client.request(method, "/v1/thing", headers={"x-role": role})).status_code
            for method in ("GET", "DELETE", "POST", "HEAD")
            for role in ROLES
        }
    for role in ROLES:
        assert statuses["GET", role] == 200
        assert statuses["DELETE", role] == (403 if role == "user" else 200)
        assert statuses["POST", role] == (201 if role == "platform_admin" else 403)
        assert statuses["HEAD", role] in {200, 405}


TRICKS: dict[str, dict[str, str]] = {
    "original URL": {"x-original-url": "/v1/public"},
    "rewritten URL": {"x-rewrite-url": "/v1/public"},
    "forwarded for this host": {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "forwarded": "for=127.0.0.1"},
    "forwarded host": {"x-forwarded-host": "localhost", "x-host": "localhost", "x-forwarded-server": "localhost"},
    "forwarded path": {"x-forwarded-prefix": "/v1/public", "x-forwarded-uri": "/v1/public", "x-forwarded-path": "/"},
    "forwarded scheme": {"x-forwarded-proto": "https", "x-forwarded-port": "443"},
    "method": {"x-http-method-override": "OPTIONS", "x-method-override": "OPTIONS", "x-http-method": "HEAD"},
    "identity": {"x-user": "admin", "x-remote-user": "admin", "x-forwarded-user": "admin", "x-admin": "true"},
    "client": {"x-client-ip": "127.0.0.1", "cf-connecting-ip": "127.0.0.1", "true-client-ip": "127.0.0.1"},
    "another host": {"host": "localhost"},
    "referer": {"referer": "http://localhost/v1/admin"},
}


@pytest.mark.parametrize("headers", TRICKS.values(), ids=TRICKS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_no_header_changes_what_a_role_may_do(headers: dict[str, str], method: str) -> None:
    routes = [own("/v1/admin", "platform_admin"), own("/v1/public", "user")]
    async with make_app(plugins=[Gate(*routes)]) as gateway:
        plain = await gateway.client.request(method, "/v1/admin", headers={"x-role": "user"})
        tricked = await gateway.client.request(method, "/v1/admin", headers={"x-role": "user", **headers})
        allowed = await gateway.client.request(method, "/v1/admin", headers={"x-role": "platform_admin", **headers})
    assert tricked.status_code == plain.status_code
    assert plain.status_code == (403 if method == "GET" else plain.status_code)
    assert allowed.status_code == (200 if method == "GET" else allowed.status_code)


PATHS = [
    "/v1/admin/", "/v1//admin", "//v1/admin", "/v1/./admin", "/v1/public/../admin", "/v1/public/%2e%2e/admin",
    "/v1/%61dmin", "/v1/admin%2f", "/v1/admin%00", "/v1/admin;x=/v1/public", "/v1/admin?/v1/public", "/V1/ADMIN",
    "/v1/admin#/v1/public", "/v1/admin%20", "/v1/admin%23", "/v1/admin..;/", "/v1\\admin", "/v1/public%2f..%2fadmin",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_no_spelling_of_a_path_lets_a_user_reach_what_is_not_theirs(path: str) -> None:
    routes = [own("/v1/admin", "platform_admin"), own("/v1/public", "user")]
    async with make_app(plugins=[Gate(*routes)]) as gateway:
        scope_path = path.partition("#")[0]
        answer = await gateway.client.request("GET", scope_path, headers={"x-role": "user"})
    assert answer.status_code in {400, 403, 404}

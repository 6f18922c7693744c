"""What the routes of an application declare about themselves."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Request, get

from chatproxy import App, Principal, RequestContext, hookimpl
from chatproxy.testing import make_app
from chatproxy.types import Route


class Routed:
    """Keeps the table of routes, and the route of each request."""

    chatproxy_name = "routed"

    def __init__(self) -> None:
        self.table: list[Route] = []
        self.seen: list[Route] = []

    @hookimpl
    def lifespan(self, app: App) -> None:
        self.table = list(app.routes)

    @hookimpl
    def routes(self) -> list[Any]:
        @get("/own/{name:str}", sync_to_thread=False, opt={"own_path": True, "access": "platform_admin"})
        def own(request: Request[Any, Any, Any]) -> str:
            return str(request.path_params["name"])

        @get("/status", sync_to_thread=False)
        def status() -> str:
            return "fine"

        @get("/schemas", sync_to_thread=False, opt={"own_path": True})
        def schemas() -> str:
            return "own"

        return [own, status, schemas]

    @hookimpl
    async def authenticate(self, ctx: RequestContext) -> Principal:
        self.seen.append(ctx.route)
        return Principal(id="me")


async def test_every_route_of_the_core_declares_whom_it_is_for() -> None:
    plugin = Routed()
    async with make_app(plugins=[plugin]):
        pass
    core = [route for route in plugin.table if route.plugin is None]
    assert len(core) > 40
    assert {route.access for route in core} == {"public", "user"}
    public = {path for route in core if route.access == "public" and route.methods == ("GET",) for path in route.paths}
    assert {path for path in public if not path.startswith("/schema")} == {
        "/", "/docs", "/health", "/livez", "/readyz", "/redoc",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "access"),
    [
        ("POST", "/v1/chat/completions", "user"),
        ("POST", "/responses", "user"),
        ("GET", "/v1/responses/resp_1", "user"),
        ("GET", "/v1/models/a%2Fb", "user"),
        ("GET", "/files", "user"),
        ("GET", "/own/v1%20models", "platform_admin"),
        ("GET", "/plugins/routed/status", ""),
        ("GET", "/schemas", ""),
    ],
)
async def test_authentication_is_told_the_matched_route(method: str, path: str, access: str) -> None:
    plugin = Routed()
    body = {"model": "scripted", "messages": [{"role": "user", "content": "x"}], "input": "x"}
    async with make_app(plugins=[plugin]) as app:
        await app.client.request(method, path, json=body if method == "POST" else None)
    assert [route.access for route in plugin.seen] == [access]


async def test_route_of_a_plugin_names_it() -> None:
    plugin = Routed()
    async with make_app(plugins=[plugin]) as app:
        await app.client.get("/own/x")
    (route,) = plugin.seen
    assert route.paths == ("/own/{name:str}",)
    assert route.plugin == "routed"
    assert route.methods == ("GET",)


async def test_every_answer_of_an_own_route_carries_the_id_of_its_request() -> None:
    plugin = Routed()
    async with make_app(plugins=[plugin]) as app:
        answers = [
            await app.client.get(path)
            for path in ("/own/x", "/plugins/routed/status", "/plugins/routed/nothing", "/livez", "/", "/docs")
        ]
        refused = await app.client.post("/own/x")
    ids = [answer.headers["x-request-id"] for answer in (*answers, refused)]
    assert all(each.startswith("req_") and len(each) == 28 for each in ids)
    assert len(set(ids)) == len(ids)
    assert [answer.status_code for answer in (*answers, refused)] == [200, 200, 404, 200, 200, 200, 405]

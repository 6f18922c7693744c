"""Every route asked by everybody (A-01): the table of routes says what there is, the roles say what must come back.

A new route is asked without anybody's doing; one whose role is not written down fails in ``test_matrix_roles.py``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from chatproxy_platform.identity.records import RANKS
from litestar import get
from litestar.handlers import HTTPRouteHandler

from chatproxy import hookimpl
from chatproxy.testing import make_app
from chatproxy.types.route import Route

from .tenants import STANDINGS, Company, Eye, company, new_schema

ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
CLOSED = ("expired", "revoked", "disabled", "owner_disabled", "organization_disabled")
UNKNOWN = {
    "no key": None,
    "no text": "",
    "a word": "secret",
    "a made-up key": f"cp_{'a' * 16}_{'b' * 43}",
    "somebody's key cut off": "cp_",
    "a made-up token": "eyJhbGciOiJub25lIn0.e30.",
    "an upstream's key": "sk-proj-abcdefghijklmnopqrstuvwxyz",
}
NOBODYS = "nobody-s"
BELOW = {
    "/audio": ("speech", "transcriptions", "translations"),
    "/images": ("generations", "edits", "variations"),
    "/files": (NOBODYS, f"{NOBODYS}/content"),
    "/batches": (NOBODYS, f"{NOBODYS}/cancel"),
    "/responses": (NOBODYS, f"{NOBODYS}/cancel", f"{NOBODYS}/input_items"),
}
ROLE_OF = {who: standing["role"] for who, standing in STANDINGS.items() if who not in CLOSED}


class Guest:
    """Another plugin, whose routes declare little."""

    chatproxy_name = "guest"

    @hookimpl
    def routes(self) -> list[HTTPRouteHandler]:
        return [
            get("/undeclared", sync_to_thread=False)(_ok),
            get("/for-users", sync_to_thread=False, opt={"access": "user"})(_ok),
        ]


def _ok() -> dict[str, bool]:
    return {"ok": True}


def requests_of(route: Route) -> Iterator[tuple[str, str]]:
    """Every method and path of a route, its parameters filled in with what is nobody's."""
    for template in route.paths:
        path = re.sub(r"\{[^}]*\}", NOBODYS, template)
        below = BELOW.get(template.removeprefix("/v1"), (NOBODYS,)) if not route.methods else ()
        for each in (path, *(f"{path}/{rest}" for rest in below)):  # a mount takes all that lies below
            yield from ((method, each) for method in route.methods or ALL_METHODS)


def needed(route: Route) -> str:
    """Whom a route is for: what it declares; where it declares nothing, the highest."""
    return route.access or "platform_admin"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def everything(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Company]:
    """One gateway for all who ask; they change nothing that another one meets."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('matrix') / 'platform.db'}"
        else:
            url = stack.enter_context(new_schema())
        async with company(url, plugins=(Guest(),)) as found:
            yield found


async def outcomes(everything: Company, who: str | None) -> dict[tuple[str, str, str], int]:
    """What somebody's requests for all that is not public are answered: by role, method and path."""
    found = {}
    for route in everything.app.routes:
        if route.access == "public":
            continue
        for method, path in requests_of(route):
            answer = await everything.ask(who, method, path)
            found[needed(route), method, path] = answer.status_code
            if answer.status_code in {401, 403} and method != "HEAD" and "/messages" not in path:
                assert set(answer.json()) == {"error"}, (method, path)
    return found


def of_routes(found: dict[tuple[str, str, str], int]) -> dict[tuple[str, str, str], int]:
    """Without what no route answers: a path below a mount, or a method, that is not there."""
    return {at: status for at, status in found.items() if status not in {404, 405}}


@pytest.mark.parametrize("who", [*UNKNOWN, *CLOSED])
async def test_who_has_no_good_key_gets_no_further_than_a_refusal(everything: Company, who: str) -> None:
    found = await outcomes(everything, UNKNOWN.get(who, who))
    assert not {at: status for at, status in of_routes(found).items() if status != 401}
    for route in everything.app.routes:
        asked = {found[needed(route), *each] for each in requests_of(route)} if route.access != "public" else {401}
        assert 401 in asked, route


@pytest.mark.parametrize("who", ROLE_OF)
async def test_a_role_reaches_its_own_routes_and_no_others(everything: Company, who: str) -> None:
    rank = RANKS[ROLE_OF[who]]
    found = await outcomes(everything, who)
    refused = {at: status for at, status in found.items() if RANKS[at[0]] > rank}
    allowed = {at: status for at, status in found.items() if at not in refused}
    assert set(refused.values()) == (set() if rank == RANKS["platform_admin"] else {403})
    assert not {at: status for at, status in allowed.items() if status in {401, 403} or status >= 500}


async def test_public_routes_answer_everybody(everything: Company) -> None:
    public = [route for route in everything.app.routes if route.access == "public"]
    statuses = {
        (method, path): (await everything.ask(None, method, path)).status_code
        for route in public
        if route.methods != ("OPTIONS",) and not route.paths[0].startswith("/schema")
        for method, path in requests_of(route)
    }
    assert not {at: status for at, status in statuses.items() if status != 200}
    assert {path for method, path in statuses if method == "GET"} == {
        "/", "/health", "/livez", "/readyz", "/docs", "/redoc"
    }  # fmt: skip


def test_the_matrix_asks_what_is_new() -> None:
    """The generator itself: a mount is asked at its root and below, a template with its parameter filled in."""
    mount, template = Route(paths=("/m",)), Route(paths=("/t/{id:str}/x",), methods=("POST",))
    assert ("DELETE", "/m/nobody-s") in set(requests_of(mount))
    assert ("GET", "/m") in set(requests_of(mount))
    assert list(requests_of(template)) == [("POST", "/t/nobody-s/x")]
    assert needed(template) == "platform_admin"


async def test_the_matrix_sees_every_route_that_answers() -> None:
    """The table of routes is complete: what Litestar would serve is in it."""
    eye = Eye()
    async with make_app(plugins=[eye, Guest()]) as gateway:
        assert eye.app is not None
        served: dict[str, Any] = {route.path: route for route in gateway.app.litestar.routes}
        listed = {path for route in eye.app.routes for path in route.paths}
    assert set(served) <= listed
    assert "/plugins/guest/undeclared" in listed

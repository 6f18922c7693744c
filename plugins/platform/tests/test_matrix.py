"""Every route asked by everybody (A-01): the table of routes says what there is, the roles say what must come back.

A new route is asked without anybody's doing; one whose role is not written down fails in ``test_matrix_roles.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from chatproxy_platform.identity.records import RANKS
from litestar import get
from litestar.handlers import HTTPRouteHandler

from chatproxy import hookimpl
from chatproxy.testing import make_app
from chatproxy.types.route import Route

from .tenants import STANDINGS, Company, Eye, company

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
        path = re.sub(r"\{[^}]*\}", "nobody-s", template)
        paths = [path] if route.methods else [path, f"{path}/nobody-s"]  # a mount takes all that lies below
        for method in route.methods or ALL_METHODS:
            yield from ((method, each) for each in paths)


def needed(route: Route) -> str:
    """Whom a route is for: what it declares; where it declares nothing, the highest."""
    return route.access or "platform_admin"


async def outcomes(everything: Company, who: str | None) -> dict[tuple[str, str, str], int]:
    """What everybody's requests are answered: by role, method and path."""
    found = {}
    for route in everything.app.routes:
        for method, path in requests_of(route):
            if method != "OPTIONS":
                answer = await everything.ask(who, method, path)
                found[needed(route), method, path] = answer.status_code
                if answer.status_code in {401, 403} and method != "HEAD" and "messages" not in path:
                    assert set(answer.json()) == {"error"}, (method, path)
    return found


@pytest.mark.parametrize("who", UNKNOWN.values(), ids=UNKNOWN)
async def test_without_a_key_nothing_but_public_routes_answers(sqlite_url: str, who: str | None) -> None:
    async with company(sqlite_url, plugins=(Guest(),)) as everything:
        found = await outcomes(everything, who)
    wrong = {at: status for at, status in found.items() if (status == 401) != (at[0] != "public")}
    assert not {at: status for at, status in wrong.items() if status not in {404, 405}}
    assert not {at: status for at, status in found.items() if status < 400 and at[0] != "public"}


@pytest.mark.parametrize("who", CLOSED)
async def test_a_key_that_is_closed_is_as_good_as_none(database_url: str, who: str) -> None:
    async with company(database_url, plugins=(Guest(),)) as everything:
        found = await outcomes(everything, who)
    assert not {at: status for at, status in found.items() if at[0] != "public" and status not in {401, 404, 405}}


@pytest.mark.parametrize("who", ROLE_OF)
async def test_a_role_reaches_its_own_routes_and_no_others(database_url: str, who: str) -> None:
    rank = RANKS[ROLE_OF[who]]
    async with company(database_url, plugins=(Guest(),)) as everything:
        found = await outcomes(everything, who)
    allowed = {at: status for at, status in found.items() if at[0] == "public" or RANKS[at[0]] <= rank}
    refused = {at: status for at, status in found.items() if at not in allowed}
    assert not {at: status for at, status in refused.items() if status not in {403, 405}}
    assert not {at: status for at, status in allowed.items() if status in {401, 403} or status >= 500}
    assert any(status == 403 for status in refused.values()) == (rank < 2)


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

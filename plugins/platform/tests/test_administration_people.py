"""Keys, users, organizations and administrators, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from .administering import own_company
from .tenants import STANDINGS, Company
from .tenants import company as new_company

SPELLINGS = pytest.mark.parametrize("prefix", ["/v1/platform", "/api/v1/platform"])
ROOT = "platform_admin"
ADMINS = "/v1/platform/admins"
KEYS = "/v1/platform/keys"
USERS = "/v1/platform/users"
ORGANIZATIONS = "/v1/platform/organizations"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    """One for all tests of this file: each makes what it changes."""
    async with own_company(request.param, tmp_path_factory) as found:
        yield found


def fault(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    """Status, and what the envelope names."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["param"], error["code"]


# -- administrators ----------------------------------------------------------------------------------------------------


@SPELLINGS
async def test_administrators_are_added_listed_and_removed(company: Company, prefix: str) -> None:
    body = {"workos_id": prefix, "email": f"o'neil+{len(prefix)}@example.com", "name": "O'Neil"}
    before = (await company.ask(ROOT, "GET", f"{prefix}/admins")).json()
    added = await company.ask(ROOT, "POST", f"{prefix}/admins", json=body)
    listed = (await company.ask(ROOT, "GET", f"{prefix}/admins")).json()
    removed = await company.ask(ROOT, "DELETE", f"{prefix}/admins/{quote(body['email'], safe='')}")

    assert (added.status_code, added.json()) == (201, {"status": "success", "email": body["email"]})
    new = listed["admins"].pop()
    assert new.pop("created_at").endswith("Z")
    assert new == {"id": prefix, "email": body["email"], "name": "O'Neil", "created_by": ROOT}
    assert listed == {"admins": before["admins"], "count": before["count"] + 1}
    assert (removed.status_code, removed.json()) == (200, {"status": "success", "email": body["email"]})
    assert (await company.ask(ROOT, "GET", f"{prefix}/admins")).json() == before


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"workos_id": "w", "email": ""}, "email"),
        ({"workos_id": "", "email": "a@example.com"}, "workos_id"),
        ({"workos_id": "w", "email": " "}, "email"),
        ({"workos_id": " ", "email": "a@example.com"}, "workos_id"),
        ({"workos_id": "w"}, "email"),
        ({"email": "a@example.com"}, "workos_id"),
        ({"workos_id": "w", "email": "a@example.com", "role": "platform_admin"}, "role"),
        ({"workos_id": 1, "email": "a@example.com"}, "workos_id"),
        ({"workos_id": "w" * 201, "email": "a@example.com"}, "workos_id"),
    ],
)
async def test_an_administrator_needs_an_email_and_an_id(company: Company, body: dict[str, Any], param: str) -> None:
    before = (await company.ask(ROOT, "GET", ADMINS)).json()

    answer = await company.ask(ROOT, "POST", ADMINS, json=body)

    assert fault(answer)[:2] == (400, param)
    assert (await company.ask(ROOT, "GET", ADMINS)).json() == before


async def test_the_last_administrator_stays(database_url: str) -> None:
    others = [name for name, standing in STANDINGS.items() if standing["role"] == ROOT != name]
    async with new_company(database_url) as alone:
        removed = [await alone.ask(ROOT, "DELETE", f"{ADMINS}/{name}@example.com") for name in others]
        answer = await alone.ask(ROOT, "DELETE", f"{ADMINS}/{ROOT}@example.com")

        assert {done.status_code for done in removed} == {200}
        assert answer.status_code in {403, 409}
        assert (await alone.ask(ROOT, "GET", "/v1/platform/me")).json()["role"] == ROOT


async def test_who_is_no_administrator_is_as_if_they_were_not_there(company: Company) -> None:
    missing = await company.ask(ROOT, "DELETE", f"{ADMINS}/nobody@example.com")
    no_admin = await company.ask(ROOT, "DELETE", f"{ADMINS}/user@example.com")

    assert (missing.status_code, missing.json()) == (no_admin.status_code, no_admin.json())
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("query", "part"),
    [("", slice(None)), ("limit=1", slice(1)), ("limit=2&offset=1", slice(1, 3)), ("offset=200", slice(0, 0))],
)
async def test_administrators_are_listed_in_parts(company: Company, query: str, part: slice) -> None:
    whole = (await company.ask(ROOT, "GET", f"{ADMINS}?limit=200")).json()

    found = (await company.ask(ROOT, "GET", f"{ADMINS}?{query}")).json()

    assert len(whole["admins"]) >= 5
    assert found == {"admins": whole["admins"][part], "count": whole["count"]}


# -- users and organizations -------------------------------------------------------------------------------------------


@SPELLINGS
async def test_a_user_is_made_shown_changed_and_listed(company: Company, prefix: str) -> None:
    body = {"id": f"x|{prefix}/y z%20é", "email": f"New{len(prefix)}@Example.com", "name": "N", "organization_id": "a"}
    made = await company.ask(ROOT, "POST", f"{prefix}/users", json=body)
    path = f"{prefix}/users/{quote(body['id'], safe='')}"
    user = made.json()

    assert made.status_code == 201
    assert user.pop("created_at").endswith("Z")
    assert user == {
        "id": body["id"],
        "email": body["email"].lower(),
        "name": "N",
        "workos_id": None,
        "role": "user",
        "organization_id": "a",
        "org_id": "a",
        "disabled": False,
        "limits": None,
        "budget": None,
        "metadata": {},
        "created_by": ROOT,
    }
    changed = await company.ask(ROOT, "PATCH", path, json={"role": "org_admin", "limits": {"tokens_per_day": 7}})
    assert (changed.json()["role"], changed.json()["limits"]) == ("org_admin", {"tokens_per_day": 7})
    assert (await company.ask(ROOT, "GET", path)).json() == changed.json()
    listed = (await company.ask("org_admin", "GET", f"{prefix}/users?page_size=2")).json()
    assert set(listed) == {"users", "total", "page", "page_size", "has_more"}
    assert [listed["users"][0]["id"], listed["has_more"]] == [body["id"], True]
    assert {found["organization_id"] for found in listed["users"]} == {"a"}
    by_email = (await company.ask(ROOT, "GET", f"{prefix}/users?email={quote(body['email'])}")).json()
    assert [found["id"] for found in by_email["users"]] == [body["id"]]


@SPELLINGS
async def test_an_organization_is_made_shown_changed_and_listed(company: Company, prefix: str) -> None:
    body = {"id": f"c{prefix}", "name": "C", "budget": {"usd": 10}, "metadata": {"k": [1, None]}}
    made = await company.ask(ROOT, "POST", f"{prefix}/organizations", json=body)
    organization = made.json()

    assert made.status_code == 201
    assert organization.pop("created_at").endswith("Z")
    assert organization == {
        "id": body["id"],
        "name": "C",
        "disabled": False,
        "limits": None,
        "budget": {"usd": 10, "period": "month"},
        "metadata": {"k": [1, None]},
        "created_by": ROOT,
    }
    encoded = f"{prefix}/organizations/{quote(str(body['id']), safe='')}"
    changed = await company.ask(ROOT, "PATCH", encoded, json={"disabled": True})
    assert changed.json()["disabled"] is True
    assert (await company.ask(ROOT, "GET", f"{prefix}/organizations/c{prefix}")).json() == changed.json()
    listed = (await company.ask(ROOT, "GET", f"{prefix}/organizations?page=2&page_size=2")).json()
    assert set(listed) == {"organizations", "total", "page", "page_size", "has_more"}
    assert len(listed["organizations"]) == 2
    assert listed["has_more"] is (listed["total"] > 4)
    own = (await company.ask("org_admin", "GET", f"{prefix}/organizations")).json()
    assert [found["id"] for found in own["organizations"]] == ["a"]


@pytest.mark.parametrize("body", [{"id": "user"}, {"id": "z", "email": "USER@example.com"}])
async def test_two_users_have_nothing_in_common_that_names_them(company: Company, body: dict[str, Any]) -> None:
    assert fault(await company.ask(ROOT, "POST", USERS, json=body))[0] == 409


@pytest.mark.parametrize(
    ("who", "path", "body", "param"),
    [
        ("user", f"{USERS}/user", {"role": "platform_admin"}, "role"),
        ("user", f"{USERS}/user", {"organization_id": "b"}, "organization_id"),
        ("user", f"{USERS}/user", {"limits": None}, "limits"),
        ("user", f"{USERS}/user", {"spend": 0}, "spend"),
        ("org_admin", f"{USERS}/org_admin", {"role": "user"}, "role"),
        ("org_admin", f"{USERS}/user", {"organization_id": "b"}, "organization_id"),
        (ROOT, f"{USERS}/{ROOT}", {"role": "user"}, "role"),
        ("org_admin", f"{ORGANIZATIONS}/a", {"budget": None}, "budget"),
        ("org_admin", f"{ORGANIZATIONS}/a", {"disabled": False}, "disabled"),
        (ROOT, f"{ORGANIZATIONS}/a", {"id": "z"}, "id"),
        (ROOT, f"{ORGANIZATIONS}/a", {"name": ""}, "name"),
    ],
)
async def test_a_field_that_is_not_ones_own_to_set_is_named(
    company: Company, who: str, path: str, body: dict[str, Any], param: str
) -> None:
    before = (await company.ask(ROOT, "GET", path)).json()

    assert fault(await company.ask(who, "PATCH", path, json=body))[:2] == (400, param)
    assert (await company.ask(ROOT, "GET", path)).json() == before


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("user", "GET", USERS, 403),
        ("user", "POST", USERS, 403),
        ("user", "GET", ORGANIZATIONS, 403),
        ("user", "PATCH", f"{ORGANIZATIONS}/a", 403),
        ("org_admin", "POST", ORGANIZATIONS, 403),
        ("org_admin", "GET", f"{USERS}/other_user", 404),
        ("org_admin", "PATCH", f"{USERS}/other_user", 404),
        ("user", "GET", f"{USERS}/org_admin", 404),
        ("org_admin", "GET", f"{ORGANIZATIONS}/b", 404),
        ("org_admin", "PATCH", f"{ORGANIZATIONS}/b", 404),
        (ROOT, "GET", f"{USERS}/nobody", 404),
        (ROOT, "GET", f"{ORGANIZATIONS}/%00", 404),
        (ROOT, "GET", f"{USERS}/%0A", 404),
        (ROOT, "GET", f"{USERS}/{'x' * 5000}", 404),
        (ROOT, "GET", f"{USERS}%2Fuser", 404),
        (ROOT, "DELETE", USERS, 405),
    ],
)
async def test_what_is_none_of_ones_business_stays_closed(
    company: Company, who: str, method: str, path: str, status: int
) -> None:
    options: dict[str, Any] = {"json": {"name": "x"}} if method in {"POST", "PATCH"} else {}

    assert fault(await company.ask(who, method, path, **options))[0] == status

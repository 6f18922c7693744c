"""Keys, users, organizations and administrators, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from .administering import PEOPLE, Administration, administering

SPELLINGS = pytest.mark.parametrize("prefix", ["/v1/platform", "/api/v1/platform"])
KEYS = "/v1/platform/keys"
USERS = "/v1/platform/users"
ORGANIZATIONS = "/v1/platform/organizations"


@pytest.fixture
async def administration(database_url: str) -> AsyncIterator[Administration]:
    async with administering(database_url) as found:
        yield found


def fault(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    """Status, and what the envelope names."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["param"], error["code"]


# -- administrators ----------------------------------------------------------------------------------------------------


@SPELLINGS
async def test_administrators_are_added_listed_and_removed(administration: Administration, prefix: str) -> None:
    body = {"workos_id": "user_01", "email": "o'neil+x@example.com", "name": "O'Neil"}
    added = await administration.ask("root", "POST", f"{prefix}/admins", json=body)
    listed = (await administration.ask("root", "GET", f"{prefix}/admins")).json()
    removed = await administration.ask("root", "DELETE", f"{prefix}/admins/{quote(body['email'], safe='')}")

    assert (added.status_code, added.json()) == (201, {"status": "success", "email": body["email"]})
    assert [admin.pop("created_at")[-1] for admin in listed["admins"]] == ["Z", "Z"]
    assert listed == {
        "admins": [
            {"id": "root", "email": "root@example.com", "name": "Root", "created_by": None},
            {"id": "user_01", "email": body["email"], "name": "O'Neil", "created_by": "root"},
        ],
        "count": 2,
    }
    assert (removed.status_code, removed.json()) == (200, {"status": "success", "email": body["email"]})
    assert (await administration.ask("root", "GET", f"{prefix}/admins")).json()["count"] == 1


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
async def test_an_administrator_needs_an_email_and_an_id(
    administration: Administration, body: dict[str, Any], param: str
) -> None:
    answer = await administration.ask("root", "POST", "/v1/platform/admins", json=body)

    assert fault(answer)[:2] == (400, param)
    assert (await administration.ask("root", "GET", "/v1/platform/admins")).json()["count"] == 1


async def test_the_last_administrator_stays(administration: Administration) -> None:
    answer = await administration.ask("root", "DELETE", "/v1/platform/admins/root@example.com")

    assert answer.status_code in {403, 409}
    assert (await administration.ask("root", "GET", "/v1/platform/me")).json()["role"] == "platform_admin"


async def test_nobody_else_is_an_administrator_to_be_removed(administration: Administration) -> None:
    missing = await administration.ask("root", "DELETE", "/v1/platform/admins/nobody@example.com")
    no_admin = await administration.ask("root", "DELETE", "/v1/platform/admins/ann@example.com")

    assert (missing.status_code, missing.json()) == (no_admin.status_code, no_admin.json())
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("query", "names"), [("limit=1", ["root"]), ("limit=1&offset=1", ["w"]), ("offset=2", []), ("", ["root", "w"])]
)
async def test_administrators_are_listed_in_parts(administration: Administration, query: str, names: list[str]) -> None:
    await administration.ask("root", "POST", "/v1/platform/admins", json={"workos_id": "w", "email": "w@example.com"})

    found = (await administration.ask("root", "GET", f"/v1/platform/admins?{query}")).json()

    assert ([admin["id"] for admin in found["admins"]], found["count"]) == (names, 2)


# -- keys --------------------------------------------------------------------------------------------------------------


@SPELLINGS
async def test_a_key_is_shown_once_and_works(administration: Administration, prefix: str) -> None:
    body = {"name": "ci", "models": ["gpt-*"], "expires_at": "2099-01-01T00:00:00Z", "metadata": {"team": "x"}}
    made = await administration.ask("ann", "POST", f"{prefix}/keys", json=body)
    key = made.json()
    shown = (await administration.ask("ann", "GET", f"{prefix}/keys/{key['id']}")).json()

    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    text = key.pop("key")
    assert text.startswith(f"cp_{key['id']}_")
    assert shown == key
    created_at, limits, budget = key.pop("created_at"), key.pop("limits"), key.pop("budget")
    assert created_at.endswith("Z")
    assert limits == {"requests_per_minute": 600}
    assert budget == {"usd": 5, "period": "month"}
    assert key == {
        "id": key["id"],
        "name": "ci",
        "status": "active",
        "user_id": "ann",
        "organization_id": "a",
        "role": "user",
        "models": ["gpt-*"],
        "surfaces": None,
        "metadata": {"team": "x"},
        "disabled": False,
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "revoked_at": None,
        "created_by": "ann",
    }
    assert (await administration.ask(text, "GET", f"{prefix}/me")).json()["models"] == ["gpt-*"]


@SPELLINGS
async def test_a_key_is_rotated_disabled_enabled_and_revoked(administration: Administration, prefix: str) -> None:
    first = (await administration.ask("root", "POST", f"{prefix}/keys", json={"user_id": "ann"})).json()
    path = f"{prefix}/keys/{first['id']}"

    async def status() -> int:
        return (await administration.ask(second["key"], "GET", f"{prefix}/me")).status_code

    rotated = await administration.ask("root", "POST", f"{path}/rotate")
    second = rotated.json()
    assert (rotated.status_code, second["id"], second["key"] != first["key"]) == (200, first["id"], True)
    assert (await administration.ask(first["key"], "GET", f"{prefix}/me")).status_code == 401
    assert await status() == 200
    assert (await administration.ask("root", "POST", f"{path}/disable")).json()["status"] == "disabled"
    assert await status() == 401
    assert (await administration.ask("root", "POST", f"{path}/enable")).json()["status"] == "active"
    assert await status() == 200
    assert (await administration.ask("root", "PATCH", path, json={"name": "n"})).json()["name"] == "n"
    assert (await administration.ask("root", "POST", f"{path}/revoke")).json()["status"] == "revoked"
    assert await status() == 401
    assert (await administration.ask("root", "DELETE", path)).json()["status"] == "revoked"
    assert fault(await administration.ask("root", "POST", f"{path}/rotate"))[0] == 409


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page_size=2", (2, 1, 2, True)),
        ("page_size=2&page=3", (1, 3, 2, False)),
        ("page_size=5", (5, 1, 5, False)),
        ("page_size=4&page=2", (1, 2, 4, False)),
        ("page=2147483648", (0, 2147483648, 20, False)),
        ("page_size=100", (5, 1, 100, False)),
    ],
)
async def test_keys_are_listed_in_pages(
    administration: Administration, query: str, expected: tuple[int, int, int, bool]
) -> None:
    found = (await administration.ask("root", "GET", f"{KEYS}?{query}")).json()

    place = (len(found["keys"]), found["page"], found["page_size"], found["has_more"])
    assert set(found) == {"keys", "total", "page", "page_size", "has_more"}
    assert (place, found["total"]) == (expected, len(PEOPLE))


@pytest.mark.parametrize(
    ("who", "query", "owners"),
    [
        ("root", "role=user", {"ann", "ben"}),
        ("root", "organization_id=b", {"bea", "ben"}),
        ("root", "user_id=alf", {"alf"}),
        ("root", "revoked=true", set()),
        ("root", "revoked=false", set(PEOPLE)),
        ("alf", "", {"alf", "ann"}),
        ("alf", "user_id=ben", set()),
        ("ann", "", {"ann"}),
        ("ann", "organization_id=b", set()),
    ],
)
async def test_everybody_lists_the_keys_that_are_theirs(
    administration: Administration, who: str, query: str, owners: set[str]
) -> None:
    found = (await administration.ask(who, "GET", f"{KEYS}?{query}")).json()

    assert {key["user_id"] for key in found["keys"]} == owners
    assert found["total"] == len(owners)


@pytest.mark.parametrize("act", ["GET", "PATCH", "DELETE", "POST rotate", "POST revoke", "POST disable", "POST enable"])
async def test_somebody_elses_key_is_as_if_it_were_not_there(administration: Administration, act: str) -> None:
    method, _, below = act.partition(" ")
    keys = (await administration.ask("root", "GET", f"{KEYS}?user_id=ben")).json()["keys"]
    options: dict[str, Any] = {"json": {}} if method == "PATCH" else {}

    answers = [
        await administration.ask(who, method, f"{KEYS}/{key_id}{below and '/'}{below}", **options)
        for who in ("ann", "alf")
        for key_id in (keys[0]["id"], "0123456789abcdef", "a%2Fb", "%E2%82%AC%27%22", "x" * 3000)
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert (await administration.ask("ben", "GET", "/v1/platform/me")).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"spend": 0}, "spend"),
        ({"id": "mine"}, "id"),
        ({"secret_hash": "x"}, "secret_hash"),
        ({"created_by": "root"}, "created_by"),
        ({"tenant_id": "b"}, "tenant_id"),
        ({"role": "god"}, "role"),
        ({"name": 5}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"name": "a\x00b"}, None),
        ({"models": "gpt-4"}, "models"),
        ({"models": [""]}, "models[0]"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"limits": {"rpm": 5}}, "limits.rpm"),
        ({"budget": {"usd": -1}}, "budget.usd"),
        ({"budget": {"usd": 1e300}}, "budget"),
        ({"budget": {"usd": "5"}}, "budget.usd"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"expires_at": 1e300}, "expires_at"),
        ({"metadata": {"a": "b" * 20_000}}, "metadata"),
        ({"metadata": []}, "metadata"),
    ],
)
async def test_what_cannot_be_set_of_a_key_is_named(
    administration: Administration, body: dict[str, Any], param: str | None
) -> None:
    (key,) = (await administration.ask("root", "GET", f"{KEYS}?user_id=ann")).json()["keys"]

    made = await administration.ask("root", "POST", KEYS, json={"user_id": "ann", **body})
    changed = await administration.ask("root", "PATCH", f"{KEYS}/{key['id']}", json=body)

    assert fault(made)[:2] == fault(changed)[:2] == (400, param)
    assert (await administration.ask("root", "GET", f"{KEYS}?user_id=ann")).json()["keys"] == [key]


@pytest.mark.parametrize(
    ("who", "body", "param"),
    [
        ("ann", {"role": "org_admin"}, "role"),
        ("ann", {"user_id": "alf"}, "user_id"),
        ("ann", {"organization_id": "b"}, "organization_id"),
        ("ann", {"limits": {"requests_per_minute": 601}}, "limits"),
        ("ann", {"budget": None}, "budget"),
        ("alf", {"role": "platform_admin"}, "role"),
        ("alf", {"organization_id": "b"}, "organization_id"),
    ],
)
async def test_nobody_gives_more_than_they_have(
    administration: Administration, who: str, body: dict[str, Any], param: str
) -> None:
    answer = await administration.ask(who, "POST", KEYS, json=body)

    assert fault(answer) == (403, param, "grant_exceeds_own")


# -- users and organizations -------------------------------------------------------------------------------------------


@SPELLINGS
async def test_a_user_is_made_shown_changed_and_listed(administration: Administration, prefix: str) -> None:
    body = {"id": "auth0|x/y z%20é", "email": "New@Example.com", "name": "N", "organization_id": "a"}
    made = await administration.ask("root", "POST", f"{prefix}/users", json=body)
    path = f"{prefix}/users/{quote(body['id'], safe='')}"
    user = made.json()

    assert made.status_code == 201
    assert user.pop("created_at").endswith("Z")
    assert user == {
        "id": body["id"],
        "email": "new@example.com",
        "name": "N",
        "workos_id": None,
        "role": "user",
        "organization_id": "a",
        "disabled": False,
        "limits": None,
        "budget": None,
        "metadata": {},
        "created_by": "root",
    }
    changed = await administration.ask("root", "PATCH", path, json={"role": "org_admin", "limits": {}})
    assert (changed.json()["role"], changed.json()["limits"]) == ("org_admin", {})
    assert (await administration.ask("root", "GET", path)).json() == changed.json()
    listed = (await administration.ask("alf", "GET", f"{prefix}/users?page_size=2")).json()
    assert set(listed) == {"users", "total", "page", "page_size", "has_more"}
    assert [listed["users"][0]["id"], listed["total"], listed["has_more"]] == [body["id"], 3, True]
    by_email = (await administration.ask("root", "GET", f"{prefix}/users?email=new@example.com")).json()
    assert [user["id"] for user in by_email["users"]] == [body["id"]]


@SPELLINGS
async def test_an_organization_is_made_shown_changed_and_listed(administration: Administration, prefix: str) -> None:
    body = {"id": "c/1", "name": "C", "budget": {"usd": 10}, "metadata": {"k": [1, None]}}
    made = await administration.ask("root", "POST", f"{prefix}/organizations", json=body)
    organization = made.json()

    assert made.status_code == 201
    assert organization.pop("created_at").endswith("Z")
    assert organization == {
        "id": "c/1",
        "name": "C",
        "disabled": False,
        "limits": None,
        "budget": {"usd": 10, "period": "month"},
        "metadata": {"k": [1, None]},
        "created_by": "root",
    }
    changed = await administration.ask("root", "PATCH", f"{prefix}/organizations/c%2F1", json={"disabled": True})
    assert changed.json()["disabled"] is True
    assert (await administration.ask("root", "GET", f"{prefix}/organizations/c/1")).json() == changed.json()
    listed = (await administration.ask("root", "GET", f"{prefix}/organizations?page=2&page_size=2")).json()
    assert (len(listed["organizations"]), listed["total"], listed["has_more"]) == (1, 3, False)
    own = (await administration.ask("alf", "GET", f"{prefix}/organizations")).json()
    assert [found["id"] for found in own["organizations"]] == ["a"]


@pytest.mark.parametrize("body", [{"id": "ann"}, {"id": "z", "email": "ANN@example.com"}])
async def test_two_users_have_nothing_in_common_that_names_them(
    administration: Administration, body: dict[str, Any]
) -> None:
    assert fault(await administration.ask("root", "POST", USERS, json=body))[0] == 409


@pytest.mark.parametrize(
    ("who", "path", "body", "param"),
    [
        ("ann", f"{USERS}/ann", {"role": "platform_admin"}, "role"),
        ("ann", f"{USERS}/ann", {"organization_id": "b"}, "organization_id"),
        ("ann", f"{USERS}/ann", {"limits": None}, "limits"),
        ("ann", f"{USERS}/ann", {"spend": 0}, "spend"),
        ("alf", f"{USERS}/alf", {"role": "user"}, "role"),
        ("alf", f"{USERS}/ann", {"organization_id": "b"}, "organization_id"),
        ("root", f"{USERS}/root", {"role": "user"}, "role"),
        ("alf", f"{ORGANIZATIONS}/a", {"budget": None}, "budget"),
        ("alf", f"{ORGANIZATIONS}/a", {"disabled": False}, "disabled"),
        ("root", f"{ORGANIZATIONS}/a", {"id": "z"}, "id"),
        ("root", f"{ORGANIZATIONS}/a", {"name": ""}, "name"),
    ],
)
async def test_a_field_that_is_not_ones_own_to_set_is_named(
    administration: Administration, who: str, path: str, body: dict[str, Any], param: str
) -> None:
    before = (await administration.ask("root", "GET", path)).json()

    assert fault(await administration.ask(who, "PATCH", path, json=body))[:2] == (400, param)
    assert (await administration.ask("root", "GET", path)).json() == before


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("ann", "GET", USERS, 403),
        ("ann", "POST", USERS, 403),
        ("ann", "GET", ORGANIZATIONS, 403),
        ("ann", "PATCH", f"{ORGANIZATIONS}/a", 403),
        ("alf", "POST", ORGANIZATIONS, 403),
        ("alf", "GET", f"{USERS}/ben", 404),
        ("alf", "PATCH", f"{USERS}/ben", 404),
        ("ann", "GET", f"{USERS}/alf", 404),
        ("alf", "GET", f"{ORGANIZATIONS}/b", 404),
        ("alf", "PATCH", f"{ORGANIZATIONS}/b", 404),
        ("root", "GET", f"{USERS}/nobody", 404),
        ("root", "GET", f"{ORGANIZATIONS}/%00", 404),
        ("root", "GET", f"{USERS}/%0A", 404),
        ("root", "DELETE", USERS, 405),
    ],
)
async def test_what_is_none_of_ones_business_stays_closed(
    administration: Administration, who: str, method: str, path: str, status: int
) -> None:
    options: dict[str, Any] = {"json": {"name": "x"}} if method in {"POST", "PATCH"} else {}

    answer = await administration.ask(who, method, path, **options)

    assert fault(answer)[0] == status

"""Keys, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from .administering import own_company
from .tenants import Company

SPELLINGS = pytest.mark.parametrize("prefix", ["/v1/platform", "/api/v1/platform"])
ROOT = "platform_admin"
KEYS = "/v1/platform/keys"


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


@SPELLINGS
async def test_a_key_is_shown_once_and_works(company: Company, prefix: str) -> None:
    body = {
        "name": "ci",
        "models": ["gpt-*"],
        "limits": {"requests_per_minute": 5},
        "budget": {"usd": 0.5, "period": "day"},
        "expires_at": "2099-01-01T00:00:00Z",
        "metadata": {"team": "x"},
    }
    made = await company.ask("user", "POST", f"{prefix}/keys", json=body)
    key = made.json()
    shown = (await company.ask("user", "GET", f"{prefix}/keys/{key['id']}")).json()

    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    text = key.pop("key")
    assert text.startswith(f"cp_{key['id']}_")
    assert shown == key
    assert key.pop("created_at").endswith("Z")
    assert key == {
        "id": key["id"],
        "name": "ci",
        "status": "active",
        "user_id": "user",
        "organization_id": "a",
        "org_id": "a",
        "role": "user",
        "models": ["gpt-*"],
        "surfaces": None,
        "limits": {"requests_per_minute": 5},
        "budget": {"usd": 0.5, "period": "day"},
        "metadata": {"team": "x"},
        "disabled": False,
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "revoked_at": None,
        "created_by": "user",
    }
    assert (await company.ask(text, "GET", f"{prefix}/me")).json()["models"] == ["gpt-*"]


@SPELLINGS
async def test_a_key_is_rotated_disabled_enabled_and_revoked(company: Company, prefix: str) -> None:
    first = (await company.ask(ROOT, "POST", f"{prefix}/keys", json={"user_id": "user"})).json()
    path = f"{prefix}/keys/{first['id']}"

    async def status() -> int:
        return (await company.ask(second["key"], "GET", f"{prefix}/me")).status_code

    rotated = await company.ask(ROOT, "POST", f"{path}/rotate")
    second = rotated.json()
    assert (rotated.status_code, second["id"], second["key"] != first["key"]) == (200, first["id"], True)
    assert (await company.ask(first["key"], "GET", f"{prefix}/me")).status_code == 401
    assert await status() == 200
    assert (await company.ask(ROOT, "POST", f"{path}/disable")).json()["status"] == "disabled"
    assert await status() == 401
    assert (await company.ask(ROOT, "POST", f"{path}/enable")).json()["status"] == "active"
    assert await status() == 200
    assert (await company.ask(ROOT, "PATCH", path, json={"name": "n"})).json()["name"] == "n"
    assert (await company.ask(ROOT, "POST", f"{path}/revoke")).json()["status"] == "revoked"
    assert await status() == 401
    assert (await company.ask(ROOT, "DELETE", path)).json()["status"] == "revoked"
    assert fault(await company.ask(ROOT, "POST", f"{path}/rotate"))[0] == 409


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page_size=2", (2, 1, 2, True)),
        ("page_size=2&page=2", (1, 2, 2, False)),
        ("page_size=3", (3, 1, 3, False)),
        ("page_size=1&page=3", (1, 3, 1, False)),
        ("page=2147483648", (0, 2147483648, 20, False)),
        ("page_size=100", (3, 1, 100, False)),
    ],
)
async def test_keys_are_listed_in_pages(company: Company, query: str, expected: tuple[int, int, int, bool]) -> None:
    found = (await company.ask(ROOT, "GET", f"{KEYS}?role=org_admin&{query}")).json()

    place = (len(found["keys"]), found["page"], found["page_size"], found["has_more"])
    assert set(found) == {"keys", "total", "page", "page_size", "has_more"}
    assert (place, found["total"]) == (expected, 3)


@pytest.mark.parametrize(
    ("who", "query", "owners"),
    [
        (ROOT, "role=user", {"user", "other_user", "lone_user"}),
        (ROOT, "organization_id=b", {"other_org_admin", "other_user"}),
        (ROOT, "user_id=org_admin", {"org_admin"}),
        (ROOT, "revoked=true&role=platform_admin", {"revoked"}),
        (ROOT, "revoked=false&organization_id=b", {"other_org_admin", "other_user"}),
        ("org_admin", "", {"org_admin", "user", "demoted"}),
        ("org_admin", "user_id=other_user", set()),
        ("user", "", {"user"}),
        ("user", "organization_id=b", set()),
    ],
)
async def test_everybody_lists_the_keys_that_are_theirs(
    company: Company, who: str, query: str, owners: set[str]
) -> None:
    found = (await company.ask(who, "GET", f"{KEYS}?page_size=100&{query}")).json()

    assert {key["user_id"] for key in found["keys"]} == owners
    assert found["total"] == len(found["keys"])


@pytest.mark.parametrize("act", ["GET", "PATCH", "DELETE", "POST rotate", "POST revoke", "POST disable", "POST enable"])
async def test_somebody_elses_key_is_as_if_it_were_not_there(company: Company, act: str) -> None:
    method, _, below = act.partition(" ")
    options: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
    ids = (company.tenants.ids["other_user"], "0123456789abcdef", "%E2%82%AC%27%22", "%0a", "x" * 3000)

    answers = [
        await company.ask(who, method, f"{KEYS}/{key_id}{below and '/'}{below}", **options)
        for who in ("user", "org_admin")
        for key_id in ids
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert (await company.ask("other_user", "GET", "/v1/platform/me")).status_code == 200


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
        ({"limits": {"requests_per_minute": 10**40}}, "limits"),
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
async def test_what_cannot_be_set_of_a_key_is_named(company: Company, body: dict[str, Any], param: str | None) -> None:
    before = (await company.ask(ROOT, "GET", f"{KEYS}?user_id=user&page_size=100")).json()

    made = await company.ask(ROOT, "POST", KEYS, json={"user_id": "user", **body})
    changed = await company.ask(ROOT, "PATCH", f"{KEYS}/{company.tenants.ids['user']}", json=body)

    assert fault(made)[:2] == fault(changed)[:2] == (400, param)
    assert (await company.ask(ROOT, "GET", f"{KEYS}?user_id=user&page_size=100")).json() == before


@pytest.mark.parametrize(
    ("who", "body", "param"),
    [
        ("bound", {"limits": {"requests_per_minute": 601}}, "limits"),
        ("bound", {"budget": None}, "budget"),
        ("bound", {"models": ["*"]}, "models"),
        ("user", {"role": "org_admin"}, "role"),
        ("user", {"user_id": "org_admin"}, "user_id"),
        ("user", {"organization_id": "b"}, "organization_id"),
        ("org_admin", {"role": "platform_admin"}, "role"),
        ("org_admin", {"organization_id": "b"}, "organization_id"),
    ],
)
async def test_nobody_gives_more_than_they_have(company: Company, who: str, body: dict[str, Any], param: str) -> None:
    bounds = {"limits": {"requests_per_minute": 600}, "budget": {"usd": 5}, "models": ["gpt-*"]}
    bound = (await company.ask(ROOT, "POST", KEYS, json={"user_id": "user", **bounds})).json()["key"]

    answer = await company.ask(bound if who == "bound" else who, "POST", KEYS, json=body)

    assert fault(answer) == (403, param, "grant_exceeds_own")

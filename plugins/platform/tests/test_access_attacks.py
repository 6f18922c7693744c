"""An ordinary user, and somebody without a key, against the whole platform.

A-04 credentials, A-05 headers, A-07 administrative operations, A-09 fields, and other tenants' ids on every route.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
from chatproxy_platform.audit.events import AuditEvent

from .tenants import Company, company, new_schema

ORDINARY = ("user", "lone_user", "demoted")
BOUND = (*ORDINARY, "org_admin")
MISSING = "a" * 16
KEY_ACTS = (
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/rotate"),
    ("POST", "/revoke"),
    ("POST", "/disable"),
    ("POST", "/enable"),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def everything(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Company]:
    """One gateway for all attacks: none of them may change anything."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('attacks') / 'platform.db'}"
        else:
            url = stack.enter_context(new_schema())
        async with company(url, keys={"max_refusals_per_minute": 100_000}) as found:
            chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            assert (await found.ask("other_user", "POST", "/v1/chat/completions", json=chat)).status_code == 200
            yield found


def credentials(key: str) -> dict[str, list[tuple[bytes, bytes]]]:
    """Headers that must let nobody in, though some of them hold a good key."""
    good = key.encode()
    bearer = b"authorization"
    return {
        "empty": [(bearer, b"")],
        "spaces": [(bearer, b"   ")],
        "no text": [(bearer, b"Bearer ")],
        "no scheme": [(bearer, good)],
        "another scheme": [(bearer, b"Basic " + good)],
        "a colon": [(bearer, b"Bearer:" + good)],
        "a tab": [(bearer, b"Bearer\t" + good)],
        "quotes": [(bearer, b'Bearer "' + good + b'"')],
        "NUL after it": [(bearer, b"Bearer " + good + b"\0")],
        "NUL alone": [(bearer, b"Bearer \0")],
        "two in one": [(bearer, b"Bearer " + good + b" " + good)],
        "a list": [(bearer, b"Bearer " + good + b"," + good)],
        "twice": [(bearer, b"Bearer " + good), (bearer, b"Bearer " + good)],
        "a good one second": [(bearer, b"Bearer x"), (bearer, b"Bearer " + good)],
        "two kinds": [(bearer, b"Bearer " + good), (b"x-api-key", good)],
        "upper case": [(bearer, b"Bearer " + good.upper())],
        "cut off": [(bearer, b"Bearer " + good[:-1])],
        "longer": [(bearer, b"Bearer " + good + b"x")],
        "SQL": [(bearer, b"Bearer cp_' OR '1'='1_x")],
        "not ASCII": [(bearer, "Bearer ключ".encode())],
        "not UTF-8": [(bearer, b"Bearer \xff\xfe")],
        "long": [(bearer, b"Bearer " + b"a" * 60_000)],
        "a cookie": [(b"cookie", b"authorization=Bearer " + good)],
        "for a proxy": [(b"proxy-authorization", b"Bearer " + good)],
        "forwarded": [(b"x-forwarded-authorization", b"Bearer " + good), (b"x-original-authorization", good)],
    }


@pytest.mark.parametrize("name", credentials(""))
@pytest.mark.parametrize("path", ["/v1/platform/me", "/v1/models"])
async def test_a_malformed_credential_lets_nobody_in(everything: Company, name: str, path: str) -> None:
    headers = credentials(everything.tenants.keys["platform_admin"])[name]
    answer = await everything.client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert everything.tenants.keys["platform_admin"] not in answer.text


async def test_a_megabyte_of_credential_is_refused_at_the_edge(everything: Company) -> None:
    answer = await everything.client.get("/v1/platform/me", headers={"authorization": "Bearer " + "a" * 1_000_000})
    assert answer.status_code == 431


async def test_a_key_in_a_query_or_body_is_none(everything: Company) -> None:
    key = everything.tenants.keys["platform_admin"]
    assert (await everything.client.get(f"/v1/platform/me?api_key={key}&access_token={key}")).status_code == 401
    assert (await everything.client.post("/v1/platform/keys", json={"api_key": key})).status_code == 401


TRICKS: dict[str, dict[str, str]] = {
    "original URL": {"x-original-url": "/v1/platform/me", "x-rewrite-url": "/v1/platform/me"},
    "forwarded": {
        "x-forwarded-for": "127.0.0.1",
        "forwarded": "for=127.0.0.1;host=localhost",
        "x-real-ip": "127.0.0.1",
    },
    "forwarded host": {"x-forwarded-host": "localhost", "x-forwarded-prefix": "/v1/platform/me"},
    "method": {"x-http-method-override": "OPTIONS", "x-method-override": "GET", "x-http-method": "OPTIONS"},
    "identity": {"x-forwarded-user": "platform_admin", "x-user-id": "platform_admin", "x-role": "platform_admin"},
    "organization": {"openai-organization": "b", "x-organization-id": "b", "x-tenant-id": "b"},
}


@pytest.mark.parametrize("headers", TRICKS.values(), ids=TRICKS)
async def test_no_header_makes_an_ordinary_user_more(everything: Company, headers: dict[str, str]) -> None:
    for route in everything.app.routes:
        if route.plugin == "platform" and route.access == "platform_admin":
            for method in route.methods:
                answer = await everything.ask("user", method, route.paths[0].split("/{")[0], headers=headers)
                assert answer.status_code in {403, 405}
    told = (await everything.ask("user", "GET", "/v1/platform/me", headers=headers)).json()
    assert (told["user_id"], told["organization_id"], told["role"]) == ("user", "a", "user")


async def test_a_role_in_a_key_counts_no_more_than_its_owners(everything: Company) -> None:
    assert (await everything.ask("demoted", "GET", "/v1/platform/me")).json()["role"] == "user"
    assert (await everything.ask("demoted", "GET", "/v1/platform/stats")).status_code == 403


@pytest.mark.parametrize("who", BOUND)
@pytest.mark.parametrize("whose", ["other_user", "other_org_admin", "platform_admin", "revoked"])
async def test_another_tenants_key_is_as_one_that_does_not_exist(everything: Company, who: str, whose: str) -> None:
    for method, act in KEY_ACTS:
        options: dict[str, Any] = {"json": {"name": "mine now"}} if method == "PATCH" else {}
        missing = await everything.ask(who, method, f"/v1/platform/keys/{MISSING}{act}", **options)
        foreign = await everything.ask(
            who, method, f"/v1/platform/keys/{everything.tenants.ids[whose]}{act}", **options
        )
        assert (foreign.status_code, foreign.json()) == (404, missing.json())
    key = everything.tenants.keys[whose]
    assert (await everything.ask(key, "GET", "/v1/platform/me")).status_code == (401 if whose == "revoked" else 200)


@pytest.mark.parametrize("who", BOUND)
@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_another_tenants_people_are_as_ones_that_do_not_exist(everything: Company, who: str, method: str) -> None:
    options: dict[str, Any] = {"json": {"name": "mine now"}} if method == "PATCH" else {}
    missing = await everything.ask(who, method, "/v1/platform/users/nobody", **options)
    for whose in ("other_user", "other_org_admin", "platform_admin", "%2e%2e/other_user", "x/../other_user"):
        foreign = await everything.ask(who, method, f"/v1/platform/users/{whose}", **options)
        assert (foreign.status_code, foreign.json()) == (404, missing.json())
    for organization in ("b", "closed", "nobody"):
        answer = await everything.ask(who, method, f"/v1/platform/organizations/{organization}", **options)
        assert answer.status_code == (404 if who == "org_admin" else 403)


@pytest.mark.parametrize("who", BOUND)
@pytest.mark.parametrize(
    "query",
    [
        "keys", "keys?organization_id=b", "keys?user_id=other_user", "keys?role=platform_admin", "users",
        "users?organization_id=b", "users?email=other_user@example.com", "organizations", "usage?by=key,user",
        "usage?by=organization&organization_id=b", "usage?by=user&user_id=other_user&format=csv",
    ],
)  # fmt: skip
async def test_no_filter_of_a_listing_reaches_another_tenant(everything: Company, who: str, query: str) -> None:
    answer = await everything.ask(who, "GET", f"/v1/platform/{query}")
    assert answer.status_code in {200, 403}
    names = ("other_user", "other_org_admin", "platform_admin@", everything.tenants.ids["other_user"])
    assert not [name for name in names if name in answer.text]


async def test_a_session_of_the_same_name_is_everybodys_own(everything: Company) -> None:
    whose = {"session_id": "shared", "user_id": "ann"}
    for who in ("user", "other_user", "lone_user"):
        chat = {"model": "m", "messages": [{"role": "user", "content": f"secret of {who}"}], "metadata": whose}
        assert (await everything.ask(who, "POST", "/v1/chat/completions", json=chat)).status_code == 200
        assert everything.upstream.requests[-1].json["messages"][0]["content"] == f"secret of {who}"
    for who in ("user", "other_user", "lone_user"):
        others = {"user", "other_user", "lone_user"} - {who}
        for path in ("", "/shared", "/shared?user_id=ann", "?user_id=ann", "?format=jsonl", "/shared?format=jsonl"):
            answer = await everything.ask(who, "GET", f"/v1/sessions{path}")
            assert answer.status_code == 200
            assert f"secret of {who}" in answer.text
            assert not [other for other in others if f"secret of {other}" in answer.text]


async def test_a_session_of_somebody_else_is_as_one_that_does_not_exist(everything: Company) -> None:
    whose = {"session_id": "private", "user_id": "ann"}
    chat = {"model": "m", "messages": [{"role": "user", "content": "mine"}]}
    for metadata, status in (({**whose, "organization_id": "b"}, 403), (whose, 200)):
        answer = await everything.ask("user", "POST", "/v1/chat/completions", json={**chat, "metadata": metadata})
        assert answer.status_code == status
    for who in ("other_user", "other_org_admin", "lone_user"):
        for method, options in (("GET", {}), ("PATCH", {"json": {"title": "x"}}), ("DELETE", {})):
            for query in ("", "?user_id=ann", "?user_id=user"):
                missing = await everything.ask(who, method, f"/v1/sessions/nothing{query}", **options)
                foreign = await everything.ask(who, method, f"/v1/sessions/private{query}", **options)
                assert (foreign.status_code, foreign.json()) == (404, missing.json())
    found = (await everything.ask("user", "GET", "/v1/sessions/private")).json()["session"]
    assert (found["organization_id"], found["title"]) == ("a", "mine")


FORBIDDEN: dict[str, Any] = {
    "role": "platform_admin", "spend": 0, "organization_id": "b", "org_id": "b", "tenant_id": "b", "owner_id": "x",
    "created_by": "x", "created_at": "2030-01-01T00:00:00Z", "id": "x", "is_disabled": False, "is_admin": True,
    "parent_id": None, "secret_hash": "x", "previous_hash": "x", "revoked_at": None, "key": "cp_x", "status": "active",
    "__class__": "x", "attributes": {}, "permissions": ["*"],
}  # fmt: skip


@pytest.mark.parametrize("who", ["user", "org_admin"])
@pytest.mark.parametrize("field", FORBIDDEN)
async def test_nobody_assigns_what_is_not_theirs_to_say(everything: Company, who: str, field: str) -> None:
    body = {field: FORBIDDEN[field]}
    key_id = everything.tenants.ids[who]
    before = (await everything.ask(who, "GET", "/v1/platform/me")).json()
    for method, path in (("PATCH", f"users/{who}"), ("PATCH", f"keys/{key_id}"), ("POST", "keys")):
        answer = await everything.ask(who, method, f"/v1/platform/{path}", json=body)
        assert answer.status_code in {400, 403}, (method, path, answer.text)
        assert answer.json()["error"]["param"] == field
    for method, path in (("PATCH", "organizations/a"), ("POST", "users")):
        if (path, field) != ("users", "id"):
            answer = await everything.ask(who, method, f"/v1/platform/{path}", json={"name": "n", **body})
            assert answer.status_code in {400, 403}, (method, path, answer.text)
    assert (await everything.ask(who, "GET", "/v1/platform/me")).json() == before


@pytest.mark.parametrize("who", BOUND)
async def test_a_refused_administrative_operation_is_in_the_audit_log(everything: Company, who: str) -> None:
    before = await _refusals(everything, who)
    assert (await everything.ask(who, "POST", "/v1/platform/admins", json={})).status_code == 403
    assert await _refusals(everything, who) == before + 1


async def _refusals(everything: Company, who: str) -> int:
    await everything.platform.audit.record(AuditEvent("test.waited", "test"))  # rows are written in their order
    path = f"/v1/platform/audit?action=access.refused&user_id={who}"
    return int((await everything.ask("platform_admin", "GET", path)).json()["count"])


async def test_the_last_administrator_stays_one(everything: Company) -> None:
    for who in ("expired", "revoked", "disabled", "owner_disabled"):
        answer = await everything.ask("platform_admin", "DELETE", f"/v1/platform/admins/{who}@example.com")
        assert answer.status_code == 200
    for answer in (
        await everything.ask("platform_admin", "DELETE", "/v1/platform/admins/platform_admin@example.com"),
        await everything.ask("platform_admin", "PATCH", "/v1/platform/users/platform_admin", json={"role": "user"}),
        await everything.ask("platform_admin", "PATCH", "/v1/platform/users/platform_admin", json={"disabled": True}),
    ):
        assert answer.status_code in {400, 409}
    assert (await everything.ask("platform_admin", "GET", "/v1/platform/admins")).json()["count"] == 1

"""Statistics, the audit log, usage and oneself, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.config import Limits
from chatproxy_platform.storage.tables import UsageDay

from .administering import PEOPLE, Administration, administering

SPELLINGS = pytest.mark.parametrize("prefix", ["/v1/platform", "/api/v1/platform"])
TODAY = datetime.now(UTC).date().isoformat()
OLD = "2024-02-29"


@pytest.fixture
async def administration(database_url: str) -> AsyncIterator[Administration]:
    async with administering(database_url) as found:
        yield found


async def with_usage(administration: Administration) -> None:
    """Two users of two organizations, today and long ago."""
    rows = ((OLD, "ann", "a", 7), (TODAY, "ann", "a", 20), (TODAY, "ben", "b", 3))
    async with administration.services.database.write() as session:
        for day, user, organization, tokens in rows:
            session.add(
                UsageDay(
                    day=day,
                    key_id=user,
                    user_id=user,
                    organization_id=organization,
                    model="=m,1",
                    requests=2,
                    errors=1,
                    prompt_tokens=tokens - 1,
                    completion_tokens=1,
                    total_tokens=tokens,
                    cost_nanousd=1_500_000_000,
                )
            )


@SPELLINGS
async def test_stats_have_their_whole_shape(administration: Administration, prefix: str) -> None:
    await with_usage(administration)

    answer = await administration.ask("root", "GET", f"{prefix}/stats")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "total_users": 5,
        "active_users": 2,
        "total_organizations": 2,
        "total_requests": 6,
        "requests_today": 4,
        "total_tokens": 30,
        "tokens_today": 23,
        "total_mcp_servers": 0,
        "system_health": {"status": "ok", "circuit_breaker_status": "closed", "active_agents": []},
    }


@SPELLINGS
async def test_the_audit_log_has_its_whole_shape(administration: Administration, prefix: str) -> None:
    await administration.services.audit.record(
        AuditEvent("key.created", "key", "k1", "root", "a", {"name": "x"}, at=1_700_000_000_123_456),
        AuditEvent("auth.refused", "key", at=1_700_000_001_000_000),
    )

    found = (await administration.ask("root", "GET", f"{prefix}/audit?limit=2")).json()

    assert all(entry.pop("id").startswith("audit_") for entry in found["entries"])
    assert found == {
        "entries": [
            {
                "timestamp": "2023-11-14T22:13:21.000000Z",
                "user_id": None,
                "organization_id": None,
                "org_id": None,
                "action": "auth.refused",
                "resource": "key",
                "resource_id": None,
                "metadata": {},
            },
            {
                "timestamp": "2023-11-14T22:13:20.123456Z",
                "user_id": "root",
                "organization_id": "a",
                "org_id": "a",
                "action": "key.created",
                "resource": "key",
                "resource_id": "k1",
                "metadata": {"name": "x"},
            },
        ],
        "count": len(PEOPLE) + 2,
        "limit": 2,
        "offset": 0,
    }


@pytest.mark.parametrize(
    ("query", "names", "count"),
    [
        ("limit=2", ["e4", "e3"], 10),
        ("limit=2&offset=3", ["e1", "e0"], 10),
        ("limit=2&offset=9", ["key.created"], 10),
        ("offset=10", [], 10),
        ("offset=9007199254740992", [], 10),
        ("limit=200&action=e3", ["e3"], 1),
        ("resource=no", [], 0),
        ("resource_id=%27%3B--", ["e1"], 1),
        ("user_id=u%2F0", ["e0"], 1),
        ("org_id=o0&limit=1", ["e0"], 1),
    ],
)
async def test_the_audit_log_is_read_in_parts(
    administration: Administration, query: str, names: list[str], count: int
) -> None:
    events = [AuditEvent(f"e{n}", "thing", "';--" if n == 1 else None, f"u/{n}", f"o{n}") for n in range(5)]
    await administration.services.audit.record(*events)

    found = (await administration.ask("root", "GET", f"/v1/platform/audit?{query}")).json()

    assert ([entry["action"] for entry in found["entries"]], found["count"]) == (names, count)


@pytest.mark.parametrize(
    ("path", "status", "param"),
    [
        ("audit?limit=0", 422, "limit"),
        ("audit?limit=201", 422, "limit"),
        ("audit?limit=ten", 422, "limit"),
        ("audit?offset=-1", 422, "offset"),
        ("audit?offset=9007199254740993", 422, "offset"),
        ("audit?limit=" + "9" * 5000, 422, "limit"),
        ("audit?limt=1", 400, "limt"),
        ("audit?action=a&action=b", 400, "action"),
        ("audit?action=%00", 400, "action"),
        ("audit?action=%FF", 400, None),
        ("usage?limit=0", 422, "limit"),
        ("usage?offset=-1", 422, "offset"),
        ("usage?format=xml", 400, "format"),
        ("usage?by=colour", 400, "by"),
        ("usage?by=day,day", 400, "by"),
        ("usage?from=yesterday", 400, "from"),
        ("usage?to=2026-02-30", 400, "to"),
    ],
)
async def test_a_wrong_parameter_is_named(
    administration: Administration, path: str, status: int, param: str | None
) -> None:
    answer = await administration.ask("root", "GET", f"/v1/platform/{path}")

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert set(error) == {"message", "type", "param", "code"}


SUMS = {
    "requests": 2,
    "errors": 1,
    "prompt_tokens": 19,
    "completion_tokens": 1,
    "total_tokens": 20,
    "cached_tokens": 0,
    "cost_nanousd": 1_500_000_000,
    "cost_usd": 1.5,
}
NO_LIMITS = dict.fromkeys(Limits.__struct_fields__)
NOBODY: dict[str, Any] = {"day": None, "model": None, "key_id": None, "user_id": None, "organization_id": None}


@SPELLINGS
async def test_usage_has_its_whole_shape(administration: Administration, prefix: str) -> None:
    await with_usage(administration)

    found = (await administration.ask("root", "GET", f"{prefix}/usage?by=day,user&from={TODAY}&user_id=ann")).json()

    assert found == {
        "by": ["day", "user"],
        "rows": [{**NOBODY, **SUMS, "day": TODAY, "user_id": "ann"}],
        "total": {**NOBODY, **SUMS},
        "count": 1,
        "limit": 100,
        "offset": 0,
    }


async def test_usage_comes_as_csv_that_no_spreadsheet_runs(administration: Administration) -> None:
    await with_usage(administration)

    answer = await administration.ask("root", "GET", "/v1/platform/usage?by=model,user&to=2024-12-31&format=csv")

    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    assert answer.text == (
        "model,user_id,requests,errors,prompt_tokens,completion_tokens,total_tokens,cached_tokens,cost_nanousd,cost_usd\r\n"
        '"\'=m,1",ann,2,1,6,1,7,0,1500000000,1.500000000\r\n'
    )


@pytest.mark.parametrize(
    ("who", "users"), [("root", ["ann", "ben"]), ("alf", ["ann"]), ("ann", ["ann"]), ("ben", ["ben"])]
)
async def test_everybody_sees_the_usage_that_is_theirs(
    administration: Administration, who: str, users: list[str]
) -> None:
    await with_usage(administration)

    every = (await administration.ask(who, "GET", "/v1/platform/usage?by=user")).json()
    of_ben = (await administration.ask(who, "GET", "/v1/platform/usage?by=user&user_id=ben")).json()

    assert [row["user_id"] for row in every["rows"]] == users
    assert [row["user_id"] for row in of_ben["rows"]] == (["ben"] if "ben" in users else [])


@SPELLINGS
async def test_a_caller_learns_who_they_are(administration: Administration, prefix: str) -> None:
    found = (await administration.ask("ann", "GET", f"{prefix}/me")).json()

    key_id = found["key_id"]
    assert found == {
        "id": f"key_{key_id}",
        "key_id": key_id,
        "user_id": "ann",
        "organization_id": "a",
        "org_id": "a",
        "role": "user",
        "models": None,
        "surfaces": None,
        "expires_at": None,
        "limits": [
            {
                "subject": f"key:{key_id}",
                "limits": {**NO_LIMITS, "requests_per_minute": 600},
                "budget": {"usd": 5.0, "period": "month"},
            },
            {"subject": "user:ann", "limits": NO_LIMITS, "budget": None},
            {"subject": "org:a", "limits": NO_LIMITS, "budget": None},
        ],
    }


@pytest.mark.parametrize("path", ["stats", "audit", "admins", "usage", "me"])
async def test_nobody_comes_in_without_a_key(administration: Administration, path: str) -> None:
    assert (await administration.ask(None, "GET", f"/v1/platform/{path}")).status_code == 401


@pytest.mark.parametrize("path", ["stats", "audit", "admins"])
@pytest.mark.parametrize("who", ["ann", "alf"])
async def test_what_is_the_platforms_is_for_its_administrators(
    administration: Administration, path: str, who: str
) -> None:
    answer = await administration.ask(who, "GET", f"/v1/platform/{path}")

    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")

"""Statistics, the audit log, usage and oneself, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import pytest
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.config import Limits
from chatproxy_platform.storage.tables import UsageDay

from .administering import own_company
from .tenants import STANDINGS, Company

SPELLINGS = pytest.mark.parametrize("prefix", ["/v1/platform", "/api/v1/platform"])
ROOT = "platform_admin"
TODAY = datetime.now(UTC).date().isoformat()
OLD = "2024-02-29"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    """One for all tests of this file, which only read it and add to its audit log."""
    async with own_company(request.param, tmp_path_factory) as found:
        await _use(found)
        yield found


async def _use(found: Company) -> None:
    """Two users of two organizations, today and long ago."""
    rows = ((OLD, "user", "a", 7), (TODAY, "user", "a", 20), (TODAY, "other_user", "b", 3))
    async with found.platform.database.write() as session:
        for day, user, organization, tokens in rows:
            used = {"prompt_tokens": tokens - 1, "completion_tokens": 1, "total_tokens": tokens}
            names = {"key_id": user, "user_id": user, "organization_id": organization, "model": "=m,1"}
            session.add(UsageDay(day=day, requests=2, errors=1, cost_nanousd=1_500_000_000, **names, **used))


@SPELLINGS
async def test_stats_have_their_whole_shape(company: Company, prefix: str) -> None:
    answer = await company.ask(ROOT, "GET", f"{prefix}/stats")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "total_users": len(STANDINGS),
        "active_users": 2,
        "total_organizations": 3,
        "total_requests": 6,
        "requests_today": 4,
        "total_tokens": 30,
        "tokens_today": 23,
        "total_mcp_servers": 0,
        "system_health": {"status": "ok", "circuit_breaker_status": "closed", "active_agents": []},
    }


@SPELLINGS
async def test_the_audit_log_has_its_whole_shape(company: Company, prefix: str) -> None:
    await company.platform.audit.record(
        AuditEvent("key.created", prefix, "k1", ROOT, "a", {"name": "x"}, at=1_700_000_000_123_456),
        AuditEvent("auth.refused", prefix, at=1_700_000_001_000_000),
    )

    found = (await company.ask(ROOT, "GET", f"{prefix}/audit?resource={prefix}")).json()

    assert all(entry.pop("id").startswith("audit_") for entry in found["entries"])
    assert found == {
        "entries": [
            {
                "timestamp": "2023-11-14T22:13:21.000000Z",
                "user_id": None,
                "organization_id": None,
                "org_id": None,
                "action": "auth.refused",
                "resource": prefix,
                "resource_id": None,
                "metadata": {},
            },
            {
                "timestamp": "2023-11-14T22:13:20.123456Z",
                "user_id": ROOT,
                "organization_id": "a",
                "org_id": "a",
                "action": "key.created",
                "resource": prefix,
                "resource_id": "k1",
                "metadata": {"name": "x"},
            },
        ],
        "count": 2,
        "limit": 50,
        "offset": 0,
    }


@pytest.mark.parametrize(
    ("query", "names", "count"),
    [
        ("limit=2", ["e4", "e3"], 5),
        ("limit=2&offset=3", ["e1", "e0"], 5),
        ("limit=2&offset=4", ["e0"], 5),
        ("offset=5", [], 5),
        ("offset=9007199254740992", [], 5),
        ("limit=200&action=e3", ["e3"], 1),
        ("action=no", [], 0),
        ("resource_id=%27%3B--", ["e1"], 1),
        ("user_id=u%2F0", ["e0"], 1),
        ("org_id=o0&limit=1", ["e0"], 1),
    ],
)
async def test_the_audit_log_is_read_in_parts(company: Company, query: str, names: list[str], count: int) -> None:
    kind = token_hex(4)
    events = [AuditEvent(f"e{n}", kind, "';--" if n == 1 else None, f"u/{n}", f"o{n}") for n in range(5)]
    await company.platform.audit.record(*events)

    found = (await company.ask(ROOT, "GET", f"/v1/platform/audit?{query}&resource={kind}")).json()

    assert ([entry["action"] for entry in found["entries"]], found["count"]) == (names, count)


async def test_parts_of_the_whole_audit_log_follow_each_other(company: Company) -> None:
    await company.platform.audit.record(*(AuditEvent("e", "thing") for _ in range(5)))

    part = (await company.ask(ROOT, "GET", "/v1/platform/audit?limit=3&offset=1")).json()
    whole = (await company.ask(ROOT, "GET", "/v1/platform/audit?limit=200")).json()  # rows may have come meanwhile

    ids = [entry["id"] for entry in whole["entries"]]
    first = ids.index(part["entries"][0]["id"])
    assert [entry["id"] for entry in part["entries"]] == ids[first : first + 3]
    assert part["count"] >= 5
    assert (await company.ask(ROOT, "GET", "/v1/platform/audit?offset=9007199254740992")).json()["entries"] == []


@pytest.mark.parametrize(
    ("path", "status", "param"),
    [
        ("audit?limit=0", 422, "limit"),
        ("audit?limit=201", 422, "limit"),
        ("audit?limit=ten", 422, "limit"),
        ("audit?limit=", 422, "limit"),
        ("audit?offset=-1", 422, "offset"),
        ("audit?offset=9007199254740993", 422, "offset"),
        ("audit?limit=" + "9" * 5000, 422, "limit"),
        ("audit?limt=1", 400, "limt"),
        ("audit?action=a&action=b", 400, "action"),
        ("audit?action=%00", 400, "action"),
        ("audit?action=%FF", 400, None),
        ("audit?" + "&".join(f"a{n}=" for n in range(60)), 400, None),
        ("keys?page=0", 422, "page"),
        ("keys?page=2147483649", 422, "page"),
        ("users?page_size=0", 422, "page_size"),
        ("users?page_size=101", 422, "page_size"),
        ("organizations?page=1.5", 422, "page"),
        ("keys?role=god", 400, "role"),
        ("keys?revoked=perhaps", 400, "revoked"),
        ("admins?limit=201", 422, "limit"),
        ("usage?limit=0", 422, "limit"),
        ("usage?offset=-1", 422, "offset"),
        ("usage?format=xml", 400, "format"),
        ("usage?by=colour", 400, "by"),
        ("usage?by=day,day", 400, "by"),
        ("usage?from=yesterday", 400, "from"),
        ("usage?to=2026-02-30", 400, "to"),
    ],
)
async def test_a_wrong_parameter_is_named(company: Company, path: str, status: int, param: str | None) -> None:
    answer = await company.ask(ROOT, "GET", f"/v1/platform/{path}")

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
async def test_usage_has_its_whole_shape(company: Company, prefix: str) -> None:
    query = f"by=day,user&from={TODAY}&user_id=user"

    found = (await company.ask(ROOT, "GET", f"{prefix}/usage?{query}")).json()

    assert found == {
        "by": ["day", "user"],
        "rows": [{**NOBODY, **SUMS, "day": TODAY, "user_id": "user"}],
        "total": {**NOBODY, **SUMS},
        "count": 1,
        "limit": 100,
        "offset": 0,
    }


async def test_usage_comes_as_csv_that_no_spreadsheet_runs(company: Company) -> None:
    answer = await company.ask(ROOT, "GET", "/v1/platform/usage?by=model,user&to=2024-12-31&format=csv")

    names = "requests,errors,prompt_tokens,completion_tokens,total_tokens,cached_tokens,cost_nanousd,cost_usd"
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    assert answer.text == f'model,user_id,{names}\r\n"\'=m,1",user,2,1,6,1,7,0,1500000000,1.500000000\r\n'


@pytest.mark.parametrize(
    ("who", "users"),
    [
        (ROOT, ["other_user", "user"]),
        ("org_admin", ["user"]),
        ("user", ["user"]),
        ("other_org_admin", ["other_user"]),
        ("lone_user", []),
    ],
)
async def test_everybody_sees_the_usage_that_is_theirs(company: Company, who: str, users: list[str]) -> None:
    every = (await company.ask(who, "GET", "/v1/platform/usage?by=user")).json()
    of_other = (await company.ask(who, "GET", "/v1/platform/usage?by=user&user_id=other_user")).json()

    assert [row["user_id"] for row in every["rows"]] == users
    assert [row["user_id"] for row in of_other["rows"]] == [name for name in users if name == "other_user"]


@SPELLINGS
async def test_a_caller_learns_who_they_are(company: Company, prefix: str) -> None:
    body = {
        "user_id": "user",
        "limits": {"requests_per_minute": 600},
        "budget": {"usd": 5},
        "models": ["m"],
        "surfaces": ["chat"],
    }
    key = (await company.ask(ROOT, "POST", f"{prefix}/keys", json=body)).json()

    found = (await company.ask(key["key"], "GET", f"{prefix}/me")).json()

    limits = found.pop("limits")
    assert limits[0] == {
        "subject": f"key:{key['id']}",
        "limits": {**NO_LIMITS, "requests_per_minute": 600},
        "budget": {"usd": 5.0, "period": "month"},
    }
    assert {"subject": "user:user", "limits": NO_LIMITS, "budget": None} in limits
    assert {"subject": "org:a", "limits": NO_LIMITS, "budget": None} in limits
    assert found == {
        "id": f"key_{key['id']}",
        "key_id": key["id"],
        "user_id": "user",
        "organization_id": "a",
        "org_id": "a",
        "role": "user",
        "models": ["m"],
        "surfaces": ["chat"],
        "expires_at": None,
    }

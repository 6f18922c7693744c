"""Reports of usage: sums by anything, as far as somebody may see them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.clock import now_us
from chatproxy_platform.errors import Unprocessable
from chatproxy_platform.identity.records import OPERATOR, Actor, Identity, Role
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import User
from chatproxy_platform.usage.reports import Reports, UsageQuery, UsageReport, UsageSum, to_csv

from chatproxy.errors import ApiError, InvalidRequest

from .usages import NOON, exchange, recorder, somebody

MAKES_TABLES = True

DAY = 86_400
# key, user, organization, model, day, requests; each costs 10 tokens in, 5 out, and a dollar
USED = [
    ("k1", "ann", "a", "m1", 0, 3),
    ("k2", "ann", "a", "m2", 1, 2),
    ("k3", "alf", "a", "m1", 1, 4),
    ("k4", "ben", "b", "m1", 2, 5),
    ("k5", None, None, "=m", 2, 1),
]


@pytest.fixture
async def reports(database: Database, tmp_path: Path) -> Reports:
    """Of usage of three days."""
    found = recorder(database, tmp_path)
    for key, user, organization, model, day, requests in USED:
        for number in range(requests):
            outcome = "failed" if number == 0 else "completed"
            told = exchange(model=model, started_at=NOON + day * DAY, cached=1, outcome=outcome)
            found.record(told, somebody(key, user, organization), 10**9)
    await found.aclose()
    return Reports(database)


def actor(role: Role, key: str | None, user: str | None, organization: str | None) -> Actor:
    who = Identity(id="x", key_id=key, user_id=user, organization_id=organization, owner="x", role=role)
    return Actor(name="x", identity=who)


def lines(report: UsageReport, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in (*names, "requests")) for row in report.rows]


@pytest.mark.parametrize(
    ("by", "names", "expected"),
    [
        ((), (), [(15,)]),
        (("day",), ("day",), [("2026-11-21", 3), ("2026-11-22", 6), ("2026-11-23", 6)]),
        (("model",), ("model",), [("=m", 1), ("m1", 12), ("m2", 2)]),
        (("key",), ("key_id",), [("k1", 3), ("k2", 2), ("k3", 4), ("k4", 5), ("k5", 1)]),
        (("user",), ("user_id",), [(None, 1), ("alf", 4), ("ann", 5), ("ben", 5)]),
        (("organization",), ("organization_id",), [(None, 1), ("a", 9), ("b", 5)]),
        (
            ("organization", "model"),
            ("organization_id", "model"),
            [(None, "=m", 1), ("a", "m1", 7), ("a", "m2", 2), ("b", "m1", 5)],
        ),
    ],
)
async def test_usage_is_summed_by_what_is_asked_for(
    reports: Reports, by: tuple[str, ...], names: tuple[str, ...], expected: list[tuple[Any, ...]]
) -> None:
    report = await reports.sums(OPERATOR, UsageQuery(by=by))
    assert lines(report, *names) == expected
    assert report.count == len(expected)
    assert report.total == UsageSum(
        requests=15, errors=5, prompt_tokens=150, completion_tokens=75, total_tokens=225, cached_tokens=15,
        cost_nanousd=15 * 10**9, cost_usd=15.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "requests"),
    [
        ({"start": "2026-11-22"}, 12),
        ({"end": "2026-11-22"}, 9),
        ({"start": "2026-11-22", "end": "2026-11-22"}, 6),
        ({"start": "2026-11-23", "end": "2026-11-21"}, 0),
        ({"key_id": "k3"}, 4),
        ({"user_id": "ann"}, 5),
        ({"organization_id": "a", "model": "m1"}, 7),
        ({"user_id": ""}, 1),
        ({"model": "no such"}, 0),
        ({"model": "a\x00b"}, 0),
        ({"user_id": "\ud800"}, 0),
        ({"user_id": "' OR 1=1 --"}, 0),
    ],
    ids=str,
)
async def test_filters_leave_out_the_rest(reports: Reports, filters: dict[str, str], requests: int) -> None:
    report = await reports.sums(OPERATOR, UsageQuery(**filters))  # type: ignore[arg-type]
    assert report.total.requests == sum(row.requests for row in report.rows) == requests


@pytest.mark.parametrize(
    ("who", "keys"),
    [
        (actor("platform_admin", "k9", "zoe", None), ["k1", "k2", "k3", "k4", "k5"]),
        (actor("org_admin", "k9", "zoe", "a"), ["k1", "k2", "k3"]),
        (actor("org_admin", "k9", "zoe", "c"), []),
        (actor("org_admin", "k9", "zoe", None), []),
        (actor("org_admin", "k1", "ann", ""), ["k1", "k2"]),
        (actor("user", "k1", "ann", "a"), ["k1", "k2"]),
        (actor("user", "k5", None, None), ["k5"]),
        (actor("user", "k5", "", ""), ["k5"]),
        (actor("user", None, None, None), []),
        (actor("user", "", "", ""), []),
    ],
)
async def test_everybody_sees_what_they_may_and_no_filter_shows_more(
    reports: Reports, who: Actor, keys: list[str]
) -> None:
    report = await reports.sums(who, UsageQuery(by=("key",)))
    assert [row.key_id for row in report.rows] == keys
    assert report.total.requests == sum(requests for key, *_, requests in USED if key in keys)
    for key, *_ in USED:
        filtered = await reports.sums(who, UsageQuery(by=("key",), key_id=key))
        assert [row.key_id for row in filtered.rows] == [each for each in keys if each == key]


async def test_pages_follow_each_other_and_count_all(reports: Reports) -> None:
    pages = [await reports.sums(OPERATOR, UsageQuery(by=("key",), limit=2, offset=offset)) for offset in (0, 2, 4, 6)]
    assert [[row.key_id for row in page.rows] for page in pages] == [["k1", "k2"], ["k3", "k4"], ["k5"], []]
    assert {page.count for page in pages} == {5}
    assert {page.total.requests for page in pages} == {15}


@pytest.mark.parametrize(
    ("asked", "error", "param"),
    [
        ({"by": ("hour",)}, InvalidRequest, "by"),
        ({"by": ("day", "day")}, InvalidRequest, "by"),
        ({"by": ("day; DROP TABLE platform_usage",)}, InvalidRequest, "by"),
        ({"start": "yesterday"}, InvalidRequest, "from"),
        ({"end": "2026-02-30"}, InvalidRequest, "to"),
        ({"limit": 0}, Unprocessable, "limit"),
        ({"limit": 10_001}, Unprocessable, "limit"),
        ({"offset": -1}, Unprocessable, "offset"),
        ({"offset": 10**30}, Unprocessable, "offset"),
    ],
    ids=str,
)
async def test_wrong_question_names_what_is_wrong(
    reports: Reports, asked: dict[str, Any], error: type[ApiError], param: str
) -> None:
    with pytest.raises(error) as caught:
        await reports.sums(OPERATOR, UsageQuery(**asked))
    assert caught.value.param == param


async def test_csv_has_names_exact_money_and_no_formulas(reports: Reports) -> None:
    by = ("model", "organization")
    text = to_csv(await reports.sums(OPERATOR, UsageQuery(by=by)), by)
    head, *rows = csv.reader(io.StringIO(text))
    assert head == [
        "model", "organization_id", "requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens",
        "cached_tokens", "cost_nanousd", "cost_usd",
    ]  # fmt: skip
    assert rows[0] == ["'=m", "", "1", "1", "10", "5", "15", "1", "1000000000", "1.000000000"]
    assert len(rows) == 4
    assert text.endswith("\r\n")


async def test_nothing_used_is_a_row_of_zeros(database: Database) -> None:
    report = await Reports(database).sums(OPERATOR, UsageQuery(by=()))
    assert (report.total.requests, report.total.cost_usd, report.count) == (0, 0.0, 1)
    assert (await Reports(database).sums(OPERATOR, UsageQuery())).rows == []


async def test_totals_count_users_requests_and_tokens_in_all_and_today(database: Database, tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    async with database.write() as session:
        session.add_all(User(id=name, created_at=now_us()) for name in ("ann", "idle"))
    found = recorder(database, tmp_path)
    for user, days_ago in (("ann", 0), ("ann", 0), ("of a token", 20), ("long gone", 40), (None, 0)):
        found.record(exchange(started_at=now - days_ago * DAY), somebody("k", user), 5 * 10**8)
    await found.aclose()
    totals = await Reports(database).totals()
    assert (totals.total_users, totals.active_users) == (4, 2)
    assert (totals.total_requests, totals.requests_today) == (5, 3)
    assert (totals.total_tokens, totals.tokens_today) == (75, 45)
    assert (totals.cost_usd, totals.cost_usd_today) == (2.5, 1.5)

"""Sessions, over HTTP, made by conversations over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text

from .administering import own_company
from .tenants import Company
from .tenants import company as new_company

MAKES_TABLES = True

SPELLINGS = pytest.mark.parametrize("prefix", ["/v1/sessions", "/atoms/chat/sessions"])
ROOT = "platform_admin"
ODD = ["a/b", "a//b/", "export", "..", "%2F", "é ☃", "a?b#c", "';--", "{x}", "a+b&c=d", "x" * 200]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    """One for all tests of this file: each talks under a name of its own."""
    async with own_company(request.param, tmp_path_factory) as found:
        yield found


async def talk(company: Company, who: str, session_id: str, label: str) -> None:
    """One turn of a conversation."""
    body = {
        "model": "scripted",
        "messages": [{"role": "user", "content": "Hello\nthere"}],
        "user": label,
        "metadata": {"session_id": session_id},
    }
    answer = await company.ask(who, "POST", "/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["system_fingerprint"]) == (200, session_id)


def fault(answer: httpx.Response) -> tuple[int, str | None]:
    """Status, and the parameter that the envelope names."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["param"]


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    """What can be compared; each time must be one."""
    times = {name: found[name] for name in found if name.endswith("_at")}
    assert all(time.endswith("Z") for time in times.values())
    return {name: value for name, value in found.items() if name not in times}


@SPELLINGS
async def test_a_session_has_its_whole_shape(company: Company, prefix: str) -> None:
    label = f"shape of {prefix}"
    await talk(company, "user", "s 1", label)

    listed = (await company.ask("user", "GET", prefix, params={"user_id": label, "page": 1, "page_size": 20})).json()
    detail = (await company.ask("user", "GET", f"{prefix}/s%201", params={"user_id": label})).json()

    (session,) = listed.pop("sessions")
    assert listed == {"total": 1, "page": 1, "page_size": 20, "has_more": False}
    assert set(detail) == {"session", "messages"}
    assert detail["session"] == session
    assert without_times(session) == {
        "id": "s 1",
        "user_id": label,
        "organization_id": "a",
        "org_id": "a",
        "title": "Hello",
        "model": "scripted",
        "agent_type": session["agent_type"],
        "message_count": 2,
        "tokens_in": session["tokens_in"],
        "tokens_out": session["tokens_out"],
        "tokens_total": session["tokens_in"] + session["tokens_out"],
        "metadata": session["metadata"],
        "archived": False,
    }
    assert session["tokens_out"] > 0
    assert isinstance(session["metadata"], dict)
    assert [without_times(message) for message in detail["messages"]] == [
        {
            "id": message["id"],
            "session_id": "s 1",
            "message_index": index,
            "role": role,
            "content": content,
            "metadata": message["metadata"],
            "tokens": message["tokens"],
        }
        for index, (message, role, content) in enumerate(
            zip(
                detail["messages"],
                ["user", "assistant"],
                ["Hello\nthere", detail["messages"][1]["content"]],
                strict=True,
            )
        )
    ]


@SPELLINGS
@pytest.mark.parametrize("session_id", ODD)
async def test_an_odd_id_names_its_session_in_a_path(company: Company, prefix: str, session_id: str) -> None:
    label = f"odd {prefix}"
    await talk(company, "user", session_id, label)
    path = f"{prefix}/{quote(session_id, safe='').replace('.', '%2E')}?user_id={quote(label)}"

    shown = await company.ask("user", "GET", path)
    changed = await company.ask("user", "PATCH", path, json={"title": "T"})
    deleted = await company.ask("user", "DELETE", path)

    assert (shown.status_code, shown.json()["session"]["id"]) == (200, session_id)
    assert (changed.status_code, changed.json()["title"]) == (200, "T")
    assert (deleted.status_code, deleted.json()) == (200, {"id": session_id, "deleted": True})
    assert fault(await company.ask("user", "GET", path)) == (404, None)


@SPELLINGS
async def test_a_session_is_renamed_archived_and_deleted(company: Company, prefix: str) -> None:
    label = f"changes of {prefix}"
    await talk(company, "user", "one", label)
    await talk(company, "user", "two", label)
    named = {"user_id": label}

    async def ids(**query: Any) -> list[str]:
        found = (await company.ask("user", "GET", prefix, params={**named, **query})).json()
        assert found["total"] == len(found["sessions"])
        return sorted(session["id"] for session in found["sessions"])

    changed = await company.ask("user", "PATCH", f"{prefix}/one", params=named, json={"title": "T", "archived": True})
    assert (changed.json()["title"], changed.json()["archived"]) == ("T", True)
    assert (await ids(archived=True), await ids(archived=False), await ids()) == (["one"], ["two"], ["one", "two"])
    again = await company.ask("user", "PATCH", f"{prefix}/one", params=named, json={"title": None})
    assert (again.json()["title"], again.json()["archived"]) == (None, True)
    assert (await company.ask("user", "DELETE", f"{prefix}/one", params=named)).status_code == 200
    assert await ids() == ["two"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"title": "t" * 81}, "title"),
        ({"title": 1}, "title"),
        ({"title": "a\x00"}, None),
        ({"archived": "yes"}, "archived"),
        ({"archived": None}, "archived"),
        ({"user_id": "other_user"}, "user_id"),
        ({"organization_id": "b"}, "organization_id"),
        ({"tokens_total": 0}, "tokens_total"),
        ([], None),
    ],
)
async def test_what_cannot_be_set_of_a_session_is_named(company: Company, body: Any, param: str | None) -> None:
    await talk(company, "user", "fixed", "fixed")

    answer = await company.ask("user", "PATCH", "/v1/sessions/fixed?user_id=fixed", json=body)

    assert fault(answer) == (400, param)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b'{"title": "\xff"}', {}, 400),
        (b'{"title": "\xed\xa0\x80"}', {}, 400),
        (b'{"title": "\\ud800"}', {}, 400),
        (b'{"title": ' + b"[" * 100_000, {}, 400),
        (b'{"title":"' + b"a" * (1 << 20) + b'"}', {}, 413),
        (b"title=x", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-type": "application/merge-patch+json; charset=utf-8"}, 404),
        (b'{"title": "a \\\\u0000 b"}', {}, 404),
    ],
)
async def test_what_is_no_body_is_refused(
    company: Company, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await company.ask("user", "PATCH", "/v1/sessions/none", content=content, headers=headers)

    assert fault(answer)[0] == status


async def test_sessions_are_listed_in_pages_and_by_cursor(company: Company) -> None:
    for n in range(5):
        await talk(company, "user", f"p{n}", "pages")
    order = ["p4", "p3", "p2", "p1", "p0"]

    async def page(**query: Any) -> dict[str, Any]:
        params = {"user_id": "pages", "page_size": 2, **query}
        found: dict[str, Any] = (await company.ask("user", "GET", "/v1/sessions", params=params)).json()
        found["sessions"] = [session["id"] for session in found["sessions"]]
        return found

    pages = [await page(page=n) for n in (1, 2, 3, 4, 1 << 31)]
    assert [(found["sessions"], found["has_more"], found["total"]) for found in pages] == [
        (order[:2], True, 5),
        (order[2:4], True, 5),
        (order[4:], False, 5),
        ([], False, 5),
        ([], False, 5),
    ]
    first = await page(cursor="")
    second = await page(cursor=first["next_cursor"])
    third = await page(cursor=second["next_cursor"])
    assert first["sessions"] + second["sessions"] + third["sessions"] == order
    assert (third["has_more"], third["next_cursor"]) == (False, None)
    assert "next_cursor" not in pages[0]


@SPELLINGS
@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ("page=0", 422, "page"),
        ("page=-1", 422, "page"),
        ("page=2147483649", 422, "page"),
        ("page_size=0", 422, "page_size"),
        ("page_size=101", 422, "page_size"),
        ("page_size=many", 422, "page_size"),
        ("cursor=%2A", 422, "cursor"),
        ("cursor=" + "A" * 201, 422, "cursor"),
        ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5Ljk5", 422, "cursor"),
        ("format=xml", 400, "format"),
        ("archived=maybe", 400, "archived"),
        ("user=me", 400, "user"),
    ],
)
async def test_a_wrong_parameter_is_named(company: Company, prefix: str, query: str, status: int, param: str) -> None:
    assert fault(await company.ask("user", "GET", f"{prefix}?{query}")) == (status, param)


@SPELLINGS
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "GET jsonl"])
async def test_somebody_elses_session_is_as_if_it_were_not_there(company: Company, prefix: str, method: str) -> None:
    label = f"private {prefix} {method}"
    await talk(company, "other_user", "secret", label)
    verb, _, form = method.partition(" ")
    query = {"user_id": label, **({"format": form} if form else {})}
    options: dict[str, Any] = {"json": {"title": "mine"}} if verb == "PATCH" else {}

    foreign = [
        await company.ask(who, verb, f"{prefix}/secret", params=query, **options) for who in ("user", "org_admin")
    ]
    missing = await company.ask("user", verb, f"{prefix}/missing", params=query, **options)

    assert {(answer.status_code, answer.text) for answer in foreign} == {(404, missing.text)}
    own = (await company.ask("other_user", "GET", f"{prefix}/secret", params={"user_id": label})).json()
    assert own["session"]["title"] == "Hello"
    assert (await company.ask("user", "GET", prefix, params={"user_id": label})).json()["total"] == 0


async def test_an_administrator_reads_others_on_record(company: Company) -> None:
    await talk(company, "user", "seen", "watched")

    found = await company.ask(ROOT, "GET", "/v1/sessions/seen?user_id=watched")
    log = (await company.ask(ROOT, "GET", "/v1/platform/audit?resource=session&resource_id=seen")).json()

    assert found.status_code == 200
    assert [(entry["action"], entry["user_id"]) for entry in log["entries"]] == [("session.read", ROOT)]


async def test_an_id_that_several_users_have_asks_for_the_user(company: Company) -> None:
    for label in ("twin 1", "twin 2"):
        await talk(company, "user", "twins", label)

    assert fault(await company.ask("user", "GET", "/v1/sessions/twins")) == (409, "user_id")
    assert (await company.ask("user", "GET", "/v1/sessions/twins?user_id=twin%201")).status_code == 200


@SPELLINGS
async def test_sessions_are_exported_as_lines(company: Company, prefix: str) -> None:
    label = f"export of {prefix}"
    for name in ("e1", "e2"):
        await talk(company, "user", name, label)

    one = await company.ask("user", "GET", f"{prefix}/e1", params={"user_id": label, "format": "jsonl"})
    every = await company.ask("user", "GET", prefix, params={"user_id": label, "format": "jsonl"})
    none = await company.ask("user", "GET", prefix, params={"user_id": "nobody", "format": "jsonl"})

    assert one.headers["content-type"].startswith("application/jsonl")
    assert [json.loads(line)["object"] for line in one.text.splitlines()] == ["session", "message", "message"]
    assert every.text.startswith(one.text)
    assert len(every.text.splitlines()) == 6
    assert (none.status_code, none.text) == (200, "")


async def test_an_export_that_breaks_off_says_so(database_url: str, tmp_path: Path) -> None:
    async with new_company(database_url, usage={"spool_dir": str(tmp_path / "spool")}) as company:
        for n in range(5):
            await talk(company, "user", f"b{n}", "broken")
        path, key = "/v1/sessions?user_id=broken&format=jsonl", company.tenants.keys["user"]
        async with company.client.stream("GET", path, headers={"authorization": f"Bearer {key}"}) as answer:
            lines = answer.aiter_lines()
            first = json.loads(await anext(lines))
            async with company.platform.database.write() as session:
                await session.execute(text("DROP TABLE platform_messages"))
            rest = [json.loads(line) async for line in lines]

    assert (answer.status_code, first["object"], first["id"]) == (200, "session", "b0")
    assert 0 < len(rest) < 14
    assert rest[-1]["error"]["code"] == "storage_unavailable"

"""History: who sees, changes and deletes which sessions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.clock import MICRO, now_us
from chatproxy_platform.config import AuditConfig, SessionsConfig
from chatproxy_platform.errors import Conflict, Unprocessable
from chatproxy_platform.identity.records import OPERATOR, Actor, Identity, Role
from chatproxy_platform.sessions.retention import Retention
from chatproxy_platform.sessions.store import History
from chatproxy_platform.sessions.turns import KeptMedia, KeptMessage, KeptTurn
from chatproxy_platform.sessions.writing import write_turns
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import ChatMessage, Media, SessionCount
from sqlalchemy import func, select

from chatproxy import NotFound

from .sessions_gateway import running


def actor(name: str, *, organization: str | None = None, role: Role = "user") -> Actor:
    identity = Identity(id=f"key_{name}", user_id=name, owner=f"user:{name}", organization_id=organization, role=role)
    return Actor(name=name, identity=identity)


ANN, BOB, CAT = actor("ann", organization="one"), actor("bob", organization="one"), actor("cat", organization="two")
BOSS = actor("boss", organization="one", role="org_admin")
ADMIN = actor("admin", role="platform_admin")


async def store(database: Database, who: Actor, session_id: str, *, label: str | None = None, at: int = 0) -> None:
    """One turn of a session."""
    identity = who.identity
    assert identity is not None
    kept = KeptTurn(
        turn_id=f"{who.name}.{session_id}.{at}",
        session_id=session_id,
        owner=identity.owner,
        user_id=label or who.name,
        organization_id=identity.organization_id,
        surface="chat",
        model="m",
        title=f"Of {who.name}",
        messages=[KeptMessage(role="user", content="hi"), KeptMessage(role="assistant", content="ho", tokens=3)],
        media=[KeptMedia(digest="0" * 64, media_type="image/png", data=b"png")],
        tokens_in=2,
        tokens_out=3,
        at=at or now_us(),
    )
    async with database.write() as session:
        await write_turns(session, [kept])


@pytest.fixture
async def audit(database: Database) -> AsyncIterator[AuditLog]:
    log = AuditLog(database, AuditConfig())
    await log.open()
    yield log
    await log.aclose()


@pytest.fixture
async def history(database: Database, audit: AuditLog) -> History:
    for number, who in enumerate([ANN, BOB, CAT, ANN]):
        await store(database, who, f"s{number}", at=(number + 1) * MICRO)
    return History(database, audit)


async def listed(history: History, who: Actor, **wanted: object) -> list[str]:
    page = await history.list(who, **wanted)  # type: ignore[arg-type]
    assert page.total >= len(page.sessions)
    return [session.id for session in page.sessions]


async def test_everybody_lists_what_is_theirs_the_last_used_first(history: History) -> None:
    assert await listed(history, ANN) == ["s3", "s0"]
    assert await listed(history, BOB) == ["s1"]
    assert await listed(history, BOSS) == ["s3", "s1", "s0"]
    assert await listed(history, ADMIN) == ["s3", "s2", "s1", "s0"]
    assert await listed(history, OPERATOR, user_id="ann") == ["s3", "s0"]
    assert await listed(history, BOSS, user_id="cat") == []
    assert await listed(history, ANN, user_id="bob") == []


@pytest.mark.parametrize(
    ("who", "user_id", "total"),
    [
        (ANN, None, 2), (ANN, "ann", 2), (ANN, "bob", 0), (BOSS, None, 3), (BOSS, "bob", 1), (ADMIN, None, 4),
        (ADMIN, "cat", 1),
    ],
    ids=lambda value: value.name if isinstance(value, Actor) else str(value),
)  # fmt: skip
async def test_total_is_that_of_the_whole_listing(
    history: History, who: Actor, user_id: str | None, total: int
) -> None:
    page = await history.list(who, user_id=user_id, page_size=1)
    assert page.total == total
    assert page.has_more is (total > 1)


async def test_pages_by_number_and_by_cursor_are_the_same(history: History) -> None:
    numbered = [await history.list(ADMIN, page=page, page_size=3) for page in (1, 2)]
    first = await history.list(ADMIN, page_size=3, cursor="")
    second = await history.list(ADMIN, page_size=3, cursor=first.next_cursor)
    assert [page.sessions for page in numbered] == [first.sessions, second.sessions]
    assert [len(page.sessions) for page in numbered] == [3, 1]
    assert second.next_cursor is None
    assert not second.has_more


@pytest.mark.parametrize("cursor", ["x", "!!!", "MS4", "LTEuLTE", "ä", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5LjE", "A" * 1000])
async def test_cursor_of_nobody_is_refused(history: History, cursor: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        await history.list(ANN, cursor=cursor)
    assert refused.value.param == "cursor"


async def test_foreign_session_and_missing_one_are_the_same_404(history: History) -> None:
    said = []
    for call in (history.get, history.change, history.delete):
        for session_id in ("s1", "nothing"):
            with pytest.raises(NotFound) as missing:
                await call(ANN, session_id)
            said.append(missing.value.envelope())
    assert all(envelope == said[0] for envelope in said)
    assert (await history.get(BOB, "s1")).session.id == "s1"


async def test_detail_has_the_messages_in_order(history: History, database: Database) -> None:
    await store(database, ANN, "s0", at=9 * MICRO)
    detail = await history.get(ANN, "s0")
    assert [(message.message_index, message.role, message.content) for message in detail.messages] == [
        (0, "user", "hi"), (1, "assistant", "ho"), (2, "user", "hi"), (3, "assistant", "ho"),
    ]  # fmt: skip
    session = detail.session
    assert (session.tokens_in, session.tokens_out, session.tokens_total) == (4, 6, 10)
    assert (session.created_at, session.updated_at) == ("1970-01-01T00:00:01.000000Z", "1970-01-01T00:00:09.000000Z")
    assert session.last_message_at == session.updated_at
    assert session.organization_id == session.org_id == "one"
    assert {message.session_id for message in detail.messages} == {"s0"}


async def test_several_sessions_of_one_id_want_the_user_named(history: History, database: Database) -> None:
    await store(database, ANN, "s0", label="other")
    with pytest.raises(Conflict):
        await history.get(ANN, "s0")
    assert (await history.get(ANN, "s0", user_id="other")).session.user_id == "other"


async def test_session_is_renamed_and_archived(history: History) -> None:
    await history.change(ANN, "s0", title="New")
    view = await history.change(ANN, "s0", archived=True)
    assert (view.title, view.archived) == ("New", True)
    assert await listed(history, ANN, archived=False) == ["s3"]
    assert await listed(history, ANN, archived=True) == ["s0"]
    for who in (ANN, BOSS, ADMIN):
        for user_id in (None, "ann"):
            totals = [(await history.list(who, user_id=user_id, archived=is_in)).total for is_in in (True, False, None)]
            assert totals[0] == 1
            assert sum(totals[:2]) == totals[2]
    await history.change(ANN, "s0", archived=True)
    assert (await history.list(ANN, archived=True)).total == 1
    await history.delete(ANN, "s0")
    assert [(await history.list(ANN, archived=is_in)).total for is_in in (True, False)] == [0, 1]


async def test_deleted_session_leaves_nothing(history: History, database: Database) -> None:
    await history.delete(ANN, "s0")
    await history.delete(ANN, "s3")
    assert (await history.list(ANN)).total == 0
    assert (await history.list(ADMIN)).total == 2
    async with database.read() as session:
        counts = [await session.scalar(select(func.count()).select_from(table)) for table in (ChatMessage, Media)]
        sums = (await session.execute(select(SessionCount.owner, SessionCount.user_id, SessionCount.sessions))).all()
    assert counts == [4, 2]
    assert {(owner, user): number for owner, user, number in sums} == {
        ("user:ann", "ann"): 0, ("user:ann", ""): 0, ("", "ann"): 0, ("", ""): 2, ("organization:one", ""): 1,
        ("organization:one", "ann"): 0, ("organization:one", "bob"): 1, ("organization:two", "cat"): 1,
        ("user:bob", "bob"): 1, ("user:bob", ""): 1, ("", "bob"): 1, ("organization:two", ""): 1,
        ("user:cat", "cat"): 1, ("user:cat", ""): 1, ("", "cat"): 1,
    }  # fmt: skip


async def test_reading_and_deleting_of_others_is_on_record(history: History, audit: AuditLog) -> None:
    await history.get(BOSS, "s1")
    await history.list(ADMIN)
    await history.change(ADMIN, "s1", archived=True)
    await history.delete(ADMIN, "s1")
    async with aclosing(history.export(ADMIN, session_id="s0")) as lines:
        assert [line async for line in lines]
    entries, _ = await audit.page()
    assert [(entry.action, entry.user_id, entry.resource_id) for entry in reversed(entries)] == [
        ("session.read", "boss", "s1"), ("session.listed", "admin", None), ("session.changed", "admin", "s1"),
        ("session.deleted", "admin", "s1"), ("session.exported", "admin", "s0"),
    ]  # fmt: skip


async def test_reading_of_ones_own_is_nobodys_business(history: History, audit: AuditLog) -> None:
    await history.list(ANN)
    await history.get(ANN, "s0")
    await history.delete(ANN, "s0")
    assert (await audit.page())[1] == 0


async def test_export_is_a_line_for_each_thing(history: History) -> None:
    async with aclosing(history.export(ANN)) as exported:
        lines = [json.loads(line) async for line in exported]
    assert [line["object"] for line in lines] == ["session", "message", "message", "media"] * 2
    assert [line["id"] for line in lines if line["object"] == "session"] == ["s0", "s3"]
    assert lines[3]["data"] == "cG5n"


async def test_export_of_a_foreign_session_is_the_404(history: History) -> None:
    with pytest.raises(NotFound):
        await anext(history.export(ANN, session_id="s1"))


async def test_sessions_that_nobody_used_for_long_are_deleted(history: History, database: Database) -> None:
    await store(database, ANN, "new")
    await store(database, BOB, "s1")
    assert await Retention(database, 1.0).sweep() == 3
    assert await listed(history, ADMIN) == ["s1", "new"]
    assert (await history.list(ADMIN)).total == 2


async def test_session_is_listed_right_after_its_stream(database: Database, audit: AuditLog, tmp_path: Path) -> None:
    async with running(database, tmp_path, config=SessionsConfig()) as gateway:
        answer = await gateway.ask("Draft an email.\nNow.", stream=True)
        page = await History(database, audit).list(actor("ann"), user_id="ann")
    (session,) = page.sessions
    assert session.id == answer.headers["x-chatproxy-session-id"]
    assert (session.title, session.message_count) == ("Draft an email.", 2)

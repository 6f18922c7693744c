"""Sessions while the database is away: chat goes on, turns wait in the spool, nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from chatproxy_platform.config import DatabaseConfig, SessionsConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.sessions.turns import KIND, KeptMedia, KeptMessage, KeptTurn
from chatproxy_platform.sessions.writer import REFUSED, Writer
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.storage.tables import ChatMessage, Media, SessionCount
from sqlalchemy import make_url, select

from .faults import FaultProxy, fault_proxy
from .sessions_gateway import running

QUICK = DatabaseConfig(deadline_s=0.5, failures_to_open=2, cooling_s=0.01)


class Away:
    """A database behind a proxy that can fail."""

    def __init__(self, proxy: FaultProxy, database: Database) -> None:
        self.proxy = proxy
        self.database = database

    async def until_it_answers(self) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    async with self.database.read() as session:
                        await session.execute(select(1))
                except StorageUnavailable:
                    await asyncio.sleep(0)
                else:
                    return


@pytest.fixture
async def away(postgres_url: str) -> AsyncIterator[Away]:
    target = make_url(postgres_url)
    async with fault_proxy(target.host or "", target.port or 5432) as proxy:
        url = target.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        database = Database(url, QUICK)
        await database.create()
        yield Away(proxy, database)
        await database.aclose()


def turn(number: int, session_id: str = "s", **fields: object) -> KeptTurn:
    values = {
        "turn_id": f"turn_{number}",
        "session_id": session_id,
        "owner": "user:ann",
        "user_id": "ann",
        "surface": "chat",
        "model": "m",
        "messages": [KeptMessage(role="user", content=f"{number}"), KeptMessage(role="assistant", content="ok")],
    }
    return KeptTurn(**{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_turns_wait_in_the_spool_while_the_database_is_down(away: Away, tmp_path: Path, stream: bool) -> None:
    async with running(away.database, tmp_path) as gateway:
        first = await gateway.ask("before", stream=stream)
        named = {"session_id": first.headers["x-chatproxy-session-id"]}
        await away.proxy.refuse()
        during = await gateway.ask("during", stream=stream)
        assert during.status_code == 200
        assert "error" not in during.text
        assert gateway.spool.waiting == {KIND: 1}
        assert (await gateway.ask("resumed", stream=stream, metadata=named)).status_code == 503
        await away.proxy.listen()
        await away.until_it_answers()
        again = {"session_id": during.headers["x-chatproxy-session-id"]}
        assert (await gateway.ask("after", stream=stream, metadata=again)).status_code == 200
        said = [text for _, text in await gateway.said(again["session_id"])]
        assert gateway.spool.waiting.get(KIND, 0) == 0
    assert said == ["during", "Hello.", "after", "Hello."]


async def test_database_that_hangs_costs_a_turn_its_deadline_only(away: Away, tmp_path: Path) -> None:
    async with running(away.database, tmp_path) as gateway:
        await gateway.ask("before")
        away.proxy.is_flowing.clear()
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*[gateway.ask(f"{i}") for i in range(8)])
        assert [answer.status_code for answer in answers] == [200] * 8
        assert gateway.spool.waiting == {KIND: 8}
        away.proxy.is_flowing.set()
        await away.until_it_answers()
        await gateway.sessions.writer.catch_up()
        assert len(await gateway.messages()) == 18


@pytest.mark.parametrize(("policy", "status"), [("fail_closed", 503), ("fail_open", 200)])
async def test_without_database_and_spool_the_policy_decides(
    away: Away, tmp_path: Path, policy: str, status: int
) -> None:
    (tmp_path / "spool").write_text("a file where a directory should be")
    config = SessionsConfig(on_failure=policy)  # type: ignore[arg-type]
    async with running(away.database, tmp_path, config=config) as gateway:
        await away.proxy.refuse()
        assert (await gateway.ask()).status_code == status
        streamed = await gateway.ask(stream=True)
        assert streamed.status_code == 200
        assert ("storage_unavailable" in streamed.text) is (policy == "fail_closed")
        assert ("[DONE]" in streamed.text) is (policy == "fail_open")


async def test_turn_is_stored_once_however_often_it_is_put(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    writer = Writer(database, spool)
    writer.open()
    await asyncio.gather(*[writer.put(turn(1)) for _ in range(5)])
    await spool.put_all(KIND, [msgspec.to_builtins(turn(number)) for number in (1, 2, 2)])
    await writer.catch_up()
    await writer.aclose()
    await spool.aclose()
    assert writer.spooled == 0
    async with database.read() as session:
        contents = (await session.execute(select(ChatMessage.content).order_by(ChatMessage.message_index))).scalars()
        assert list(contents) == ["1", "ok", "2", "ok"]


async def test_media_come_out_of_the_spool_as_they_were(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    part = KeptMedia(digest="0" * 64, media_type="image/png", data=bytes(range(256)))
    await spool.put_all(KIND, [msgspec.to_builtins(turn(1, media=[part]))])
    await Writer(database, spool).catch_up()
    await spool.aclose()
    async with database.read() as session:
        assert list((await session.execute(select(Media.data))).scalars()) == [part.data]


async def test_turn_that_no_database_takes_costs_no_other_one(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    writer = Writer(database, spool)
    too_much = turn(1, tokens_in=1 << 70)
    writer.open()
    await asyncio.gather(writer.put(turn(0)), writer.put(too_much), writer.put(turn(2)))
    async with database.read() as session:
        stored = set((await session.execute(select(ChatMessage.turn_id))).scalars())
    await writer.aclose()
    assert stored == {"turn_0", "turn_2"}
    assert spool.waiting == {REFUSED: 1}
    await spool.aclose()


async def test_turn_that_is_put_while_it_closes_is_kept(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    writer = Writer(database, spool)
    writer.open()
    await asyncio.gather(writer.aclose(), writer.put(turn(1)))
    await writer.put(turn(2))
    await writer.catch_up()
    async with database.read() as session:
        assert len(list((await session.execute(select(ChatMessage.id))).scalars())) == 4
    await spool.aclose()


async def test_record_that_is_no_turn_is_put_aside(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    writer = Writer(database, spool)
    await spool.put_all(KIND, [{"turn_id": 5}, msgspec.to_builtins(turn(1))])
    await writer.catch_up()
    assert spool.waiting == {REFUSED: 1}
    async with database.read() as session:
        assert len(list((await session.execute(select(ChatMessage.id))).scalars())) == 2
    await spool.aclose()


async def test_processes_that_share_a_database_lose_no_turn(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    other = Database(database_url)
    spools = [Spool(tmp_path / name, 1 << 20) for name in ("one", "two")]
    writers = [Writer(found, spool) for found, spool in zip((database, other), spools, strict=True)]
    for writer in writers:
        writer.open()
    await asyncio.gather(*[writers[n % 2].put(turn(n, f"s{n % 3}")) for n in range(60)])
    for writer, spool in zip(writers, spools, strict=True):
        await writer.aclose()
        assert spool.waiting.get(KIND, 0) == 0
        await spool.aclose()
    async with database.read() as session:
        query = select(ChatMessage.session_row, ChatMessage.message_index)
        rows = (await session.execute(query.order_by(ChatMessage.session_row, ChatMessage.message_index))).all()
        counted = (await session.execute(select(SessionCount.sessions).where(SessionCount.owner == ""))).scalars()
        assert set(counted) == {3}
    assert [index for _, index in rows] == [*range(40)] * 3
    await other.aclose()

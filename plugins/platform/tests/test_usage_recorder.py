"""Recording usage: everything that ended is stored once, now or later."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

import msgspec
import pytest
from chatproxy_platform.config import DatabaseConfig
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.usage.recorder import KIND, UsageRecorder
from chatproxy_platform.usage.rows import ended, row_of

from .usages import NOWHERE, assert_exact, exchange, recorder, rows_of, somebody, until


async def replayed(database: Database, spool: Path) -> UsageRecorder:
    """A recorder that has stored what waits in a spool, and is closed."""
    found = recorder(database, spool)
    await found.open()
    await until(lambda: found.written > 0 and not found._spool.waiting.get(KIND))
    await found.aclose()
    await found._spool.aclose()
    return found


async def spooled(spool: Path, count: int) -> None:
    """A recorder whose database is down has recorded, and is closed."""
    down = Database(NOWHERE, DatabaseConfig(deadline_s=1))
    found = recorder(down, spool)
    for _ in range(count):
        found.record(exchange(), somebody(), 7)
    await found.flush()
    assert found.report() == {"waiting": 0, "written": 0, "spooled": count, "lost": 0, "is_failing": True}
    await found.aclose()
    await found._spool.aclose()
    await down.aclose()


async def test_row_is_written_by_itself_soon(database: Database, tmp_path: Path) -> None:
    found = recorder(database, tmp_path)
    await found.open()
    found.record(exchange(request_id="r1"), somebody(), 7)
    await until(lambda: found.written == 1)
    assert [row["request_id"] for row in await assert_exact(database)] == ["r1"]
    await found.aclose()


@pytest.mark.parametrize("count", [1, 99, 100, 101, 1234])
async def test_every_exchange_is_one_row_and_the_sums_are_exact(database: Database, tmp_path: Path, count: int) -> None:
    found = recorder(database, tmp_path)
    await found.open()
    for number in range(count):
        who = somebody(f"k{number % 3}", f"u{number % 2}", None if number % 5 else "o1")
        outcome = ("completed", "failed", "rejected", "client_disconnected")[number % 4]
        found.record(exchange(model=f"m{number % 2}", outcome=outcome), who, number % 7 or None)
    await found.aclose()
    assert len(await assert_exact(database)) == count
    assert (found.written, found.spooled, found.lost) == (count, 0, 0)


async def test_what_is_recorded_twice_counts_once(database: Database, tmp_path: Path) -> None:
    found = recorder(database, tmp_path)
    same = exchange()
    for _ in range(2):
        found.record(same, somebody(), 7)
        found.record(same, somebody(), 7)
        await found.flush()
    assert len(await assert_exact(database)) == 1
    assert found.written == 1
    await found.aclose()


async def test_rows_wait_in_the_spool_while_the_database_is_down(database: Database, tmp_path: Path) -> None:
    await spooled(tmp_path, 250)
    assert await rows_of(database) == []
    assert (await replayed(database, tmp_path)).written == 250
    assert len(await assert_exact(database)) == 250


async def test_spool_that_comes_again_after_it_was_stored_changes_nothing(database: Database, tmp_path: Path) -> None:
    spool, copy = tmp_path / "spool", tmp_path / "copy"
    await spooled(spool, 30)
    shutil.copytree(spool, copy)
    await replayed(database, spool)
    again = recorder(database, copy)
    assert await again._spool.drain(KIND, again._take_back) == 30
    assert len(await assert_exact(database)) == 30
    assert (again.written, again.lost) == (0, 0)


async def test_database_that_comes_back_gets_the_rows_while_the_process_runs(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chatproxy.platform")
    down = Database(NOWHERE, DatabaseConfig(deadline_s=1))
    found = recorder(down, tmp_path)
    await found.open()
    for _ in range(150):
        found.record(exchange(), somebody(), 7)
    await until(lambda: found.spooled == 150)
    found._database = database
    await until(lambda: found.written == 150)
    assert len(await assert_exact(database)) == 150
    assert not found.report()["is_failing"]
    assert [record.levelname for record in caplog.records if record.message.startswith("usage:")] == ["WARNING", "INFO"]
    await found.aclose()
    await down.aclose()


async def test_rows_stay_in_memory_and_are_counted_as_lost_only_at_the_end_when_nothing_takes_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    down = Database(NOWHERE, DatabaseConfig(deadline_s=1))
    found = recorder(down, tmp_path, max_spool_bytes=10)
    for _ in range(7):
        found.record(exchange(), somebody(), 7)
    await found.flush()
    assert (found.report()["waiting"], found.lost) == (7, 0)
    await found.aclose()
    assert found.lost == 7
    assert "usage: 7 row(s) could be stored nowhere" in caplog.text
    await down.aclose()


async def test_rows_beyond_the_bound_are_dropped_counted_and_logged_once(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = recorder(database, tmp_path, max_waiting=10)
    for _ in range(35):
        found.record(exchange(), somebody(), 7)
    assert (found.report()["waiting"], found.lost) == (20, 15)
    assert caplog.text.count("are lost") == 1
    await found.aclose()
    assert len(await assert_exact(database)) == 20


async def test_rows_that_a_slow_database_keeps_waiting_go_to_the_spool(database: Database, tmp_path: Path) -> None:
    found = recorder(database, tmp_path, max_waiting=10)
    async with found._writing:  # as a transaction that takes long
        await found.open()
        for _ in range(12):
            found.record(exchange(), somebody(), 7)
        await until(lambda: found.spooled == 12)
    await until(lambda: found.written == 12)
    await found.aclose()
    assert len(await assert_exact(database)) == 12


async def test_cancelled_write_loses_nothing_and_counts_nothing_twice(database: Database, tmp_path: Path) -> None:
    found = recorder(database, tmp_path)
    for _ in range(300):
        found.record(exchange(), somebody(), 7)
    for turns in (1, 2, 3, 5, 8, 13, 21, 34, 55):
        writing = asyncio.create_task(found.flush())
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
    await found.aclose()
    assert len(await assert_exact(database)) == 300
    assert found.lost == 0


async def test_record_in_the_spool_that_is_no_row_is_counted_and_the_others_are_stored(
    database: Database, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, 1 << 20)
    good = msgspec.to_builtins(row_of(ended(exchange(), somebody(), 7)))
    await spool.put_all(KIND, [{"something": "else"}, good, {**good, "request_id": "big", "prompt_tokens": 10**30}])
    await spool.aclose()
    found = await replayed(database, tmp_path)
    assert len(await assert_exact(database)) == 1
    assert found.lost == 2


async def test_row_that_postgresql_refuses_does_not_hold_up_the_others(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url)
    await database.create()
    spool = Spool(tmp_path, 1 << 20)
    good = msgspec.to_builtins(row_of(ended(exchange(), somebody(), 7)))
    bad = {**good, "request_id": "bad", "model": "a\x00b"}
    await spool.put_all(KIND, [{**good, "request_id": "first"}, bad, good])
    await spool.aclose()
    found = await replayed(database, tmp_path)
    assert len(await assert_exact(database)) == 2
    assert (found.written, found.lost) == (2, 1)
    await database.aclose()


@pytest.mark.parametrize("nonsense", [{"started_at": float("nan")}, {"model": 7}, {"status": "fine"}], ids=str)
async def test_exchange_that_makes_no_row_is_counted_and_does_not_hold_up_the_others(
    database: Database, tmp_path: Path, nonsense: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    found = recorder(database, tmp_path)
    for fields in ({}, nonsense, {}):
        found.record(exchange(**fields), somebody(), 7)
    await found.flush()
    assert (found.report()["waiting"], found.written + found.lost) == (0, 3)
    assert len(await rows_of(database)) == found.written >= 2
    assert caplog.text.count("are lost") == found.lost
    await found.aclose()

"""Exact accounting: whatever is written, how often, in which order and by whom, the sums are those of the rows."""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.usage.recorder import KIND
from chatproxy_platform.usage.rows import Row, ended, row_of
from chatproxy_platform.usage.writing import write_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .usages import NOON, NOWHERE, PROCESS, assert_exact, exchange, recorder, rows_of, somebody

NAMES = st.sampled_from([None, "", "a", "b", "ü", "'; --"])
EXCHANGES = st.fixed_dictionaries(
    {
        "key": NAMES,
        "user": NAMES,
        "organization": NAMES,
        "model": st.sampled_from(["", "m", "M", "m\x00", "x" * 300]),
        "prompt": st.integers(0, 10**9),
        "completion": st.integers(0, 100),
        "cached": st.integers(0, 100),
        "cost": st.none() | st.integers(0, 10**13),
        "started_at": st.integers(-2, 2).map(lambda days: NOON + days * 86_400 / 2),
        "outcome": st.sampled_from(["completed", "failed", "rejected", "client_disconnected"]),
    }
)
_numbers = itertools.count()


def made(values: dict[str, Any]) -> Row:
    values = dict(values)
    who = somebody(values.pop("key"), values.pop("user"), values.pop("organization"))
    cost = values.pop("cost")
    return row_of(ended(exchange(**values), who, cost))


@st.composite
def written(draw: st.DrawFn) -> tuple[list[Row], list[list[int]]]:
    """Rows, and batches of their numbers: each of them at least once, many several times."""
    rows = [made(values) for values in draw(st.lists(EXCHANGES, min_size=1, max_size=12))]
    numbers = st.integers(0, len(rows) - 1)
    batches = draw(st.lists(st.lists(numbers, min_size=1, max_size=8), max_size=8))
    return rows, [*batches, list(range(len(rows)))]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=written())
def test_sums_are_those_of_the_rows_whatever_is_written_again(
    database_url: str, case: tuple[list[Row], list[list[int]]]
) -> None:
    asyncio.run(_write_at_once(database_url, *case))


async def _write_at_once(url: str, rows: list[Row], batches: list[list[int]]) -> None:
    """Three writers with connections of their own take the batches in turns."""
    databases = [Database(url) for _ in range(3)]
    await databases[0].create()
    before = len(await rows_of(databases[0]))

    async def write(database: Database, mine: list[list[int]]) -> int:
        new = 0
        for batch in mine:
            async with database.write() as session:
                new += await write_rows(session, [rows[number] for number in batch])
        return new

    try:
        new = await asyncio.gather(*(write(each, batches[index::3]) for index, each in enumerate(databases)))
        after = len(await assert_exact(databases[0]))
        assert sum(new) == after - before == len({number for batch in batches for number in batch})
    finally:
        for database in databases:
            await database.aclose()


async def test_processes_that_write_the_same_at_once_count_it_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    shared = [f"shared_{number}" for number in range(40)]
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(_process(database_url, tmp_path, f"p{index}", "100", *shared))
            for index in range(2)
        ]
        ends = [await process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], ends
    again = recorder(database, tmp_path)  # what one of them could not write while the other did
    await again._spool.drain(KIND, again._take_back)
    assert len(await assert_exact(database)) == 2 * 100 + 40


@pytest.mark.parametrize("lines", [31])
async def test_killed_process_loses_nothing_that_was_stored(
    database: Database, database_url: str, tmp_path: Path, lines: int
) -> None:
    kept = await _kill_while_writing(database_url, tmp_path, "endless", lines)
    assert len(await assert_exact(database)) >= kept >= 10 * lines


async def test_killed_process_loses_nothing_that_was_spooled(database: Database, tmp_path: Path) -> None:
    kept = await _kill_while_writing(NOWHERE, tmp_path, "endless", 15)
    later = recorder(database, tmp_path)
    assert await later._spool.drain(KIND, later._take_back) >= kept
    rows = await assert_exact(database)
    numbers = sorted(int(row["request_id"].partition("_")[2]) for row in rows)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= kept


async def test_replay_that_was_cut_off_is_begun_again_and_counts_once(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 24)
    for _ in range(3):  # more than one file
        rows = [row_of(ended(exchange(model="x" * 200), somebody(), 7)) for _ in range(450)]
        await spool.put_all(KIND, [msgspec.to_builtins(row) for row in rows])
    await spool.aclose()
    for turns in (10, 30, 60, 100, 150, 200, 300):
        cut = recorder(database, tmp_path)
        replaying = asyncio.create_task(cut._spool.drain(KIND, cut._take_back))
        for _ in range(turns):
            await asyncio.sleep(0)
        replaying.cancel()
        await asyncio.wait([replaying])
        await cut._spool.aclose()
    whole = recorder(database, tmp_path)
    await whole._spool.drain(KIND, whole._take_back)
    assert len(await assert_exact(database)) == 3 * 450


async def _kill_while_writing(url: str, spool: Path, name: str, lines: int) -> int:
    """Kill -9 a process after some lines; returns how many exchanges it said were kept."""
    async with _process(url, spool, name, "0") as process:
        assert process.stdout is not None
        said = b""
        for _ in range(lines):
            said = await process.stdout.readline() or said
        process.kill()
        rest, _ = await process.communicate()
    return max(int(found) for found in re.findall(rb"kept (\d+)\n", said + rest))


@asynccontextmanager
async def _process(url: str, spool: Path, *arguments: str) -> AsyncIterator[Process]:
    """One that records; it is gone afterwards."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(*PROCESS, url, str(spool), *arguments, **pipes)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()

"""The spool."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.errors import SpoolFull, StorageUnavailable
from chatproxy_platform.storage.segments import SEGMENT_BYTES
from chatproxy_platform.storage.spool import Spool

ROOM = 1 << 20


class Taken:
    """Takes records and remembers their numbers."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.batches = 0

    async def __call__(self, records: list[dict[str, Any]]) -> None:
        self.numbers += [record["number"] for record in records]
        self.batches += 1


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = Spool(tmp_path / "spool", ROOM)
    yield opened
    await opened.aclose()


async def put(spool: Spool, numbers: range, kind: str = "turn", **more: Any) -> None:
    for number in numbers:
        await spool.put(kind, {"number": number, **more})


def rewrite(directory: Path, change: Callable[[bytes], bytes]) -> bytes:
    """Damage the only file of a spool."""
    (file,) = directory.glob("*.spool")
    data = change(file.read_bytes())
    file.write_bytes(data)
    return data


def left_in(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


def kept_damaged(directory: Path) -> list[bytes]:
    return [file.read_bytes() for file in directory.glob("*.damaged")]


async def drained(spool: Spool, kind: str = "turn") -> list[int]:
    taken = Taken()
    assert await spool.drain(kind, taken) == len(taken.numbers)
    return taken.numbers


async def test_records_come_out_in_order_and_once(spool: Spool) -> None:
    await put(spool, range(10))
    assert spool.waiting == {"turn": 10}
    assert await drained(spool) == list(range(10))
    assert await drained(spool) == []
    assert spool.report() == {"waiting": {}, "size_bytes": 0, "damaged": 0}


async def test_records_put_at_once_are_all_kept_in_the_order_they_came(spool: Spool) -> None:
    await asyncio.gather(*(spool.put("turn", {"number": number}) for number in range(500)))
    assert await drained(spool) == list(range(500))


async def test_kinds_have_queues_of_their_own(spool: Spool) -> None:
    await put(spool, range(2), "turn")
    await put(spool, range(10, 12), "usage")
    assert (await drained(spool, "usage"), spool.waiting) == ([10, 11], {"turn": 2})


async def test_json_comes_back_as_it_was(spool: Spool) -> None:
    record = {"text": "a\nb\u2028\0\U0001f600", "list": [None, True, 1.5, {"deep": []}], "big": 2**63 - 1}
    await spool.put("turn", record)
    found: list[dict[str, Any]] = []

    async def take(records: list[dict[str, Any]]) -> None:
        found.extend(records)

    await spool.drain("turn", take)
    assert found == [record]


async def test_what_was_not_taken_stays(spool: Spool) -> None:
    big = "x" * (SEGMENT_BYTES // 4)
    await put(spool, range(12), text=big)
    seen: list[int] = []

    async def take(records: list[dict[str, Any]]) -> None:
        if seen:
            raise LookupError
        seen.extend(record["number"] for record in records)

    with pytest.raises(LookupError):
        await spool.drain("turn", take)
    assert 0 < len(seen) < 12
    assert spool.waiting == {"turn": 12 - len(seen)}
    assert seen + await drained(spool) == list(range(12))


async def test_records_put_while_others_are_taken_come_later(spool: Spool) -> None:
    await put(spool, range(3))
    seen: list[int] = []

    async def take(records: list[dict[str, Any]]) -> None:
        seen.extend(record["number"] for record in records)
        await put(spool, range(3, 5))

    assert await spool.drain("turn", take) == 3
    assert seen + await drained(spool) == [0, 1, 2, 3, 4]


async def test_one_drains_a_kind_at_a_time(spool: Spool) -> None:
    await put(spool, range(5))
    taken = Taken()
    counts = await asyncio.gather(*(spool.drain("turn", taken) for _ in range(3)))
    assert (sorted(counts), taken.numbers) == ([0, 0, 5], [0, 1, 2, 3, 4])


async def test_full_spool_refuses_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    with pytest.raises(SpoolFull):
        await put(spool, range(1000), text="x" * 100)
    kept = spool.waiting["turn"]
    assert 0 < spool.size_bytes <= 1000
    assert await drained(spool) == list(range(kept))
    await put(spool, range(1))
    assert await drained(spool) == [0]
    await spool.aclose()


async def test_size_counts_for_all_processes_together(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, 1000), Spool(tmp_path, 1000)
    await first.put("turn", {"number": 0, "text": "x" * 800})
    with pytest.raises(SpoolFull):
        await second.put("turn", {"number": 1, "text": "x" * 800})
    await first.aclose()
    await second.aclose()


async def test_all_or_none_of_several_records_are_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 500)
    with pytest.raises(SpoolFull):
        await spool.put_all("turn", [{"number": number, "text": "x" * 100} for number in range(10)])
    assert await drained(spool) == []
    await spool.aclose()


async def test_closed_process_leaves_its_records_to_the_next(tmp_path: Path) -> None:
    first = Spool(tmp_path, ROOM)
    await put(first, range(3))
    await first.aclose()
    second = Spool(tmp_path, ROOM)
    await second.open()
    assert second.waiting == {"turn": 3}
    await put(second, range(3, 5))
    assert await drained(second) == [0, 1, 2, 3, 4]
    await second.aclose()
    assert left_in(tmp_path) == []


async def test_records_of_a_living_process_are_left_to_it(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, ROOM), Spool(tmp_path, ROOM)
    await put(first, range(3))
    assert await drained(second) == []
    assert await drained(first) == [0, 1, 2]
    await first.aclose()
    await second.aclose()


async def test_left_records_are_taken_by_one_of_several(tmp_path: Path) -> None:
    first = Spool(tmp_path, ROOM)
    await put(first, range(100))
    await first.aclose()
    others = [Spool(tmp_path, ROOM) for _ in range(4)]
    found = await asyncio.gather(*(drained(other) for other in others))
    assert max(found, key=len) == list(range(100))
    assert sum(map(len, found)) == 100
    for other in others:
        await other.aclose()


async def test_cut_last_line_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Spool(tmp_path, ROOM)
    await put(first, range(3))
    await first.aclose()
    rewrite(tmp_path, lambda data: data + b'0123abcd {"number": 3')
    second = Spool(tmp_path, ROOM)
    assert await drained(second) == [0, 1, 2]
    assert second.damaged == 1
    assert "1 line(s)" in caplog.text
    await second.aclose()


@pytest.mark.parametrize("line", [b"", b"garbage", b'zzzzzzzz {"number":1}', b'00000000 {"number":1}', b"00000000 [1]"])
async def test_damaged_line_is_left_out_and_its_file_kept_beside(tmp_path: Path, line: bytes) -> None:
    first = Spool(tmp_path, ROOM)
    await put(first, range(3))
    await first.aclose()
    damaged = rewrite(tmp_path, lambda data: b"\n".join([data.split(b"\n")[0], line, *data.split(b"\n")[2:]]))
    second = Spool(tmp_path, ROOM)
    assert await drained(second) == [0, 2]
    assert (second.damaged, second.waiting) == (1, {})
    assert kept_damaged(tmp_path) == [damaged]
    await second.aclose()


async def test_disk_that_is_full_refuses_and_nothing_half_written_is_left(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(spool, range(2))
    write = os.write

    def half_write(file: int, data: Any) -> int:
        if len(data) < 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, bytes(data)[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half_write)
        with pytest.raises(SpoolFull):
            await put(spool, range(2, 3))
    await put(spool, range(3, 5))
    assert await drained(spool) == [0, 1, 3, 4]
    assert spool.damaged == 0


async def test_directory_that_cannot_be_made_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool", ROOM)
    with pytest.raises(SpoolFull):
        await put(spool, range(1))
    with pytest.raises(StorageUnavailable):
        await spool.drain("turn", Taken())
    await spool.aclose()


async def test_files_are_for_their_owner_only(spool: Spool, tmp_path: Path) -> None:
    await put(spool, range(1))
    directory = tmp_path / "spool"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}


async def test_cancelled_put_does_not_hurt_the_others(spool: Spool) -> None:
    tasks = [asyncio.create_task(spool.put("turn", {"number": number})) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert set(range(1, 50, 2)) <= set(await drained(spool))


async def test_closed_spool_refuses(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOM)
    await spool.aclose()
    with pytest.raises(SpoolFull):
        await put(spool, range(1))

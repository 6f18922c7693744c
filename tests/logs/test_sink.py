"""Streams that are full, broken or closed: lines are lost and counted, nobody waits, nothing raises."""

from __future__ import annotations

import asyncio
import fcntl
import io
import logging
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatproxy.logs import ExchangeLog, setup_logging
from chatproxy.logs.setup import LineHandler
from chatproxy.logs.sink import BACKLOG_BYTES, LineBuffer, Sink
from chatproxy.types import Exchange


def decoded(text: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in text.splitlines()]


def ids(text: bytes) -> list[str]:
    return [line["request_id"] for line in decoded(text) if line["event"] == "exchange"]


def exchange(number: int) -> Exchange:
    return Exchange(request_id=f"req_{number}", model="m")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Pipe:
    """A small pipe nobody reads unless told to."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, resource.getpagesize())
        self.stream = os.fdopen(writer, "w", encoding="utf-8")

    def read(self) -> bytes:
        parts: list[bytes] = []
        while True:
            try:
                part = os.read(self.reader, 65_536)
            except BlockingIOError:
                part = b""
            if not part:
                return b"".join(parts)
            parts.append(part)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.stream.close()
    os.close(made.reader)


def test_full_pipe_never_blocks_and_nothing_is_lost_while_there_is_room(pipe: Pipe) -> None:
    log = ExchangeLog("json", "info", pipe.stream)
    for number in range(100):
        log.write(exchange(number))
    found = b""
    while len(ids(found)) < 100:
        part = pipe.read()
        assert part.endswith(b"\n")
        found += part
        log.flush()
    assert ids(found) == [f"req_{number}" for number in range(100)]
    log.close()


def test_others_who_write_to_the_pipe_still_block(pipe: Pipe) -> None:
    log = ExchangeLog("json", "info", pipe.stream)
    log.write(exchange(0))
    assert os.get_blocking(pipe.stream.fileno())
    log.close()


def test_lost_lines_are_counted_and_said_when_the_pipe_is_read_again(pipe: Pipe) -> None:
    log = ExchangeLog("json", "info", pipe.stream)
    buffer, number = log._buffer, 0
    while not buffer.dropped:
        log.write(exchange(number))
        number += 1
    for _ in range(4):
        log.write(exchange(-1))
    assert len(buffer.waiting) < BACKLOG_BYTES + 1_000
    found = b""
    while b"lines_lost" not in found:
        found += pipe.read()
        log.flush()
        found += pipe.read()
    assert ids(found) == [f"req_{kept}" for kept in range(number - 1)]
    assert [(line["lost"], line["level"]) for line in decoded(found) if line["event"] == "lines_lost"] == [
        (5, "warning")
    ]
    log.close()


async def test_blocked_pipe_is_tried_again_by_itself(pipe: Pipe) -> None:
    log = ExchangeLog("json", "info", pipe.stream)
    loop = asyncio.get_running_loop()
    done, found = asyncio.Event(), bytearray()

    def read() -> None:
        found.extend(pipe.read())
        if len(ids(bytes(found))) == 50:
            done.set()

    for number in range(50):
        log.write(exchange(number))
    log.flush()
    assert log._buffer.waiting
    loop.add_reader(pipe.reader, read)
    try:
        await asyncio.wait_for(done.wait(), 20)
    finally:
        loop.remove_reader(pipe.reader)
    log.close()


def test_reader_that_has_gone_costs_lines_only(pipe: Pipe) -> None:
    log = ExchangeLog("json", "info", pipe.stream)
    unread, writer = os.pipe()
    os.close(unread)
    with os.fdopen(writer, "w") as stream:
        broken = ExchangeLog("json", "info", stream)
        for number in range(3):
            broken.write(exchange(number))
        assert broken._buffer.dropped == 3
        broken.close()
    log.close()


def test_stream_closed_by_somebody_else_costs_lines_only() -> None:
    stream = io.StringIO()
    log = ExchangeLog("json", "info", stream)
    stream.close()
    log.write(exchange(0))
    log.close()
    assert log._buffer.dropped == 1


def test_descriptor_is_given_back(tmp_path: Path) -> None:
    before = open_descriptors()
    with (tmp_path / "log").open("w") as stream:
        log = ExchangeLog("json", "info", stream)
        log.write(exchange(0))
        log.close()
    assert open_descriptors() == before
    assert ids((tmp_path / "log").read_bytes()) == ["req_0"]


def test_descriptors_of_a_pipe_are_given_back(pipe: Pipe) -> None:
    before = open_descriptors()
    log = ExchangeLog("json", "info", pipe.stream)
    log.write(exchange(0))
    assert open_descriptors() == before + 1
    log.close()
    assert open_descriptors() == before


def test_full_socket_never_blocks() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("w") as stream:
        log = ExchangeLog("json", "info", stream)
        while not log._buffer.waiting:
            log.write(exchange(0))
        assert os.get_blocking(ours.fileno())
        theirs.setblocking(False)
        while log._buffer.waiting:
            theirs.recv(1 << 20)
            log.flush()
        log.close()


class Disk(Sink):
    """A sink that takes so many bytes and is full then."""

    def __init__(self, room: int) -> None:
        super().__init__(io.StringIO())
        self.room = room
        self.taken = b""

    def write(self, data: memoryview) -> int:
        part = bytes(data[: self.room])
        if not part:
            raise OSError(28, "No space left on device")
        self.room -= len(part)
        self.taken += part
        return len(part)


def test_line_cut_by_a_full_disk_does_not_swallow_the_next() -> None:
    disk = Disk(room=6)
    buffer = LineBuffer(disk, lambda lost: b"lost %d\n" % lost)
    for line in (b"one\n", b"two\n", b"three\n"):
        buffer.put(line)
    assert buffer.flush()
    buffer.put(b"four\n")
    assert buffer.flush()
    assert (disk.taken, buffer.dropped) == (b"one\ntw", 3)
    disk.room = 1_000
    buffer.put(b"five\n")
    assert buffer.flush()
    assert (disk.taken, buffer.dropped) == (b"one\ntw\nfive\nlost 3\n", 0)


def test_report_that_is_lost_itself_is_made_again() -> None:
    disk = Disk(room=0)
    buffer = LineBuffer(disk, lambda lost: b"lost %d\n" % lost)
    for line in (b"one\n", b"two\n", b"three\n"):
        buffer.put(line)
    buffer.flush()
    disk.room = 5
    buffer.put(b"four\n")
    buffer.flush()
    assert (disk.taken, buffer.dropped) == (b"four\n", 3)
    disk.room = 100
    buffer.put(b"five\n")
    buffer.flush()
    assert (disk.taken, buffer.dropped) == (b"four\nfive\nlost 3\n", 0)


def test_log_records_do_not_block_on_a_full_pipe_either(pipe: Pipe) -> None:
    setup_logging("json", "info", pipe.stream)
    logger = logging.getLogger("chatproxy")
    (handler,) = logger.handlers
    assert isinstance(handler, LineHandler)
    written = BACKLOG_BYTES // 1_000 + 100
    for number in range(written):
        logger.info("%s", "x" * 1_000, extra={"number": number})
    found = b""
    while b"were lost" not in found:
        found += pipe.read()
        handler._buffer.flush()
        found += pipe.read()
    lines = decoded(found)
    assert [line["number"] for line in lines[:-1]] == list(range(len(lines) - 1))
    assert lines[-1]["message"].startswith(f"{written - len(lines) + 1} log lines were lost")

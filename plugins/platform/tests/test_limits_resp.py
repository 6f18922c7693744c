"""Redis's protocol on the wire: answers in any pieces, credentials first, URLs of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from chatproxy_platform.config import Config
from chatproxy_platform.limits.address import parse_redis_url
from chatproxy_platform.limits.choice import counters_of
from chatproxy_platform.limits.memory import MemoryCounters
from chatproxy_platform.limits.resp import RedisError, connect

from chatproxy.errors import ConfigError


class Wire:
    """A server that says what a test wants.

    Attributes:
        heard: every byte that came.
    """

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.heard = b""
        self._answers = list(answers)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in self._answers:
            self.heard += await reader.read(1 << 16)
            for at in range(len(answer)):
                writer.write(answer[at : at + 1])
                await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(path: Path, *answers: bytes) -> AsyncIterator[Wire]:
    wire = Wire(answers)
    server = await asyncio.start_unix_server(wire.accept, path)
    try:
        yield wire
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (b"+OK\r\n", b"OK"),
        (b":-7\r\n", b"-7"),
        (b"$3\r\na\r\n\r\n", b"a\r\n"),
        (b"$0\r\n\r\n", b""),
        (b"$-1\r\n", b"-1"),
    ],
)
async def test_answer_in_single_bytes_is_understood(tmp_path: Path, answer: bytes, value: bytes) -> None:
    async with serving(tmp_path / "s", answer) as wire:
        connection = await connect(parse_redis_url(f"unix://{tmp_path / 's'}"))
        assert await connection.ask("GET", "ä") == value
        connection.close()
    assert wire.heard == b"*2\r\n$3\r\nGET\r\n$2\r\n\xc3\xa4\r\n"


@pytest.mark.parametrize("answer", [b"*1\r\n", b"$x\r\n", b"$99999999999\r\n", b"HTTP/1.1 400 Bad Request\r\n", b""])
async def test_answer_that_is_none_of_redis_ends_the_connection(tmp_path: Path, answer: bytes) -> None:
    async with serving(tmp_path / "s", answer):
        connection = await connect(parse_redis_url(f"unix://{tmp_path / 's'}"))
        with pytest.raises(ConnectionError):
            await connection.ask("PING")
        with pytest.raises(ConnectionError):
            await connection.ask("PING")
        connection.close()


async def test_more_answers_than_questions_end_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", b"+OK\r\n+OK\r\n", b"+late\r\n"):
        connection = await connect(parse_redis_url(f"unix://{tmp_path / 's'}"))
        assert await connection.ask("PING") == b"OK"
        with pytest.raises(ConnectionError):
            await connection.ask("PING")
        connection.close()


async def test_credentials_and_database_come_first(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", b"+OK\r\n", b"+OK\r\n") as wire:
        connection = await connect(parse_redis_url(f"unix://me:p%40ss@{tmp_path / 's'}?db=3"))
        connection.close()
    assert wire.heard == (b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$4\r\np@ss\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n")


async def test_refused_credentials_are_an_error(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", b"-WRONGPASS invalid\r\n"):
        with pytest.raises(RedisError, match="WRONGPASS"):
            await connect(parse_redis_url(f"unix://:secret@{tmp_path / 's'}"))


def test_url_names_everything_and_its_text_shows_no_secret() -> None:
    found = parse_redis_url("redis://me:s%3Acret@[::1]:7000/2")
    assert (found.host, found.port, found.database) == ("::1", 7000, 2)
    assert (found.username, found.password) == ("me", "s:cret")
    assert "cret" not in repr(found)
    secured = parse_redis_url("rediss://example?ssl_cert_reqs=none")
    assert (secured.port, secured.tls is not None, found.tls) == (6379, True, None)


@pytest.mark.parametrize(
    "url",
    ["http://h", "redis://", "redis://h/x", "redis://h?socket_timeout=3", "rediss://h?ssl_cert_reqs=maybe", "redis://h:x",
     "rediss://h?ssl_ca_certs=/nowhere"],
)  # fmt: skip
def test_url_of_another_kind_stops_the_start_without_showing_it(url: str) -> None:
    secret = url.replace("://h", "://:topsecret@h")
    with pytest.raises(ConfigError, match="redis_url") as caught:
        counters_of(Config(redis_url=secret))
    assert "topsecret" not in str(caught.value)


def test_without_a_url_each_process_counts_for_itself() -> None:
    assert isinstance(counters_of(Config()), MemoryCounters)

"""Another package's checks, installed as such: what a plugin author would bring; and a service that checks ask."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import pytest

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
MODULE = '''
"""Checks of another package: `probe_word` finds words, `probe_judge` judges texts."""

import asyncio

import msgspec

from chatproxy_guardrails.checks.base import CheckFailedError, CheckType, Finding, Rule


class WordOptions(msgspec.Struct, forbid_unknown_fields=True):
    words: tuple[str, ...] = ("SECRET",)


class Words:
    def __init__(self, options):
        self.rules = [Rule(kind="word", pattern=word, keywords=(word,)) for word in options.words]


class JudgeOptions(msgspec.Struct, forbid_unknown_fields=True):
    word: str = "SECRET"
    window: int | None = None
    overlap: int = 0
    act: str = ""


class Judge:
    asked = []
    present = 0
    all_there = None

    def __init__(self, options):
        self.options = options
        self.window, self.overlap = options.window, options.overlap

    async def judge(self, ctx, pieces):
        self.asked.append([piece.text for piece in pieces])
        await asyncio.sleep(0)
        if self.options.act == "fail":
            raise CheckFailedError("the service is down")
        if self.options.act == "meet":
            await self.meet()
        if self.options.act == "hang":
            await asyncio.get_running_loop().create_future()
        return [self._found(piece.text) for piece in pieces]

    async def meet(self):
        """Wait until two are here."""
        cls = type(self)
        cls.all_there = cls.all_there or asyncio.Event()
        cls.present += 1
        if cls.present == 2:
            cls.all_there.set()
        try:
            await cls.all_there.wait()
        finally:
            cls.present, cls.all_there = 0, None

    def _found(self, text):
        word, found, at = self.options.word, [], text.find(self.options.word)
        while at >= 0:
            found.append(Finding(at, at + len(word), "judged"))
            at = text.find(word, at + len(word))
        return found


WORDS = CheckType(options=WordOptions, make=Words, summary="Finds words.")
JUDGE = CheckType(options=JudgeOptions, make=Judge, summary="Judges by a word.")
NO_CHECK = 5
'''
ENTRY_POINTS = """\
[chatproxy_guardrails.checks]
probe_word = guardrails_probe:WORDS
probe_judge = guardrails_probe:JUDGE
probe_broken = guardrails_probe:NO_CHECK
probe_missing = guardrails_probe_missing:CHECK
"""


@pytest.fixture(scope="session", autouse=True)
def other_package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder another distribution with checks is installed in."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "guardrails_probe.py").write_text(MODULE)
    info = folder / "guardrails_probe-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guardrails-probe\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.append(str(folder))
    invalidate_caches()
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="session", autouse=True)
def rare_collections() -> Iterator[None]:
    """Each test makes a gateway or two, and the checks' tables make every full collection slow."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    yield
    gc.set_threshold(*before)


class Service:
    """A server on loopback: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.reply: Any = None
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.answer(reader, writer)
        finally:
            writer.close()  # also where the test ends before the question was read

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = LENGTH.search(head)
        assert found is not None
        self.heads.append(head.decode())
        self.bodies.append(await reader.readexactly(int(found[1])))
        reply = self.reply(json.loads(self.bodies[-1])) if callable(self.reply) else self.reply
        body = json.dumps(reply).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    @property
    def questions(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    own = Service()
    async with await asyncio.start_server(own.talk, "127.0.0.1", 0) as server:
        own.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/path"
        yield own

"""The chat at a terminal goes on, or ends in order, whatever is typed and whatever happens around it."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from chatproxy_sdk.cli.arguments import Options
from chatproxy_sdk.cli.conversation import Conversation, Question
from chatproxy_sdk.cli.interrupts import Interrupts
from chatproxy_sdk.cli.prompt import Prompt
from chatproxy_sdk.cli.terminal import Terminal
from chatproxy_sdk.cli.toolsets import Toolset

from ..servers import FaultServer, says, stall_after
from .conftest import Open

LATIN_1 = b"caf\xe9".decode(errors="surrogateescape")


def test_what_is_no_utf_8_can_be_typed(terminal: Open, server: FaultServer) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", base_url=server.url)

    at.types(LATIN_1, "\r")
    at.shows("fine")
    at.prompts()

    assert server.requests[0].json["messages"][0]["content"] == "caf\ufffd"


def test_a_history_that_is_taken_away_is_told_once(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", base_url=server.url)
    shutil.rmtree(tmp_path / "state")

    at.says("one")
    at.shows("fine")
    at.prompts()
    at.says("two")
    at.prompts()

    assert at.text.count("error: what is typed is not kept: No such file or directory") == 1
    assert "xception" not in at.text
    assert [one.json["messages"][-1]["content"] for one in server.requests] == ["one", "two"]


@pytest.mark.parametrize(
    "line",
    ["/image ~nobody-here/a.png", "/save ~nobody-here/a.md", "\x1b[200~/image a\0b.png\x1b[201~"],
    ids=["image of nobody", "file of nobody", "null"],
)
def test_a_path_that_cannot_be_is_told(terminal: Open, server: FaultServer, line: str) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", base_url=server.url)
    at.says("q")
    at.shows("fine")
    at.prompts()

    at.types(line, "\r")
    at.shows("error: ")
    at.prompts()


def test_a_command_s_argument_may_stand_on_the_next_line(terminal: Open, server: FaultServer) -> None:
    at = terminal("-m", "x", base_url=server.url)

    at.types("/system", "\x1b\r", "Be brief.", "\r")

    at.shows("system: Be brief.")


def test_a_terminal_that_has_not_every_letter_shows_the_others(terminal: Open, server: FaultServer) -> None:
    server.replies(says("caf\u00e9 \u2192 here"))
    at = terminal("-m", "x", base_url=server.url, PYTHONIOENCODING="ascii")

    at.says("q")
    at.shows("caf? ? here")
    at.prompts()


def test_a_window_that_is_closed_ends_the_answer(terminal: Open, server: FaultServer) -> None:
    server.replies(stall_after("half"))
    at = terminal("-m", "x", base_url=server.url)
    at.says("q")
    at.shows("half")

    assert at.vanishes() in {143, 120}  # 120: Python itself could not write what was left
    server.wait_closed()


def test_a_signal_to_end_ends_the_prompt(terminal: Open, server: FaultServer) -> None:
    at = terminal("-m", "x", base_url=server.url)

    at.signal(signal.SIGTERM)

    assert at.ends() == 143


class Hasty(Conversation):
    """One that is interrupted when an answer has just ended."""

    async def texts(self, question: Question) -> AsyncGenerator[str, None]:
        async for text in super().texts(question):
            yield text
        signal.raise_signal(signal.SIGINT)


class Once(Prompt):
    """Somebody who asks one question."""

    def __init__(self) -> None:
        self._lines = ["q"]

    async def ask(self, message: str) -> str:
        if not self._lines:
            raise EOFError
        return self._lines.pop()

    def new_problem(self) -> None:
        return None


def test_an_interrupt_at_the_very_end_keeps_the_answer_once(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    server.replies(says("fine"))

    async def talk() -> list[str]:
        conversation = Hasty(Options(model="x", base_url=server.url), Toolset())
        async with conversation.agent:
            with Interrupts() as interrupts:
                await Terminal(conversation, interrupts).talk(Once())
        return [one.text for one in conversation.agent.history]

    assert asyncio.run(talk()) == ["q", "fine"]

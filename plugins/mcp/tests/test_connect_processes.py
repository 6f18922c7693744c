"""Servers as processes: they die, hang, flood and leave children; their secrets stay their own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from chatproxy_mcp.config import Server
from chatproxy_mcp.connect.errors import (
    CallTimeoutError,
    ConnectionLostError,
    InputRefusedError,
    MessageTooLargeError,
    ServerDownError,
)
from chatproxy_mcp.connect.links import Links

from .connect_servers import (
    CALL,
    ERAS,
    LEGACY,
    Script,
    said,
    still_works,
    until,
)

Eras = pytest.mark.parametrize("era", ERAS)


async def test_a_process_that_dies_in_a_call_is_started_again_by_the_next(tmp_path: Path) -> None:
    script = Script(tmp_path)
    async with Links({"s": script.config()}) as links:
        await links.list_tools("s")
        with pytest.raises(ConnectionLostError, match="the server's process ended"):
            await links.call("s", "die", {}, **CALL)
        await still_works(links)
        assert script.notes() == ["die", "echo"]


async def test_a_process_that_ends_at_once_is_down_and_its_secrets_stay_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with Links({"s": Script(tmp_path).config(LEGACY, "dies")}) as links:
        with pytest.raises(ServerDownError, match="the server's process ended"):
            await links.call("s", "echo", {}, **CALL)
        assert links.states()["s"].status == "down"
    assert "*** is wrong" in caplog.text
    assert "secret-of-the-operator" not in caplog.text


@pytest.mark.parametrize("command", ["/does/not/exist", os.devnull], ids=["missing", "not a program"])
async def test_a_command_that_cannot_be_started_is_named(command: str) -> None:
    async with Links({"s": Server(command=command)}) as links:
        with pytest.raises(ServerDownError, match="its command cannot be started"):
            await links.call("s", "echo", {}, **CALL)


async def test_a_line_without_end_ends_the_session_and_is_named(tmp_path: Path) -> None:
    async with Links({"s": Script(tmp_path).config(max_message_bytes=1 << 20)}) as links:
        with pytest.raises(MessageTooLargeError):
            await links.call("s", "big", {}, **CALL)
        await still_works(links)


@pytest.mark.parametrize("tool", ["flood", "junk"])
async def test_notifications_without_number_and_lines_that_are_no_messages_are_borne(tmp_path: Path, tool: str) -> None:
    async with Links({"s": Script(tmp_path).config()}) as links:
        assert said(await links.call("s", tool, {}, **CALL)) == f"after the {tool}"


async def test_a_process_that_hangs_is_told_of_the_cancellation(tmp_path: Path) -> None:
    script = Script(tmp_path)
    async with Links({"s": script.config()}) as links:
        await links.list_tools("s")
        with pytest.raises(CallTimeoutError):
            await links.call("s", "hang", {}, tenant="", meta={}, timeout_s=0.5)
        await still_works(links)
        assert script.notes() == ["hang", "cancelled", "echo"]


async def test_a_process_that_reads_nothing_holds_nobody_up(tmp_path: Path) -> None:
    async with Links({"s": Script(tmp_path).config()}) as links:
        await links.call("s", "deaf", {}, **CALL)
        calls = (links.call("s", "echo", {"text": "x" * 100_000}, tenant="", meta={}, timeout_s=0.3) for _ in range(8))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [CallTimeoutError] * 8


async def test_a_question_of_a_process_is_refused(tmp_path: Path) -> None:
    async with Links({"s": Script(tmp_path).config()}) as links:
        with pytest.raises(InputRefusedError):
            await links.call("s", "ask", {}, **CALL)
        await still_works(links)


async def test_a_process_that_is_silent_about_discovery_is_initialized_in_the_same_process(tmp_path: Path) -> None:
    async with Links({"s": Script(tmp_path).config(LEGACY, "silent", connect_timeout_s=3.0)}) as links:
        await still_works(links)


async def test_a_process_gets_its_own_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAYS_OWN_KEY", "x")
    async with Links({"s": Script(tmp_path).config()}) as links:
        environment = said(await links.call("s", "environment", {}, **CALL))
    assert "GATEWAYS_OWN_KEY" not in environment
    assert "secret-of-the-operator" in environment


async def test_what_a_process_complains_of_is_logged_without_its_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="chatproxy_mcp.s")
    async with Links({"s": Script(tmp_path).config()}) as links:
        await links.call("s", "complain", {}, **CALL)
        await until(lambda: "my key is" in caplog.text)
    assert "my key is ***" in caplog.text


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("more", [(), ("unyielding",)], ids=["yielding", "unyielding"])
async def test_closing_ends_a_process_and_what_it_started(tmp_path: Path, more: tuple[str, ...]) -> None:
    async with Links({"s": Script(tmp_path).config(LEGACY, *more)}) as links:
        pids = [int(said(await links.call("s", tool, {}, **CALL))) for tool in ("pid", "child")]
        assert all(is_alive(pid) for pid in pids)
    await until(lambda: not any(is_alive(pid) for pid in pids))

"""``chatproxy audit verify|export|tail``."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from chatproxy_platform.audit.commands import audit_command, run
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.store import append
from chatproxy_platform.config import Config, DatabaseConfig
from chatproxy_platform.storage.database import Database
from sqlalchemy import text

MAKES_TABLES = True

ROWS = 1100


def audit(url: str, *arguments: str) -> int:
    """The exit code of ``chatproxy audit …``."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    command = audit_command()
    assert command.configure is not None
    command.configure(parser)
    args = parser.parse_args(arguments)
    args.plugin_config = Config(database_url=url, database=DatabaseConfig(deadline_s=5.0))
    return run(args)


@pytest.fixture
def log_url(database_url: str) -> str:
    """A database with an audit log."""
    asyncio.run(_fill(database_url))
    return database_url


async def _fill(url: str) -> None:
    database = Database(url)
    await database.create()
    async with database.write(durable=True) as session:
        await append(
            session, [AuditEvent("key.created", "key", f"k\x1b{n}", "ann", "acme", {"n": n}) for n in range(ROWS)]
        )
    await database.aclose()


async def _force(url: str, statement: str) -> None:
    database = Database(url)
    async with database.engines.write.begin() as connection:
        if database.is_sqlite:
            await connection.execute(text("DROP TRIGGER platform_audit_delete"))
        else:
            await connection.execute(text("ALTER TABLE platform_audit DISABLE TRIGGER ALL"))
        await connection.execute(text(statement))
    await database.aclose()


def test_verify_of_a_whole_log_succeeds_and_gives_an_anchor(log_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(log_url, "verify") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{ROWS} rows are as they were written; the last is {ROWS}:")
    anchor = said.split()[-1]
    assert audit(log_url, "verify", "--anchor", anchor, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["intact"], shown["rows"], shown["fault"]) == (True, ROWS, None)
    assert audit(log_url, "verify", "--anchor", f"5:{'0' * 64}") == 1


def test_verify_names_the_first_bad_row(log_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_force(log_url, "DELETE FROM platform_audit WHERE seq IN (1050, 1051)"))
    assert audit(log_url, "verify") == 1
    said = capsys.readouterr().out
    assert said.startswith("Rows 1050 to 1051 are missing. [missing]\nBefore it, 1049 rows are as they were written")
    assert audit(log_url, "verify", "--json") == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["intact"], shown["fault"]["seq"], shown["fault"]["kind"]) == (False, 1050, "missing")


def test_export_writes_every_row(log_url: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    target = tmp_path / "audit.jsonl"
    assert audit(log_url, "export", "--output", str(target)) == 0
    shown = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert [line["seq"] for line in shown] == list(range(1, ROWS + 1))
    assert audit(log_url, "export") == 0
    assert capfdbinary.readouterr().out == target.read_bytes()


def test_export_overwrites_nothing(log_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "audit.jsonl"
    target.write_text("mine")
    assert audit(log_url, "export", "--output", str(target)) == 2
    assert "audit.jsonl" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_tail_shows_the_last_rows_harmless_for_a_terminal(log_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(log_url, "tail", "-n", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["key.created", "key", f"k·{n}", "by", "ann", "acme", f'{{"n":{n}}}'] for n in (ROWS - 2, ROWS - 1)
    ]
    assert audit(log_url, "tail", "-n", "1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["seq"], shown["resource_id"]) == (ROWS, f"k\x1b{ROWS - 1}")


@pytest.mark.parametrize(
    "arguments",
    [["verify", "--anchor", "x"], ["tail", "-n", "0"], ["tail", "-n", "-1"], ["tail", "-n", "1000000000"], []],
    ids=["anchor", "none", "negative", "too many", "no action"],
)
def test_wrong_arguments_are_refused(arguments: list[str], sqlite_url: str) -> None:
    with pytest.raises(SystemExit) as refused:
        audit(sqlite_url, *arguments)
    assert refused.value.code == 2


@pytest.mark.parametrize("action", ["verify", "export", "tail"])
def test_database_that_cannot_be_read_has_an_exit_code_of_its_own(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit("postgresql+psycopg://nobody:hidden@127.0.0.1:1/none", action) == 2
    said = capsys.readouterr().err
    assert said.startswith("chatproxy audit: ")
    assert "hidden" not in said


@pytest.mark.timeout(240)  # a process takes long to start on a busy machine
def test_command_line_uses_the_configured_database(sqlite_url: str, tmp_path: Path) -> None:
    asyncio.run(_fill(sqlite_url))
    config = tmp_path / "chatproxy.toml"
    config.write_text(f'[plugins]\nenabled = ["platform"]\n[plugins.platform]\ndatabase_url = "{sqlite_url}"\n')
    command = [sys.executable, "-m", "chatproxy", "audit", "verify", "--json", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["rows"] == ROWS

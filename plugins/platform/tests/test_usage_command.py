"""``chatproxy usage`` at the terminal."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chatproxy_platform.config import Config
from chatproxy_platform.storage.database import Database
from chatproxy_platform.usage.commands import usage_command

from .usages import NOWHERE, exchange, recorder, somebody

MAKES_TABLES = True


@pytest.fixture
def used(database_url: str, tmp_path: Path) -> Config:
    """A configuration whose database holds some usage."""

    async def use() -> None:
        database = Database(database_url)
        await database.create()
        found = recorder(database, tmp_path / "spool")
        for model in ("gpt-4o", "gpt-4o", "tür\x1b[31m"):
            found.record(exchange(model=model), somebody(), 1_234_567)
        await found.aclose()
        await database.aclose()

    asyncio.run(use())
    return Config(database_url=database_url)


def run(config: Config, *arguments: str) -> int:
    command = usage_command()
    parser = argparse.ArgumentParser()
    assert command.configure is not None
    command.configure(parser)
    args = parser.parse_args(arguments)
    args.plugin_config = config
    return command.run(args)


def test_table_shows_sums_and_their_total(used: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(used, "--by", "model") == 0
    head, first, second, total = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "model", "requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens",
        "cost_usd",
    ]  # fmt: skip
    assert first.split() == ["gpt-4o", "2", "0", "20", "10", "30", "0", "0.002469"]
    assert second.split()[0] == "tür·[31m"
    assert total.split() == ["total", "3", "0", "30", "15", "45", "0", "0.003704"]


def test_csv_and_json_hold_the_same(used: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(used, "--by", "day,user", "--csv") == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[1:] == ["2026-11-21,u1,3,0,30,15,45,0,3703701,0.003703701"]
    assert run(used, "--by", "day,user", "--json") == 0
    found: Any = msgspec.json.decode(capsys.readouterr().out)
    assert (found["rows"][0]["cost_nanousd"], found["count"]) == (3_703_701, 1)


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [
        (("--model", "gpt-4o"), 2),
        (("--key", "k1", "--user", "u1", "--organization", "o1"), 3),
        (("--from", "2026-11-22"), 0),
        (("--to", "2026-11-21"), 3),
    ],
    ids=str,
)
def test_filters_apply(
    used: Config, arguments: tuple[str, ...], requests: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(used, "--json", *arguments) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["total"]["requests"] == requests


def test_rows_that_are_not_shown_are_told(used: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(used, "--by", "model", "--limit", "1") == 0
    assert "1 of 2 rows" in capsys.readouterr().out


def test_everything_is_one_row(used: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(used, "--by", "") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["requests", "3"]


def test_wrong_name_is_told_and_nothing_is_shown(used: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(used, "--by", "hour") == 2
    shown = capsys.readouterr()
    assert (shown.out, "hour" in shown.err) == ("", True)


def test_database_that_is_down_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Config(database_url=NOWHERE)) == 2
    assert "not available" in capsys.readouterr().err


def test_database_without_tables_is_told(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Config(database_url=database_url)) == 2
    assert capsys.readouterr().err.startswith("chatproxy usage: ")

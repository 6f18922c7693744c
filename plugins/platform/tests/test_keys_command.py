"""``chatproxy keys``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from chatproxy_platform.config import Config
from chatproxy_platform.identity.commands import keys_command

from .keyed import key_id

MAKES_TABLES = True

SETTINGS = '[plugins]\nenabled = ["platform"]\n[plugins.platform]\ndatabase_url = "sqlite:///platform.db"\n'


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Keys:
    """The command, with a database of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        self._command = keys_command()
        self._parser = argparse.ArgumentParser()
        assert self._command.configure is not None
        self._command.configure(self._parser)

    def __call__(self, *arguments: str) -> Done:
        args = self._parser.parse_args(arguments)
        args.plugin_config = msgspec.convert({"database_url": f"sqlite:///{self.directory}/platform.db"}, Config)
        code = self._command.run(args)
        return Done(code, *self._capsys.readouterr())


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    return Keys(tmp_path, capsys)


def test_life_of_a_key(keys: Keys) -> None:
    made = keys("create", "--user", "ann", "--organization", "acme", "--model", "gpt-*", "--budget-usd", "5")
    assert made.code == 0, made.err
    text = made.out.strip()
    assert text not in made.err
    assert f"{key_id(text)}  active    user            -  user=ann  organization=acme  expires=never" in made.err
    rotated = json.loads(keys("rotate", key_id(text), "--json").out)
    assert rotated["key"].startswith(f"cp_{key_id(text)}_")
    assert (rotated["budget"], rotated["models"]) == ({"usd": 5.0, "period": "month"}, ["gpt-*"])
    assert "disabled" in keys("disable", key_id(text)).out
    assert "active" in keys("enable", key_id(text)).out
    assert "revoked" in keys("revoke", key_id(text)).out
    assert keys("list").out == ""
    (shown,) = keys("list", "--all", "--user", "ann").out.splitlines()
    assert shown.startswith(f"{key_id(text)}  revoked")


def test_list_has_every_key(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy_platform.identity.commands.PAGE", 2)
    made = {key_id(keys("create").out.strip()) for _ in range(5)}
    assert {json.loads(line)["id"] for line in keys("list", "--json").out.splitlines()} == made


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["revoke", "nothing"], 1, "No such key."),
        (["create", "--tokens-per-day", "0"], 2, ">= 1"),
        (["create", "--expires-at", "tomorrow"], 2, "RFC3339"),
        (["create", "--expires-in-days", "9999999999"], 2, "--expires-in-days"),
        (["create", "--role", "org_admin"], 1, "organization"),
        (["create", "--budget-usd", "1e300"], 1, "'budget' must not be more than"),
        (["create", "--expires-in-days", "-1"], 1, "in the past"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said(keys: Keys, arguments: list[str], code: int, says: str) -> None:
    done = keys(*arguments)
    assert (done.code, done.out) == (code, "")
    assert says in done.err


def test_keys_are_not_made_with_another_pepper(keys: Keys) -> None:
    assert keys("create", "--role", "platform_admin").code == 0
    (keys.directory / "chatproxy-pepper").write_text("another pepper, which is long enough\n")
    refused = keys("create")
    assert refused.code == 2
    assert "another pepper" in refused.err


def test_command_is_found_and_writes_the_key_alone_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text(SETTINGS)
    command = [sys.executable, "-m", "chatproxy", "keys", "create", "--name", "ci", "--config", "chatproxy.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cp_")
    assert len(done.stdout.split()) == 1

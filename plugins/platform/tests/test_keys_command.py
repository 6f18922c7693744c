"""``chatproxy keys``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .keyed import key_id

SETTINGS = '[plugins]\nenabled = ["platform"]\n[plugins.platform]\ndatabase_url = "sqlite:///platform.db"\n'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "chatproxy.toml").write_text(SETTINGS)
    return tmp_path


def keys(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chatproxy", "keys", *arguments, "--config", "chatproxy.toml"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory, timeout=50)


def test_life_of_a_key(directory: Path) -> None:
    made = keys(directory, "create", "--user", "ann", "--organization", "acme", "--model", "gpt-*", "--budget-usd", "5")
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    assert text not in made.stderr
    assert f"{key_id(text)}  active    user            -  user=ann  organization=acme  expires=never" in made.stderr
    rotated = keys(directory, "rotate", key_id(text), "--json")
    assert json.loads(rotated.stdout)["key"].startswith(f"cp_{key_id(text)}_")
    assert json.loads(rotated.stdout)["budget"] == {"usd": 5.0, "period": "month"}
    assert "disabled" in keys(directory, "disable", key_id(text)).stdout
    assert "active" in keys(directory, "enable", key_id(text)).stdout
    assert "revoked" in keys(directory, "revoke", key_id(text)).stdout
    assert keys(directory, "list").stdout == ""
    (shown,) = keys(directory, "list", "--all", "--user", "ann").stdout.splitlines()
    assert shown.startswith(f"{key_id(text)}  revoked")


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
def test_what_cannot_be_done_is_said(directory: Path, arguments: list[str], code: int, says: str) -> None:
    done = keys(directory, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_are_not_made_with_another_pepper(directory: Path) -> None:
    assert keys(directory, "create", "--role", "platform_admin").returncode == 0
    (directory / "chatproxy-pepper").write_text("another pepper, which is long enough\n")
    refused = keys(directory, "create")
    assert refused.returncode == 2
    assert "another pepper" in refused.stderr

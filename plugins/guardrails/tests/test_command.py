"""``chatproxy guardrails test``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

POLICIES = """
[[policy]]
name = "mail"
check = "pii"
action = "redact"
options = { entities = ["email"] }

[[policy]]
name = "falcon"
check = "keywords"
options = { words = ["falcon"] }
on = ["input"]
"""


def guardrails(tmp_path: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    policies = tmp_path / "p.toml"
    policies.write_text(POLICIES)
    command = [sys.executable, "-m", "chatproxy", "guardrails", "test", "--policy", str(policies), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=50)


def test_every_finding_is_shown_with_its_place(tmp_path: Path) -> None:
    done = guardrails(tmp_path, "Hello,\nwrite to me@posteo.de now", "-")
    assert done.returncode == 0, done.stderr
    assert "policy mail (pii, redact, enforce): 1 finding" in done.stdout
    assert "2:10 email: write to »me@posteo.de« now" in done.stdout
    assert "policy falcon (keywords, block, enforce): nothing found" in done.stdout
    assert done.stdout.endswith("Hello,\nwrite to [REDACTED:email] now\n")


def test_blocked_text_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    done = guardrails(tmp_path, "the falcon flies", "-", "--color", "always")
    assert done.returncode == 1
    assert "the \x1b[1;31mfalcon\x1b[0m flies" in done.stdout
    assert done.stdout.endswith("result: blocked\n")


def test_json_says_the_same(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("me@posteo.de", encoding="utf-8")
    done = guardrails(tmp_path, "", str(text), "--json", "--on", "output")
    shown = json.loads(done.stdout)
    assert (shown["blocked"], shown["result"]) == (False, "[REDACTED:email]")
    assert [policy["findings"] for policy in shown["policies"]] == [[{"start": 0, "end": 12, "kind": "email"}]]


def test_policies_of_the_configuration_are_tested_without_others(tmp_path: Path) -> None:
    config = tmp_path / "chatproxy.toml"
    config.write_text(
        '[plugins]\nenabled = ["guardrails"]\n' + POLICIES.replace("[[policy]]", "[[plugins.guardrails.policy]]")
    )
    command = [sys.executable, "-m", "chatproxy", "guardrails", "test", "--config", str(config), "-"]
    done = subprocess.run(command, input="a falcon", capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stderr) == (1, "")
    assert "policy falcon (keywords, block, enforce): 1 finding" in done.stdout


def test_value_in_escapes_is_found(tmp_path: Path) -> None:
    done = guardrails(tmp_path, '{"to": "me\\u0040posteo.de"}', "-", "--on", "tool_arguments")
    assert (done.returncode, done.stderr) == (0, "")
    assert '{"to": "[REDACTED:email]"}' in done.stdout


@pytest.mark.parametrize("arguments", [["missing.txt"], ["-", "--policy", "missing.toml"]], ids=["file", "policy"])
def test_what_cannot_be_read_is_said(tmp_path: Path, arguments: list[str]) -> None:
    done = guardrails(tmp_path, "", *arguments)
    assert done.returncode == 2
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr

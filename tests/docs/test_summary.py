""".ci/summary.py adds up what ran, and lets nothing pass that failed, was skipped or did not run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT
from .test_repository import environments

REPORT = '<testsuites><testsuite tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"/></testsuites>'
NAMES = environments()["env_list"].split(", ")


def summary(folder: Path, codes: dict[str, int], **reports: str) -> tuple[int, str]:
    """Exit code and last line, for environments that ended with these codes and left these reports."""
    result = {name: {"test": [{"retcode": code}]} for name, code in codes.items()}
    (folder / "result.json").write_text(json.dumps({"testenvs": {".pkg": {}, "bench": {}, **result}}), encoding="utf-8")
    for name, report in reports.items():
        (folder / f"{name}.xml").write_text(report, encoding="utf-8")
    argv = [sys.executable, ".ci/summary.py", str(folder / "result.json"), str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


def test_what_passed_is_added_up(tmp_path: Path) -> None:
    core = REPORT.format(tests=30, failures=0, skipped=0)
    assert summary(tmp_path, dict.fromkeys(NAMES, 0), core=core) == (0, f"{30 + len(NAMES) - 1} passed, 0 failed")


@pytest.mark.parametrize(
    "bad", [{"failures": 2, "skipped": 0}, {"failures": 0, "skipped": 2}], ids=["failed", "skipped"]
)
def test_what_failed_or_was_skipped_is_failed(tmp_path: Path, bad: dict[str, int]) -> None:
    core = REPORT.format(tests=30, **bad)
    assert summary(tmp_path, dict.fromkeys(NAMES, 0), core=core) == (1, f"{28 + len(NAMES) - 1} passed, 2 failed")


def test_environment_without_tests_counts_once(tmp_path: Path) -> None:
    codes = {**dict.fromkeys(NAMES, 0), "lint": 1}
    assert summary(tmp_path, codes) == (1, f"{len(NAMES) - 1} passed, 1 failed")


def test_environment_that_did_not_run_is_failed(tmp_path: Path) -> None:
    codes = dict.fromkeys(NAMES[1:], 0)
    assert summary(tmp_path, codes) == (1, f"{len(NAMES) - 1} passed, 1 failed")


def test_run_that_left_no_result_is_failed(tmp_path: Path) -> None:
    argv = [sys.executable, ".ci/summary.py", str(tmp_path / "none.json"), str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, f"0 passed, {len(NAMES)} failed")

"""Add up what the environments of a tox run counted, and print it as one line: ``N passed, N failed``.

A test that was skipped or expected to fail counts as failed, because nothing may be left out here. An environment
counts as one test where it runs none, and as failed where it failed without a failed test.
"""

from __future__ import annotations

import configparser
import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET  # read from files that pytest has just written

COUNTED = ("failures", "errors", "skipped")


def counts(report: Path) -> tuple[int, int]:
    """Passed and failed tests of a JUnit report."""
    passed = failed = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - pytest's own output
        bad = sum(int(suite.get(kind, "0")) for kind in COUNTED)
        passed += int(suite.get("tests", "0")) - bad
        failed += bad
    return passed, failed


def has_failed(environment: dict[str, list[dict[str, int]]]) -> bool:
    """Whether a command of the environment failed, or none was run."""
    commands = environment.get("test", [])
    return not commands or any(command["retcode"] for command in commands)


def wanted() -> list[str]:
    """The environments that a run without arguments has, by ``tox.ini``."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read("tox.ini", encoding="utf-8")
    return parser["tox"]["env_list"].replace(",", " ").split()


def main(result: Path, reports: Path) -> int:
    """Print a line for each environment and the sum; returns the exit code."""
    passed = failed = 0
    environments = json.loads(result.read_text(encoding="utf-8"))["testenvs"] if result.is_file() else {}
    for name in wanted():
        report = reports / f"{name}.xml"
        good, bad = counts(report) if report.is_file() else (0, 0)
        if has_failed(environments.get(name, {})):
            bad = max(bad, 1)
        elif good + bad == 0:
            good = 1
        print(f"{name}: {good} passed, {bad} failed")
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

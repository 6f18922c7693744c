"""The conformance suite of the protocol, with the gateway as the client under test.

Scenarios run at the wire version of their set of requirements; what the gateway does not do stands in `FAILURES` and
`NOT_RUN` with the reason, and nothing that a set requires is missing from these tables.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conforming import waiting
from .servers import NodeParts

CLIENT = Path(__file__).parent / "conformance_client.py"
SUITE_TIMEOUT_S = 40
AT_ONCE = 2

RUN = {
    "2025-11-25": [
        *("initialize", "tools_call", "sse-retry", "json-schema-2020-12-preservation"),
        "elicitation-sep1034-client-defaults",
    ],
    "2026-07-28": [
        *("tools_call", "request-metadata", "http-standard-headers", "http-custom-headers"),
        *("http-invalid-tool-headers", "json-schema-ref-no-deref", "json-schema-2020-12-preservation"),
        *("sep-2322-client-request-state", "auth/client-credentials-basic"),
    ],
}
DEFAULTS = ("general", "string-default", "integer-default", "number-default", "enum-default", "boolean-default")
FAILURES = {
    # A schema's own address says nothing to a model, and some upstreams refuse it: see `catalogue.offer`.
    "json-schema-2020-12-preservation": {"json-schema-2020-12-client-$schema-preserved"},
    # Nobody is there to be asked: such a call ends with an error that says so, see `InputRefusedError`.
    "elicitation-sep1034-client-defaults": {f"client-elicitation-sep1034-{name}" for name in DEFAULTS},
    "sep-2322-client-request-state": {
        "sep-2322-client-request-state-echoed",
        "sep-2322-client-jsonrpc-id-different",
        "sep-2322-client-no-state-omitted",
    },
}
ASKING = [("2025-11-25", "elicitation-sep1034-client-defaults"), ("2026-07-28", "sep-2322-client-request-state")]
NOT_RUN = {
    r"auth/(?!client-credentials-basic).*": "a person logs in by a browser, or keys that are not configurable; the "
    "gateway has client credentials with a secret",
}
REQUIRED = re.compile(r"^client:\n((?:  - \S+\n)+)", re.MULTILINE)
CASES = [(version, scenario) for version, scenarios in RUN.items() for scenario in scenarios]


@dataclass(frozen=True)
class Outcome:
    """How a scenario ended."""

    exit_code: int
    log: str
    checks: list[dict[str, Any]]
    told: dict[str, Any]

    def having(self, status: str) -> set[str]:
        """The ids of checks that ended in this way."""
        return {check["id"] for check in self.checks if check["status"] == status}


Outcomes = dict[tuple[str, str], "Future[Outcome]"]


@pytest.fixture(scope="module")
def outcomes(node_parts: NodeParts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """Every scenario, some at the same time."""
    folder = tmp_path_factory.mktemp("conformance")
    with waiting(folder) as port, ThreadPoolExecutor(AT_ONCE) as pool:
        command = f"{sys.executable} -I -S {CLIENT} {port}"
        yield {case: pool.submit(_outcome, node_parts, command, folder / "-".join(case), *case) for case in CASES}


def _outcome(parts: NodeParts, command: str, folder: Path, version: str, scenario: str) -> Outcome:
    of_version = [] if scenario.startswith("auth/") else ["--spec-version", version]  # extensions have none
    which = ["--scenario", scenario, *of_version]
    folder.mkdir(parents=True)
    argv = [parts.node, parts.script("conformance"), "client", "--command", command, *which, "--output-dir", folder]
    done = _finished(argv, folder)
    (checks,) = folder.rglob("checks.json")
    told = (checks.parent / "stdout.txt").read_bytes()
    log = f"{done.stdout}{done.stderr}{(checks.parent / 'stderr.txt').read_text()}"
    return Outcome(done.returncode, log, json.loads(checks.read_bytes()), json.loads(told or b"{}"))


def _finished(argv: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; the kernel once refused to start Node, which it had just started three times."""
    for is_last in (False, False, True):
        try:
            return subprocess.run(
                argv, capture_output=True, text=True, check=False, cwd=folder, timeout=SUITE_TIMEOUT_S
            )
        except OSError as error:
            if is_last or isinstance(error, FileNotFoundError | PermissionError):
                raise
    raise AssertionError("unreachable")


@pytest.mark.parametrize(("version", "scenario"), CASES, ids=map(" ".join, CASES))
def test_scenario_fails_in_nothing_but_what_is_known(outcomes: Outcomes, version: str, scenario: str) -> None:
    outcome, known = outcomes[version, scenario].result(), FAILURES.get(scenario, set())
    assert outcome.having("FAILURE") | outcome.having("WARNING") == known, outcome.log
    assert outcome.having("SUCCESS") or known
    assert outcome.exit_code == (1 if known else 0), outcome.log


@pytest.mark.parametrize(("version", "scenario"), ASKING, ids=map(" ".join, ASKING))
def test_model_is_told_that_a_tool_asked_the_user(outcomes: Outcomes, version: str, scenario: str) -> None:
    told = outcomes[version, scenario].result().told
    assert any("asked the user for input" in said for said in told.values()), told


def test_every_required_scenario_is_accounted_for(node_parts: NodeParts) -> None:
    sets = Path(node_parts.script("conformance")).parents[1] / "requirements"
    required = {path.stem: REQUIRED.search(path.read_text()) for path in sets.glob("*.yaml")}
    assert required.keys() == RUN.keys()
    for version, found in required.items():
        assert found is not None
        names = {line.removeprefix("  - ") for line in found[1].splitlines()}
        left = names - set(RUN[version])
        assert [name for name in left if not any(re.fullmatch(glob, name) for glob in NOT_RUN)] == []

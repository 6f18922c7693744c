"""``schemathesis`` against the gateway's own OpenAPI document: no answer is a server error, each is as described."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
)
COMMAND = "from schemathesis.cli import schemathesis; schemathesis()"


@pytest.fixture(scope="module")
def report(demo: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The machine-readable report of one run over every operation, and what was printed."""
    folder = tmp_path_factory.mktemp("schemathesis")
    path = folder / "report.json"
    location = f"{demo.removesuffix('/v1')}/schema/openapi.json"
    options = ["--max-examples", "15", "--seed", "20", "--generation-database", "none", "--no-color"]
    reports = ["--report", "json", "--report-json-path", str(path)]
    argv = [sys.executable, "-c", COMMAND, "run", location, "--checks", ",".join(CHECKS), *options, *reports]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=170, check=False)
    assert path.exists(), done.stdout + done.stderr
    return json.loads(Path(path).read_text(encoding="utf-8")), done.stdout


def test_every_operation_was_tried(report: tuple[dict[str, Any], str]) -> None:
    found, printed = report

    assert found["complete"], printed
    assert found["operations"]["tested"] == found["operations"]["total"] >= 30, printed
    assert found["test_cases"]["generated"] > 100, printed
    assert found["errors"] == [], printed


def test_no_answer_breaks_the_description(report: tuple[dict[str, Any], str]) -> None:
    found, printed = report

    assert found["failures"] == [], printed
    assert found["exit_code"] == 0, printed

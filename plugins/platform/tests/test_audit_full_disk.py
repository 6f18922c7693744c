"""A full disk: what the policy says is done, nothing is silent, and all goes on when there is room again (D-02)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig
from chatproxy_platform.storage.database import Database

pytestmark = pytest.mark.timeout(240)  # processes take long to start on a busy machine
SCRIPT = Path(__file__).with_name("audit_full_disk.py")


async def fill(url: str, tmp_path: Path, policy: str, limit_bytes: int) -> tuple[dict[str, Any], str, list[str]]:
    """What the process said, its log, and the rows that are stored in a whole chain."""
    database = Database(url)
    await database.create()
    command = [sys.executable, str(SCRIPT), url, str(tmp_path / "spool"), policy, str(limit_bytes)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    log = AuditLog(database, AuditConfig())
    verdict = await log.check()
    assert verdict.fault is None
    rows = [row.resource_id or "" for row in await log.tail(100)]
    await database.aclose()
    return json.loads(done.stdout), done.stderr, rows


async def test_acts_are_refused_while_the_disk_is_full(sqlite_url: str, tmp_path: Path) -> None:
    said, errors, rows = await fill(sqlite_url, tmp_path, "refuse", 0)
    report = said.pop("report")
    assert said == {
        "before": "recorded",
        "full": "refused",
        "appended": "refused",
        "again": "refused",
        "last": "refused",
        "after": "recorded",
    }
    assert (report["state"], report["refused"], report["lost"]) == ("failing", 3, 0)
    assert "the audit log cannot be written, policy refuse" in errors
    assert '"resource_id":"noted"' in errors
    assert sorted(rows) == ["after", "before", "noted"]


async def test_acts_go_on_where_the_policy_is_to_degrade(sqlite_url: str, tmp_path: Path) -> None:
    """Neither the database nor the spool takes a row: it is in memory, and complete in the log."""
    said, errors, rows = await fill(sqlite_url, tmp_path, "degrade", 0)
    report = said.pop("report")
    assert said == {
        "before": "recorded",
        "full": "recorded",
        "appended": "refused",
        "again": "recorded",
        "last": "recorded",
        "after": "recorded",
    }
    assert (report["state"], report["waiting_in_memory"], report["lost"]) == ("failing", 4, 0)
    assert errors.count("audit row kept in memory only") == 4
    assert sorted(rows) == ["after", "again", "before", "full", "last", "noted"]


@pytest.mark.parametrize("policy", ["refuse", "degrade"])
async def test_rows_wait_in_the_spool_while_only_the_database_is_full(
    sqlite_url: str, tmp_path: Path, policy: str
) -> None:
    said, errors, rows = await fill(sqlite_url, tmp_path, policy, 16_000)
    degraded = 3 if policy == "degrade" else 0
    assert said["full"] == said["again"] == ("recorded" if degraded else "refused")
    assert (said["report"]["waiting_in_spool"], said["report"]["waiting_in_memory"]) == (1 + degraded, 0)
    assert "kept in memory" not in errors
    assert sorted(rows) == sorted(["before", "after", "noted"] + ["full", "again", "last"] * (degraded > 0))

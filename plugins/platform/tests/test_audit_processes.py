"""Several processes append at once, and processes die while they do: no acknowledged row is lost (D-01)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from chatproxy_platform.audit.events import Entry
from chatproxy_platform.audit.reading import AuditReader
from chatproxy_platform.storage.database import Database

pytestmark = pytest.mark.timeout(240)  # processes take long to start on a busy machine
SCRIPT = Path(__file__).with_name("audit_process.py")


@contextmanager
def process(url: str, *, tasks: int, rows: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process that appends; it does not outlive the block."""
    command = [sys.executable, str(SCRIPT), url, str(tasks), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


async def rows_of(reader: AuditReader) -> list[Entry]:
    """All rows, the oldest first."""
    return [row async for batch in reader.batches() for row in batch]


async def test_processes_that_append_at_once_make_one_chain(database: Database, database_url: str) -> None:
    acknowledged: set[str] = set()
    with ExitStack() as stack:
        running = [stack.enter_context(process(database_url, tasks=4, rows=12)) for _ in range(3)]
        for each in running:
            out, err = each.communicate(timeout=120)
            assert (each.returncode, err) == (0, "")
            acknowledged |= set(out.split())
    reader = AuditReader(database)
    assert len(acknowledged) == 3 * 4 * 12
    assert {row.id for row in await rows_of(reader)} == acknowledged
    assert (await reader.verify()).fault is None


@pytest.mark.parametrize("acknowledgements", [40])
async def test_acknowledged_rows_outlive_kill_9(database: Database, database_url: str, acknowledgements: int) -> None:
    with process(database_url, tasks=8) as running:
        assert running.stdout is not None
        acknowledged = [running.stdout.readline() for _ in range(acknowledgements)]
        running.kill()
        acknowledged += running.stdout.readlines()
    ids = {line.strip() for line in acknowledged if line.endswith("\n")}
    reader = AuditReader(database)
    rows = await rows_of(reader)
    assert len(ids) >= acknowledgements
    assert ids <= {row.id for row in rows}
    verdict = await reader.verify()
    assert (verdict.rows, verdict.fault) == (len(rows), None)

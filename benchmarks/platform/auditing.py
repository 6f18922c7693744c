"""The audit log alone: ``python -m benchmarks.platform.auditing '{…}'`` says in JSON how many rows it takes."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig, DatabaseConfig
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import prepare
from chatproxy_platform.storage.spool import Spool

from benchmarks.platform.results import Audited

_SYNCS = 200
_SPOOL_BYTES = 1 << 20


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How many write at once, and for how long."""

    engine: str
    url: str
    writers: int
    run_s: float


async def audited(plan: Plan, folder: Path) -> Audited:
    """Write rows, each writer one after the other; then read them all and check the chain."""
    database = Database(plan.url, DatabaseConfig(deadline_s=30))
    await database.open(prepare)
    spool = Spool(folder, _SPOOL_BYTES)
    await spool.open()
    log = AuditLog(database, AuditConfig(), spool)
    await log.open()
    before = (await log.check()).rows
    begin_s, cpu_s = time.perf_counter(), time.process_time()
    deadline_s = begin_s + plan.run_s

    async def write(number: int) -> int:
        count = 0
        while time.perf_counter() < deadline_s:
            metadata = {"name": "benchmark", "count": count}
            await log.record(AuditEvent("key.created", "key", f"key_{number}_{count}", "ann", "company", metadata))
            count += 1
        return count

    written = sum(await asyncio.gather(*(write(number) for number in range(plan.writers))))
    took_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - cpu_s
    verdict = await log.check()
    await log.aclose()
    await spool.aclose()
    await database.aclose()
    return Audited(
        engine=plan.engine,
        writers=plan.writers,
        rows_per_s=written / took_s,
        cpu_us=cpu_s / max(written, 1) * 1e6,
        syncs_per_s=syncs_per_s(folder),
        missing=max(0, before + written - verdict.rows),
        fault="" if verdict.fault is None else str(verdict.fault),
    )


def syncs_per_s(folder: Path) -> float:
    """How often a second a few bytes can be appended to a file and synced."""
    with (folder / "synced").open("ab") as file:
        begin_s = time.perf_counter()
        for _ in range(_SYNCS):
            file.write(b"x" * 300)
            file.flush()
            os.fdatasync(file.fileno())
        return _SYNCS / (time.perf_counter() - begin_s)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-audit-") as place:
        found = asyncio.run(audited(msgspec.json.decode(sys.argv[1], type=Plan), Path(place)))
    print(msgspec.json.encode(found).decode())

"""A process whose disk is full for a while, for tests: ``audit_full_disk.py URL SPOOL POLICY LIMIT_BYTES``.

No file can grow beyond the limit in the meantime (``RLIMIT_FSIZE``); a write beyond it fails as one on a full disk
does. What happened is written to standard output as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any, Literal

from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig, DatabaseConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool


def set_limit(size_bytes: int) -> None:
    """Of every file that is written from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))


async def record(log: AuditLog, name: str) -> str:
    try:
        await log.record(AuditEvent("key.created", "key", name, metadata={"text": "x" * 3000}))
    except StorageUnavailable:
        return "refused"
    return "recorded"


async def append(database: Database, log: AuditLog, name: str) -> str:
    try:
        async with database.write(durable=True) as session:
            await log.append(session, AuditEvent("key.created", "key", name, metadata={"text": "x" * 3000}))
    except StorageUnavailable:
        return "refused"
    return "recorded"


async def run(url: str, spool_dir: str, policy: Literal["refuse", "degrade"], limit_bytes: int) -> dict[str, Any]:
    database = Database(url, DatabaseConfig(failures_to_open=1000))
    spool = Spool(spool_dir, 1 << 20)
    await spool.open()
    log = AuditLog(database, AuditConfig(on_failure=policy), spool)
    await log.open()
    said: dict[str, Any] = {"before": await record(log, "before")}
    set_limit(limit_bytes)
    said |= {"full": await record(log, "full"), "appended": await append(database, log, "appended")}
    log.note(AuditEvent("authentication.refused", "key", "noted", metadata={"text": "x" * 3000}))
    said |= {"again": await record(log, "again"), "last": await record(log, "last"), "report": log.report()}
    set_limit(resource.RLIM_INFINITY)
    said |= {"after": await record(log, "after")}
    await log.aclose()
    await spool.aclose()
    await database.aclose()
    return said


if __name__ == "__main__":
    outcome = asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))  # type: ignore[arg-type]
    sys.stdout.write(json.dumps(outcome))

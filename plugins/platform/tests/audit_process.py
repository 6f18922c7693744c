"""A process that appends to the audit log, for tests: ``audit_process.py URL TASKS ROWS``.

Each task writes one row after the other, alone and within a transaction of its own in turn, and says the row's id on
standard output when it is acknowledged. ROWS 0: until it is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig, DatabaseConfig
from chatproxy_platform.storage.database import Database


async def write(database: Database, log: AuditLog, task: int, rows: int) -> None:
    for number in itertools.count() if rows == 0 else range(rows):
        event = AuditEvent("key.created", "key", f"key-{number}", f"user-{task}", metadata={"pid": os.getpid()})
        if number % 4:
            await log.record(event)
        else:
            async with database.write(durable=True) as session:
                await log.append(session, event)
        os.write(1, f"{event.id}\n".encode())


async def main(url: str, tasks: int, rows: int) -> None:
    database = Database(url, DatabaseConfig(deadline_s=30.0, busy_timeout_s=30.0))
    log = AuditLog(database, AuditConfig())
    await log.open()
    try:
        async with asyncio.TaskGroup() as group:
            for task in range(tasks):
                group.create_task(write(database, log, task, rows))
    finally:
        await log.aclose()
        await database.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

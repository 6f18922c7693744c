"""A process that records exchanges, for tests with several of them and for tests that kill it.

Arguments: database, spool, name of the process, how many exchanges of its own, names of exchanges it shares with
others. It says ``kept <n>`` whenever n exchanges are stored or spooled; with a name that begins with ``endless`` it
does not come to an end.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from chatproxy_platform.config import UsageConfig
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.usage.recorder import UsageRecorder

from chatproxy import Exchange, Usage

USAGE = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)


def ended(name: str) -> Exchange:
    return Exchange(request_id=name, started_at=1_795_262_400, model="m", status=200, outcome="completed", usage=USAGE)


async def main(url: str, spool: str, name: str, count: int, shared: list[str]) -> None:
    database = Database(url)
    waiting = Spool(Path(spool), 1 << 24)
    recorder = UsageRecorder(database, waiting, UsageConfig(flush_interval_s=0.005))
    who = Identity(id="key_k", key_id=f"k_{name}", user_id="u", organization_id="o", owner="user:u")
    await recorder.open()
    number = 0
    while number < count or name.startswith("endless"):
        for _ in range(10):
            recorder.record(ended(f"{name}_{number}"), who, 7)
            number += 1
        await recorder.flush()
        sys.stdout.write(f"kept {recorder.written + recorder.spooled}\n")
        sys.stdout.flush()
    for each in shared:
        recorder.record(ended(each), Identity(id="key_s", key_id="k_shared", owner="key:s"), 7)
    await recorder.aclose()
    await waiting.aclose()
    await database.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5:]))

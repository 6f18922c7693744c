"""A process that stores turns until it is killed; it says which ones were acknowledged."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from chatproxy_platform.sessions.turns import KeptMessage, KeptTurn
from chatproxy_platform.sessions.writer import Writer
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool


def turn(number: int) -> KeptTurn:
    """One of four sessions' turns."""
    messages = [KeptMessage(role="user", content=f"{number}"), KeptMessage(role="assistant", content="ok")]
    return KeptTurn(
        turn_id=f"turn_{number}",
        session_id=f"s{number % 4}",
        owner="user:ann",
        user_id="ann",
        surface="chat",
        model="m",
        messages=messages,
    )


async def write(url: str, directory: str) -> None:
    """Put turns, eight at a time, for ever."""
    database = Database(url)
    writer = Writer(database, Spool(Path(directory), 1 << 20))
    writer.open()

    async def put(start: int) -> None:
        number = start
        while True:
            await writer.put(turn(number))
            sys.stdout.write(f"turn_{number}\n")
            sys.stdout.flush()
            number += 8

    await asyncio.gather(*[put(start) for start in range(8)])


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2]))

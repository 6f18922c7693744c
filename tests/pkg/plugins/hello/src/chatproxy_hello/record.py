"""A JSON line for each exchange, in the file the configuration names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from chatproxy import Exchange


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The table ``[plugins.hello]``.

    Attributes:
        file: path that lines are appended to; empty writes none.
        greeting: what the model says; two words.
    """

    file: str = ""
    greeting: str = "Hello there!"


async def write_line(file: str, exchange: Exchange) -> None:
    """Append one line, off the event loop."""
    if file:
        await asyncio.to_thread(_append, Path(file), msgspec.json.encode(exchange) + b"\n")


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as out:
        out.write(line)

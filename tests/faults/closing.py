"""How the fault servers let go of a connection."""

from __future__ import annotations

import asyncio


def abort(transport: asyncio.WriteTransport) -> None:
    """Drop a connection, whatever state it is in.

    Python 3.11 raises AttributeError for one that was closed and has written its last bytes.
    """
    if not transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()

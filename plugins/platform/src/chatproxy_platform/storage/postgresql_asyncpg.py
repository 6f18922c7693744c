"""asyncpg's connection, which ends at once when the task that waits for it is cancelled."""

from __future__ import annotations

from typing import Any

import asyncpg  # type: ignore[import-untyped]

_CLOSING_S = 1.0


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no annotations
    """A connection of the pool."""

    async def close(self, *, timeout: float | None = None) -> None:
        """Close it; SQLAlchemy sets a timeout only where the state is unknown, and nobody is waited for."""
        if timeout is None:
            await super().close(timeout=_CLOSING_S)
        else:
            self.terminate()

    def is_dead(self) -> bool:
        """Whether the server closed it."""
        return bool(self.is_closed())


async def connect(**arguments: Any) -> Connection:
    """SQLAlchemy's ``async_creator_fn``."""
    connection: Connection = await asyncpg.connect(connection_class=Connection, **arguments)
    return connection

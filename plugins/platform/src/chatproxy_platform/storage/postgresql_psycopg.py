"""psycopg's connection, which ends at once when the task that waits for it is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen

from chatproxy_platform.storage.postgresql import has_input

RV = TypeVar("RV")
_INTERVAL_S = 0.1


class Connection(psycopg.AsyncConnection[Any]):
    """A connection of the pool."""

    async def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_S, timeout: float | None = None) -> RV:
        """Run one of psycopg's generators; every statement does."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval, timeout)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise

    def is_dead(self) -> bool:
        """Whether the server closed it."""
        return self.closed or has_input(self.pgconn.socket)


connect = Connection.connect

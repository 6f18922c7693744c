"""What the connections of one process share, and the one timer that serves all their deadlines.

Rule: no timer object for a connection or a request. A connection stores when it wants to be looked at; a sweep
a few times in the shortest deadline calls those whose time has come. No connection, no timer.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from uvicorn.server import ServerState as HostState

from chatproxy.server.options import ServerOptions
from chatproxy.surfaces.edge import ASGIApp

if TYPE_CHECKING:
    from chatproxy.server.connection import Connection

_SWEEPS_IN_SHORTEST_DEADLINE = 20
_SLOWEST_TICK_S = 0.5
_FASTEST_TICK_S = 0.005


class ServerState(HostState):
    """Connections, running requests and the coarse clock of one event loop; to uvicorn, its server's state.

    `now` is the loop's time at the last sweep: deadlines are set from it, so one may pass up to a tick early.
    """

    connections: set[Any]  # of `Connection`; uvicorn's type names its own protocols only

    def __init__(
        self, app: ASGIApp, options: ServerOptions, loop: asyncio.AbstractEventLoop, app_state: dict[str, Any]
    ) -> None:
        super().__init__()
        self.app = app
        self.options = options
        self.limits = options.edge
        self.loop = loop
        self.app_state = app_state
        self.draining = False
        self.emptied = asyncio.Event()
        self.now = loop.time()
        self.date = b""
        self._second = 0
        self._timer: asyncio.TimerHandle | None = None
        shortest_s = min(
            options.header_timeout_s, options.body_timeout_s, options.write_timeout_s, options.keep_alive_timeout_s
        )
        self.tick_s = min(max(shortest_s / _SWEEPS_IN_SHORTEST_DEADLINE, _FASTEST_TICK_S), _SLOWEST_TICK_S)
        self.stall_check_s = options.write_timeout_s / 4

    def enter(self, connection: Connection) -> None:
        """Count a new connection, and keep the clock running for it."""
        if self._timer is None:
            self._sweep()
        self.connections.add(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is lost."""
        self.connections.discard(connection)
        if not self.connections:
            self.emptied.set()

    async def wait_empty(self, timeout_s: float) -> bool:
        """Wait until every connection is gone; False if some are left after `timeout_s`."""
        if not self.connections:
            return True
        self.emptied.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self.emptied.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        now = self.now = self.loop.time()
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.date = b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.on_deadline(now)
        self._timer = self.loop.call_later(self.tick_s, self._tick)

    def _tick(self) -> None:
        if self.connections:
            self._sweep()
        else:
            self._timer = None

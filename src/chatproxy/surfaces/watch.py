"""Learn that a client has left, while the gateway waits for its upstream.

Under the gateway's own server by a callback; under any other ASGI server by a task that reads `receive`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from chatproxy.engine import Live
from chatproxy.surfaces.edge import DISCONNECT_EXTENSION, Receive, Scope


class Watch:
    """Interrupts an exchange when its client leaves; start it once the body was read."""

    __slots__ = ("_cycle", "_live", "_task")

    def __init__(self, live: Live, scope: Scope, receive: Receive) -> None:
        self._live = live
        self._task: asyncio.Task[None] | None = None
        extensions = scope.get("extensions") or {}
        self._cycle: Any = extensions.get(DISCONNECT_EXTENSION)
        if self._cycle is not None:
            self._cycle.on_disconnect(live.client_left)
        else:
            self._task = asyncio.get_running_loop().create_task(self._read(receive), name="disconnect-watch")

    def stop(self) -> None:
        """The exchange is over."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._cycle.remove(self._live.client_left)

    async def _read(self, receive: Receive) -> None:
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()
        self._live.client_left()

"""The ASGI lifespan of an application: started before the first connection, shut down after the last.

Rule: one task owns the application's lifespan call from start to end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from chatproxy.errors import StartupError
from chatproxy.surfaces.edge import ASGIApp, Message

logger = logging.getLogger("chatproxy.server")


class Lifespan:
    """Runs `app`'s lifespan. `supported` is False once an application has returned from it without a word."""

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._events: asyncio.Queue[Message] = asyncio.Queue(2)
        self._replies: asyncio.Queue[Message] = asyncio.Queue(2)
        self._task: asyncio.Task[None] | None = None
        self.supported = True

    async def start(self) -> None:
        """Start the application.

        Raises:
            StartupError: the application said that it cannot start; the message is its own.
        """
        self._task = asyncio.create_task(self._run())
        reply = await self._ask(self._task, "lifespan.startup")
        if reply is None:
            self.supported = False
            error = self._task.exception()
            if error is not None:
                raise StartupError(f"the application failed to start: {error!r}") from error
        elif reply["type"] == "lifespan.startup.failed":
            raise StartupError(reply.get("message") or "the application failed to start")

    async def stop(self, timeout_s: float) -> None:
        """Shut the application down; after `timeout_s` it is cancelled."""
        task, self._task = self._task, None
        if task is None or not self.supported:
            return
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._ask(task, "lifespan.shutdown")
                await asyncio.wait({task})
        except TimeoutError:
            logger.error("the application did not shut down within %g s", timeout_s)  # noqa: TRY400
            task.cancel()
            return
        failed = reply is None or reply["type"] == "lifespan.shutdown.failed"
        error = None if task.cancelled() else task.exception()
        if failed or error is not None:
            logger.error("the application failed to shut down", exc_info=error)

    async def _ask(self, task: asyncio.Task[None], event: str) -> Message | None:
        """Send one event; the application's reply, or None if it ended without one."""
        await self._events.put({"type": event})
        reply = asyncio.create_task(self._replies.get())
        try:
            await asyncio.wait({reply, task}, return_when=asyncio.FIRST_COMPLETED)
            return reply.result() if reply.done() else None
        finally:
            reply.cancel()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        await self._app(scope, self._events.get, self._replies.put)

"""The orderly stop: nothing new, a time for what runs, a proper end for what is left.

Rule: every wait has a limit, and `stop_now` ends all of them.

1. "not ready" is said, listening ends, idle connections get a moment, answers carry ``connection: close``;
2. running exchanges have `drain_timeout_s`;
3. what still runs is ended by the gateway (SSE error ``server_shutdown``, or a 503), with a second to be flushed;
4. connections that are left are dropped, and their requests cancelled.
"""

from __future__ import annotations

import asyncio
import logging

from chatproxy.server.options import Drainable
from chatproxy.server.state import ServerState

logger = logging.getLogger("chatproxy.server")

_FLUSH_S = 1.0
_CANCEL_S = 1.0


async def drain(state: ServerState, gateway: Drainable, stop_now: asyncio.Event) -> None:
    """Bring every connection of `state` to its end. The listening sockets are closed by the caller."""
    hurry = asyncio.create_task(stop_now.wait())
    work = asyncio.create_task(_drain_gently(state, gateway))
    try:
        await asyncio.wait({hurry, work}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurry.cancel()
        work.cancel()
        await asyncio.wait({hurry, work})
    if not work.cancelled() and (error := work.exception()) is not None:
        logger.error("draining failed", exc_info=error)
    await _drop_rest(state)


async def _drain_gently(state: ServerState, gateway: Drainable) -> None:
    options = state.options
    ends_at = state.loop.time() + options.drain_timeout_s
    for connection in list(state.connections):
        connection.shutdown()
    is_idle = await gateway.wait_idle(options.drain_timeout_s)
    if is_idle and await state.wait_empty(max(ends_at - state.loop.time(), 0.0)):
        return
    logger.warning(
        "%d connections are still open after %g s: ending them", len(state.connections), options.drain_timeout_s
    )
    await gateway.expire_streams()
    await state.wait_empty(_FLUSH_S)


async def _drop_rest(state: ServerState) -> None:
    tasks = list(state.tasks)
    for connection in list(state.connections):
        connection.abort()
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CANCEL_S)
    await state.wait_empty(_FLUSH_S)

"""AFTER: hooks that run in the background; nothing on the request path waits for them.

One owner task makes the calls of all plugins in order. A plugin that has to wait keeps the task it was called in; the
rest of the queue goes to a new owner, and later calls of that plugin wait behind its own. So a slow or failing plugin
costs no other, and plugins that do not wait cost no task switch each.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from chatproxy.errors import ApiError
from chatproxy.plugins.impl import Impl, Pending
from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Exchange

logger = logging.getLogger("chatproxy.plugins")

QUEUE_LENGTH = 10_000
_CALLS_PER_TURN = 100


def call_endings(ctx: RequestContext) -> None:
    """Call what plugins registered by `RequestContext.at_end`; what one raises costs no other."""
    for call in ctx.endings:
        try:
            call(ctx.exchange)
        except Exception:
            logger.exception("what is called at the end of an exchange failed", extra={"request_id": ctx.request_id})
    ctx.endings.clear()


class _Lane:
    """One plugin's part of the queue. ``waiting`` counts its calls that have not ended."""

    __slots__ = ("backlog", "busy", "dropped", "plugin", "waiting")

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.backlog: deque[tuple[Impl, Exchange, tuple[Any, ...]]] = deque()
        self.busy = False
        self.dropped = 0
        self.waiting = 0

    def drop(self, count: int) -> None:
        """Count calls that will not be made."""
        if count and not self.dropped:
            logger.warning("telemetry of plugin %r is being dropped: its queue is full or closing", self.plugin)
        self.dropped += count


class Background:
    """Runs AFTER hooks.

    Args:
        impls: by hook name, in order.
        queue_length: calls that may wait for one plugin; further ones are dropped and counted. None: 10,000.
    """

    def __init__(self, impls: Mapping[str, Sequence[Impl]], *, queue_length: int | None = None) -> None:
        self._lanes = {impl.plugin: _Lane(impl.plugin) for found in impls.values() for impl in found}
        self._impls = {hook: [(impl, self._lanes[impl.plugin]) for impl in found] for hook, found in impls.items()}
        self._queue_length = queue_length or QUEUE_LENGTH
        self._calls: deque[tuple[Impl, _Lane, Exchange, tuple[Any, ...]]] = deque()
        self._owner: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._closing = False

    @property
    def dropped(self) -> dict[str, int]:
        """Calls that found a full queue or were left at the end, by plugin."""
        return {name: lane.dropped for name, lane in self._lanes.items()}

    @property
    def waiting(self) -> dict[str, int]:
        """Calls that have not ended, by plugin."""
        return {name: lane.waiting for name, lane in self._lanes.items()}

    def submit(self, hook: str, exchange: Exchange, *args: Any) -> None:
        """Queue one call of ``hook`` for each plugin that has it; never blocks, never raises."""
        for impl, lane in self._impls.get(hook, ()):
            if lane.waiting >= self._queue_length or self._closing:
                lane.drop(1)
            else:
                lane.waiting += 1
                self._calls.append((impl, lane, exchange, args))
        if self._calls:
            self._wake()

    async def drain(self, limit_s: float) -> None:
        """Wait until every call has ended, at most ``limit_s`` seconds; what is left then is dropped and counted."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        self._closing = True
        self._wake()
        while self._tasks and (left_s := until - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        late = list(self._tasks)
        for task in late:
            task.cancel()
        self._calls.clear()
        for lane in self._lanes.values():
            lane.drop(lane.waiting)
            lane.backlog.clear()
        await asyncio.gather(*late, return_exceptions=True)
        for lane in self._lanes.values():
            lane.waiting = 0
        self._closing = False

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set_result(None)
        elif self._owner is None and self._calls:
            loop, nobodys = asyncio.get_running_loop(), contextvars.Context()  # not that of whoever came first
            task = self._owner = loop.create_task(self._own(), name="after", context=nobodys)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _own(self) -> None:
        """Make calls until one has to wait; then stay with that one."""
        made = 0
        while True:
            while self._calls:
                impl, lane, exchange, args = self._calls.popleft()
                if lane.busy:
                    lane.backlog.append((impl, exchange, args))
                elif (pending := _begin(impl, lane, exchange, args)) is not None:
                    lane.busy = True
                    self._owner = None
                    self._wake()
                    await _stay(pending, lane)
                    return
                made += 1
                if made % _CALLS_PER_TURN == 0:
                    await asyncio.sleep(0)
            if self._closing:
                self._owner = None
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


def _begin(impl: Impl, lane: _Lane, exchange: Exchange, args: tuple[Any, ...]) -> Pending | None:
    """Make a call; what to wait for where it has not ended."""
    try:
        result = impl.step(exchange, *args)
    except ApiError as error:
        _raised(lane, error)
    else:
        if type(result) is Pending:
            return result
    lane.waiting -= 1
    return None


async def _stay(pending: Pending | None, lane: _Lane) -> None:
    """Wait for a plugin's call, then make those that came for it meanwhile."""
    try:
        while pending is not None:
            try:
                await pending.wait()
            except ApiError as error:
                _raised(lane, error)
            lane.waiting -= 1
            pending = None
            while lane.backlog and pending is None:
                impl, exchange, args = lane.backlog.popleft()
                pending = _begin(impl, lane, exchange, args)
    finally:
        lane.busy = False


def _raised(lane: _Lane, error: ApiError) -> None:
    """Nobody is left to answer; a failure by policy was logged where it happened."""
    if error.__cause__ is None:
        logger.warning("plugin %r raised in the background: %s", lane.plugin, error)

"""AFTER: hooks that run in the background; nothing on the request path waits for them.

One owner task for each plugin, each with its own bounded queue, so that a slow or failing plugin costs no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from chatproxy.errors import ApiError
from chatproxy.plugins.impl import Impl
from chatproxy.types.exchange import Exchange

logger = logging.getLogger("chatproxy.plugins")

QUEUE_LENGTH = 10_000


class _Queue:
    """The calls that wait for one plugin, and the task that makes them."""

    __slots__ = ("busy", "calls", "done", "dropped", "plugin", "task", "waiter")

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.calls: deque[tuple[Impl, Exchange, tuple[Any, ...]]] = deque()
        self.dropped = 0
        self.done = 0
        self.busy = False
        self.task: asyncio.Task[None] | None = None
        self.waiter: asyncio.Future[None] | None = None


class Background:
    """Runs AFTER hooks.

    Args:
        impls: by hook name, in order.
        queue_length: calls that may wait for one plugin; further ones are dropped and counted. None: 10,000.
    """

    def __init__(self, impls: Mapping[str, Sequence[Impl]], *, queue_length: int | None = None) -> None:
        self._impls = {hook: tuple(found) for hook, found in impls.items()}
        self._queue_length = queue_length or QUEUE_LENGTH
        self._queues: dict[str, _Queue] = {
            impl.plugin: _Queue(impl.plugin) for found in self._impls.values() for impl in found
        }
        self._closing = False

    @property
    def dropped(self) -> dict[str, int]:
        """Calls that found a full queue or were left at the end, by plugin."""
        return {name: queue.dropped for name, queue in self._queues.items()}

    @property
    def waiting(self) -> dict[str, int]:
        """Calls not made yet, by plugin."""
        return {name: len(queue.calls) + queue.busy for name, queue in self._queues.items()}

    def submit(self, hook: str, exchange: Exchange, *args: Any) -> None:
        """Queue one call of ``hook`` for each plugin that has it; never blocks, never raises."""
        for impl in self._impls.get(hook, ()):
            queue = self._queues[impl.plugin]
            if len(queue.calls) >= self._queue_length or self._closing:
                self._drop(queue, 1)
                continue
            queue.calls.append((impl, exchange, args))
            if queue.waiter is not None:
                queue.waiter.set_result(None)
                queue.waiter = None
            elif queue.task is None:
                queue.task = asyncio.get_running_loop().create_task(self._own(queue), name=f"after:{queue.plugin}")

    async def drain(self, limit_s: float) -> None:
        """Wait until every queue is empty, at most ``limit_s`` seconds; what is left then is dropped and counted."""
        self._closing = True
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        for queue in self._queues.values():
            if queue.waiter is not None:
                queue.waiter.set_result(None)
                queue.waiter = None
        if tasks:
            await asyncio.wait(tasks, timeout=limit_s)
        for queue in self._queues.values():
            if queue.task is not None and not queue.task.done():
                queue.task.cancel()
                self._drop(queue, len(queue.calls) + queue.busy)
                queue.calls.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _own(self, queue: _Queue) -> None:
        while True:
            while queue.calls:
                impl, exchange, args = queue.calls.popleft()
                queue.busy = True
                try:
                    await impl.call(exchange, *args)
                except ApiError as error:  # raised on purpose or by the policy; nobody is left to answer
                    if error.__cause__ is None:
                        logger.warning("plugin %r raised in %s: %s", impl.plugin, impl.hook, error)
                finally:
                    queue.busy = False
                    queue.done += 1
            if self._closing:
                return
            queue.waiter = asyncio.get_running_loop().create_future()
            await queue.waiter

    def _drop(self, queue: _Queue, count: int) -> None:
        if count and not queue.dropped:
            logger.warning("telemetry of plugin %r is being dropped: its queue is full or closing", queue.plugin)
        queue.dropped += count

"""Run: one run of a graph in a task of its own, so that it can be stopped, or left behind, whatever its workers do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from chatproxy_graphs.context import Context, scope_of
from chatproxy_graphs.errors import NodeFailed, RunError
from chatproxy_graphs.events import GraphEvent, NodeRun
from chatproxy_graphs.plan import END, Plan
from chatproxy_graphs.walk import Walk
from chatproxy_graphs.watch import leave, stop

if TYPE_CHECKING:
    from chatproxy import RequestContext

MAX_WAITING = 64
"""Texts and events that a run is ahead of its reader."""
MAX_RECORDS = 1_000

Item = str | GraphEvent


class Feed:
    """What a run says, for one reader; bounded, so that a slow reader slows the run down."""

    __slots__ = ("_has_room", "_is_over", "_items", "_waiting")

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._has_room = asyncio.Event()
        self._is_over = False

    @property
    def is_full(self) -> bool:
        """Wait for `room` first."""
        return len(self._items) >= MAX_WAITING

    def put(self, item: Item) -> None:
        """Say something."""
        self._items.append(item)
        self._wake()

    async def room(self) -> None:
        """Wait until the reader has read."""
        while self.is_full and not self._is_over:
            self._has_room.clear()
            await self._has_room.wait()

    def end(self) -> None:
        """Nothing comes any more."""
        self._is_over = True
        self._has_room.set()
        self._wake()

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Item:
        while not self._items:
            if self._is_over:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        item = self._items.popleft()
        if not self._items:
            self._has_room.set()
        return item

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Run:
    """A graph that runs; begins at once.

    Args:
        gateway: the exchange that it answers; None takes that of the context's worker, where one runs it.
        feed: gets the texts that workers stream; None: nobody reads while it runs.
        tells_events: the feed gets events, texts among them.
        node_timeout_s: for workers that have none of their own.

    Attributes:
        said: texts that were streamed, or would have been.
        steps: how many workers were run, in graphs within the graph too.
        records: the visits of nodes, in the order of their beginnings; the first `MAX_RECORDS`.
    """

    def __init__(
        self,
        plan: Plan,
        ctx: Context,
        *,
        gateway: RequestContext | None = None,
        feed: Feed | None = None,
        tells_events: bool = False,
        node_timeout_s: float | None = None,
    ) -> None:
        outer = scope_of(ctx)
        self.gateway = gateway if gateway is not None or outer is None else outer.gateway
        self.feed = feed
        self.tells_events = tells_events
        self.node_timeout_s = node_timeout_s
        self.said: list[str] = []
        self.records: list[NodeRun] = []
        self.steps = 0
        loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[Context] = loop.create_future()
        self._task = loop.create_task(self._go(Walk(plan, self), ctx), name=plan.name)

    async def result(self) -> Context:
        """The context at the end.

        Raises:
            ApiError: the run failed.
        """
        try:
            return await self._outcome
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Cancel what still runs; stopping twice does nothing."""
        await stop([self._task])

    def give_up(self, error: RunError) -> None:
        """End the run although a worker goes on."""
        if not self._outcome.done():
            self._outcome.set_exception(error)
        self._task.cancel()  # where it is a branch that hangs, the rest goes
        leave(self._task)
        if self.feed is not None:
            self.feed.end()

    def begin(self, record: NodeRun) -> NodeRun:
        """Keep a record."""
        if len(self.records) < MAX_RECORDS:
            self.records.append(record)
        return record

    async def _go(self, walk: Walk, ctx: Context) -> None:
        outcome = self._outcome
        try:
            ctx = await walk.follow(ctx, walk.plan.entry, END)
        except asyncio.CancelledError:
            if not outcome.done():
                outcome.set_exception(NodeFailed("the run was cancelled", graph=walk.plan.name))
                outcome.exception()  # whoever cancels it does not want to know
            raise
        except Exception as exc:  # noqa: BLE001 - raised by `result`
            if not outcome.done():
                outcome.set_exception(exc)
                outcome.exception()  # where nobody waits any more, nobody wants to know
        else:
            if not outcome.done():
                outcome.set_result(ctx)
        finally:
            if self.feed is not None:
                self.feed.end()


async def events_of(plan: Plan, ctx: Context) -> AsyncGenerator[GraphEvent, None]:
    """A run, told as it happens; raises as `Run.result` does."""
    feed = Feed()
    run = Run(plan, ctx, feed=feed, tells_events=True)
    try:
        yield GraphEvent(type="start", ctx=ctx, node=plan.entry)
        async for item in feed:
            if isinstance(item, GraphEvent):
                yield item
        yield GraphEvent(type="end", ctx=await run.result())
    finally:
        await run.stop()

"""Visit: one worker runs, with its deadline, its retries and what it streams."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from chatproxy.errors import ApiError
from chatproxy.types import TraceSpan
from chatproxy_graphs.context import Context, adopt, bind
from chatproxy_graphs.errors import NodeFailed, NodeTimeout
from chatproxy_graphs.events import NodeRun
from chatproxy_graphs.plan import Node
from chatproxy_graphs.saying import Saying
from chatproxy_graphs.scope import Scope
from chatproxy_graphs.telemetry import tell_retry
from chatproxy_graphs.watch import Deadline

if TYPE_CHECKING:
    from chatproxy_graphs.walk import Walk

logger = logging.getLogger("chatproxy_graphs")

_TURN = 64  # after so many pieces others get their turn, also where a worker never waits
_TRANSIENT = frozenset({408, 425, 429})


class Visit:
    """One visit of one node.

    Args:
        span: what its worker asks of models belongs to; None where nobody traces.
        is_heard: what it streams reaches the reader at once, and stays part of the answer.
    """

    def __init__(self, walk: Walk, node: Node, record: NodeRun, span: TraceSpan | None, *, is_heard: bool) -> None:
        self._walk = walk
        self._run = walk.run
        self._node = node
        self._record = record
        self._span = span
        self._is_heard = is_heard
        self._has_said = False

    async def go(self, ctx: Context) -> Context:
        """Run the worker, again where it fails and may be retried.

        Raises:
            ApiError: the last attempt failed; a `RunError` unless the worker raised one itself.
        """
        node, delay_s = self._node, self._node.retry_delay_s
        if not node.retries:
            return await self._attempt(ctx)
        while True:
            try:
                adopt(ctx, await self._attempt(ctx.copy()))
                return ctx
            except ApiError as error:
                if self._record.attempts > node.retries or self._has_said or not _is_transient(error):
                    raise
                logger.warning("%s It is tried again.", error)
                tell_retry(self._run.gateway, self._record, error.code)
            self._record.attempts += 1
            if delay_s:
                await asyncio.sleep(delay_s)
                delay_s *= 2

    async def _attempt(self, ctx: Context) -> Context:
        scope = Scope(self._run.gateway, self._span)
        bind(ctx, scope)
        deadline = Deadline(self._timeout_s, self._give_up)
        try:
            with deadline:
                result = await self._call(ctx, deadline)
        except ApiError:
            raise
        except BaseException as exc:  # one that exits leaves the gateway alive
            raise self._described(exc, deadline) from exc
        finally:
            if scope.has_open:
                await scope.aclose()
        if deadline.is_over:  # it caught its own cancellation
            raise self._late()
        if result is None:
            return ctx
        if not isinstance(result, Context):
            raise self._failed(f"the worker returned {type(result).__name__}, wanted a Context or None")
        return result

    @property
    def _timeout_s(self) -> float | None:
        """A graph within the graph has no deadline of its own unless it was given one: its nodes have theirs."""
        own = self._node.timeout_s
        return own if own is not None or self._node.graph is not None else self._run.node_timeout_s

    async def _call(self, ctx: Context, deadline: Deadline) -> Any:
        node, run = self._node, self._run
        if node.graph is not None:
            return await self._walk.within(node.graph.compile().plan, node, ctx, self._span, is_heard=self._is_heard)
        if node.stream is None:
            return await node.run(ctx) if node.run is not None else None
        saying = Saying(run, self._record, ctx.response, deadline, is_heard=self._is_heard)
        try:
            # after a text that was heard, only what is yielded is surely the worker's own
            if node.run is not None and run.feed is None and not (self._is_heard and run.said):
                result = await node.run(ctx)
                if isinstance(result, Context | None):
                    await saying.end(result or ctx, is_whole=True)
                return result
            return await self._streamed(node.stream(ctx), ctx, saying)
        finally:
            self._has_said = self._has_said or saying.has_said

    async def _streamed(self, pieces: Any, ctx: Context, saying: Saying) -> Context:
        if inspect.iscoroutine(pieces):
            pieces.close()
        if not hasattr(pieces, "__aiter__"):
            raise self._failed("astream is no async generator")
        count = 0
        try:
            async for piece in pieces:
                count += 1
                if count % _TURN == 0:
                    await asyncio.sleep(0)
                if type(piece) is str:
                    await saying.say(piece, ctx)
                elif isinstance(piece, Context):
                    ctx = piece
                    await saying.show(ctx)
                elif piece is None:
                    await saying.show(ctx)
                else:
                    raise self._failed(f"the worker yielded {type(piece).__name__}, wanted texts or the Context")
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        await saying.end(ctx)
        return ctx

    def _described(self, exc: BaseException, deadline: Deadline) -> BaseException:
        """What the end of a worker means; the cancellation itself where somebody else cancelled."""
        task = asyncio.current_task()
        if isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling():
            return exc
        if deadline.is_over:
            return self._late()
        if isinstance(exc, asyncio.CancelledError):
            return self._failed("the worker was cancelled from within")
        logger.error("graph %r: node %r failed", self._record.graph, self._record.node, exc_info=exc)
        return self._failed(f"the worker raised {type(exc).__name__}")

    def _failed(self, reason: str) -> NodeFailed:
        record = self._record
        return NodeFailed(reason, graph=record.graph, node=record.node, step=record.step)

    def _late(self) -> NodeTimeout:
        record = self._record
        reason = f"the worker was not done in {self._timeout_s:g} s"
        return NodeTimeout(reason, graph=record.graph, node=record.node, step=record.step)

    def _give_up(self) -> None:
        self._run.give_up(self._late())


def _is_transient(error: ApiError) -> bool:
    return (error.status >= 500 and error.code != "loop_detected") or error.status in _TRANSIENT

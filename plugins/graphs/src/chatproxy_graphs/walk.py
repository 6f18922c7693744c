"""Walk: from node to node of one graph, as its edges lead."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from typing import TYPE_CHECKING, Any

from chatproxy.errors import ApiError
from chatproxy.types import TraceSpan
from chatproxy_graphs.context import Context
from chatproxy_graphs.errors import MergeConflict, RouteFailed, RunError, TooManySteps
from chatproxy_graphs.events import GraphEvent, NodeRun
from chatproxy_graphs.merge import Conflict, merge
from chatproxy_graphs.plan import END, Conditional, Node, Parallel, Plan
from chatproxy_graphs.telemetry import begin_span, end_span
from chatproxy_graphs.visit import Visit
from chatproxy_graphs.watch import stop

if TYPE_CHECKING:
    from chatproxy_graphs.run import Run

logger = logging.getLogger("chatproxy_graphs")

_TURN = 64  # after so many steps others get their turn, also where no worker ever waits


class Walk:
    """One run of one graph; branches share its count of steps.

    Args:
        prefix: of its nodes' names, where it is a node itself.
        span: of that node.
    """

    def __init__(self, plan: Plan, run: Run, prefix: str = "", span: TraceSpan | None = None) -> None:
        self.plan = plan
        self.run = run
        self.prefix = prefix
        self._span = span
        self._steps = 0

    async def follow(self, ctx: Context, at: str, until: str, *, is_heard: bool = True) -> Context:
        """Visit nodes from ``at`` to before ``until``.

        Args:
            is_heard: what workers stream reaches the reader; not within parallel branches.
        """
        while at != until:
            node = self.plan.nodes[at]
            step = await self._step(at)
            ctx = await self._visit(node, ctx, step, is_heard=is_heard)
            edge = self.plan.edges[at]
            if isinstance(edge, str):
                at = edge
            elif isinstance(edge, Conditional):
                at = await self._routed(at, edge, ctx, step)
            else:
                ctx = await self._forked(at, edge, ctx, step)
                at = edge.join
        return ctx

    async def _step(self, name: str) -> int:
        if self._steps >= self.plan.max_steps:
            raise TooManySteps(
                f"the run was stopped after {self.plan.max_steps} steps (max_steps)",
                graph=self.plan.name, node=self.prefix + name, step=self._steps + 1,
            )  # fmt: skip
        self._steps += 1
        self.run.steps += 1
        if self._steps % _TURN == 0:
            await asyncio.sleep(0)
        return self._steps

    async def _visit(self, node: Node, ctx: Context, step: int, *, is_heard: bool) -> Context:
        run, name = self.run, self.prefix + node.name
        record = run.begin(NodeRun(graph=self.plan.name, node=name, step=step, clock_s=time.perf_counter()))
        span = begin_span(run.gateway, record, self._span)
        visit = Visit(self, node, record, span, is_heard=is_heard and node.streams)
        try:
            ctx = await visit.go(ctx)
        except BaseException as exc:
            record.error_type = exc.code if isinstance(exc, ApiError) else "cancelled"
            raise
        finally:
            record.duration_s = time.perf_counter() - record.clock_s
            end_span(span, record)
        ctx.execution_path.append(name)
        if run.tells_events and run.feed is not None:
            await run.feed.room()
            run.feed.put(GraphEvent(type="node", node=name, step=step, ctx=ctx))
        return ctx

    async def within(self, plan: Plan, node: Node, ctx: Context, span: TraceSpan | None, *, is_heard: bool) -> Context:
        """Walk through a graph that is a node of this one."""
        inner = Walk(plan, self.run, f"{self.prefix}{node.name}/", span)
        return await inner.follow(ctx, plan.entry, END, is_heard=is_heard)

    async def _routed(self, name: str, edge: Conditional, ctx: Context, step: int) -> str:
        place: dict[str, Any] = {"graph": self.plan.name, "node": self.prefix + name, "step": step}
        try:
            key = edge.route(ctx)
            if inspect.isawaitable(key):
                key = await key
            if key in edge.paths:
                return edge.paths[key]
        except (ApiError, asyncio.CancelledError):
            raise
        except BaseException as exc:
            logger.exception("graph %r: the route of node %r failed", self.plan.name, name)
            raise RouteFailed(f"the route raised {type(exc).__name__}", **place) from exc
        known = ", ".join(sorted(map(repr, edge.paths)))
        raise RouteFailed(f"the route returned {key!r:.100}, wanted one of {known}", **place)

    async def _forked(self, name: str, edge: Parallel, ctx: Context, step: int) -> Context:
        loop = asyncio.get_running_loop()
        tasks = {
            branch: loop.create_task(
                self.follow(ctx.copy(), branch, edge.join, is_heard=False), name=f"branch {branch}"
            )
            for branch in edge.branches
        }
        try:
            await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks.values():
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            left = {branch: task.result() for branch, task in tasks.items()}
        finally:
            await stop(tasks.values())
        return self._merged(name, edge, ctx, left, step)

    def _merged(self, name: str, edge: Parallel, ctx: Context, left: dict[str, Context], step: int) -> Context:
        place: dict[str, Any] = {"graph": self.plan.name, "node": self.prefix + name, "step": step}
        try:
            merged = (edge.merge or merge)(ctx, left)
        except Conflict as exc:
            which = " and ".join(f"'{branch}'" for branch in exc.branches)
            raise MergeConflict(f"the branches {which} left different values of '{exc.name}'", **place) from exc
        except (ApiError, asyncio.CancelledError):
            raise
        except BaseException as exc:
            logger.exception("graph %r: the merge of node %r failed", self.plan.name, name)
            raise RunError(f"the merge raised {type(exc).__name__}", **place) from exc
        if merged is not None and not isinstance(merged, Context):
            raise RunError(f"the merge returned {type(merged).__name__}, wanted a Context or None", **place)
        return ctx if merged is None else merged

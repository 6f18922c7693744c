"""AROUND: plugins nested around the handler, each with a deadline on its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chatproxy.errors import PLUGIN_FAILURES, ApiError
from chatproxy.plugins.impl import Impl
from chatproxy.plugins.timed import Clock, DeadlinePassedError, finish
from chatproxy.types.context import RequestContext
from chatproxy.types.model import ToolCall, ToolResult, ToolRunner
from chatproxy.types.reply import Completed, Reply, Stream
from chatproxy.types.request import ChatRequest

Execute = Callable[[ChatRequest], Awaitable[Reply]]


def compose(impls: Sequence[Impl], ctx: RequestContext, execute: Execute) -> Execute:
    """Nest ``impls`` around ``execute``; the first is the outermost."""
    for impl in reversed(impls):
        execute = _Around(impl, ctx, execute).execute
    return execute


class _PausedContext:
    """Pauses a plugin's clock while a tool runs, by standing in for ``ctx.call_tool``'s bracket."""

    __slots__ = ("_bracket", "_clock")

    def __init__(self, bracket: Any, clock: Clock) -> None:
        self._bracket = bracket
        self._clock = clock

    async def __call__(self, ctx: RequestContext, call: ToolCall, run: ToolRunner) -> ToolResult:
        self._clock.pause()
        try:
            result: ToolResult = await self._bracket(ctx, call, run)
            return result
        finally:
            self._clock.resume()


class _Around:
    """One plugin around the rest. ``last`` is the reply it got from the rest, for the policy ``open``.

    ``passing`` is the error that it got from there.
    """

    __slots__ = ("_clock", "_ctx", "_impl", "_last", "_next", "_passing")

    def __init__(self, impl: Impl, ctx: RequestContext, execute: Execute) -> None:
        self._impl = impl
        self._ctx = ctx
        self._next = execute
        self._clock = Clock(impl.policy.deadline_s)
        self._last: Reply | None = None
        self._passing: ApiError | None = None

    async def execute(self, request: ChatRequest) -> Reply:
        impl, ctx = self._impl, self._ctx
        if impl.is_skipped(ctx.exchange):
            return await self._next(request)
        saved = None if impl.closed else request.encode()
        impl.state.calls += 1
        started_at = time.perf_counter()
        outer = ctx.bracket_tools(lambda bracket: _PausedContext(bracket, self._clock))
        try:
            steps = impl.function(ctx, request, self._call_next)
            try:
                waiting_for = steps.send(None)
            except StopIteration as stop:
                reply = stop.value
            else:
                reply = await finish(steps, waiting_for, self._clock)
            if isinstance(reply, Completed | Stream):
                impl.succeeded(ctx.exchange, None, started_at)
                return reply
            raise TypeError(f"around_execute must return a Completed or a Stream, found {type(reply).__name__}")
        except ApiError as error:
            if ctx.exchange.is_detailed:
                impl.note(ctx.exchange, "ok" if error is self._passing else "rejected", started_at)
            raise
        except asyncio.CancelledError:
            impl.cancelled(ctx.exchange, started_at)
            raise
        except DeadlinePassedError as passed:
            impl.state.abandoned += passed.abandoned
            impl.failed(ctx.exchange, "timeout", started_at, passed)
        except PLUGIN_FAILURES as exc:
            impl.failed(ctx.exchange, "error", started_at, exc)
        finally:
            ctx.restore_tools(outer)
            self._passing = None  # its traceback leads back to here
        return await self._without(request, saved)

    async def _without(self, request: ChatRequest, saved: bytes | None) -> Reply:
        """Go on as if the plugin were not there: with the reply it had got, else by asking for one."""
        if self._last is not None:
            return self._last
        if saved is not None:
            request.restore(saved)
        return await self._next(request)

    async def _call_next(self, request: ChatRequest) -> Reply:
        self._clock.pause()
        try:
            self._last = None
            self._last = await self._next(request)
            return self._last
        except ApiError as error:
            self._passing = error
            raise
        finally:
            self._clock.resume()

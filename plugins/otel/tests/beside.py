"""Plugins of tests, beside the one under test: a tool loop and a guard. Also installed into gateway processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from chatproxy import (
    ChatRequest,
    Completed,
    Reject,
    Reply,
    RequestContext,
    Stream,
    StreamEvent,
    ToolCall,
    ToolResult,
    hookimpl,
)
from chatproxy.types import Rounds

CallNext = Callable[[ChatRequest], Awaitable[Reply]]


class Clock:
    """A plugin with a tool of the gateway's own: calls of ``now`` are run, and the model is asked again."""

    chatproxy_name = "clock"

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.given: list[ToolCall] = []

    async def run(self, call: ToolCall) -> ToolResult:
        self.given.append(call)
        call.details["mcp.method.name"] = "tools/call"
        return ToolResult(content="12:00", is_error=self.fails)

    async def _is_over(self, ctx: RequestContext, request: ChatRequest, rounds: Rounds) -> bool:
        turn = rounds.turn()
        if not turn.tool_calls:
            return True
        results = {call.id: await ctx.call_tool(call, self.run) for call in turn.tool_calls}
        request.answer_calls(turn, results)
        rounds.go_on()
        return False

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: CallNext) -> Reply:
        rounds = Rounds(ctx.layout, hides=lambda _: True)
        reply = await call_next(request)
        if isinstance(reply, Stream):
            return Stream.of(self._streamed(ctx, request, rounds, reply, call_next), layout=reply.layout)
        while isinstance(reply, Completed):
            rounds.add(reply.body)
            if await self._is_over(ctx, request, rounds):
                break
            reply = await call_next(request)
        return Completed(rounds.result())

    async def _streamed(
        self, ctx: RequestContext, request: ChatRequest, rounds: Rounds, reply: Reply, call_next: CallNext
    ) -> AsyncGenerator[StreamEvent, None]:
        while True:
            async with aclosing(rounds.streamed(reply)) as events:
                async for event in events:
                    yield event
            if await self._is_over(ctx, request, rounds):
                break
            reply = await call_next(request)
        for event in rounds.end():
            yield event


class Guard:
    """A plugin that blocks what says ``forbidden``: in a request, and in a stream half-way."""

    chatproxy_name = "guard"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        if any("forbidden" in text.value for text in request.texts()):
            raise Reject("Not here.", code="content_filter")

    @hookimpl
    async def transform_stream(self, ctx: RequestContext) -> Any:
        async def guarded(events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
            async for event in events:
                if any("forbidden" in text.value for text in event.texts()):
                    raise Reject("Not this.", code="content_filter")
                yield event

        return guarded


clock, guard = Clock(), Guard()
"""What entry points name."""

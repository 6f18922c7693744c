"""Loop: rounds of a model and of tools, which become one answer.

Read `Loop.run` from top to bottom to follow an exchange. The model is asked; calls that are the gateway's are run and
their results put into the conversation; it is asked again, until it calls nothing of the gateway's any more, or calls
something of the client's, or the limit is reached.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from chatproxy import ChatRequest, ChatResponse, Completed, Reply, RequestContext, Stream, StreamEvent, ToolCall
from chatproxy.types import Rounds, ToolResult
from chatproxy_mcp.calling.caller import Called, Caller
from chatproxy_mcp.config import Config
from chatproxy_mcp.loop.approvals import Settlement
from chatproxy_mcp.loop.batch import Batches, Job
from chatproxy_mcp.loop.choosing import Chosen
from chatproxy_mcp.loop.echo import Echo
from chatproxy_mcp.loop.items import leave_out_lone_reasoning
from chatproxy_mcp.loop.likeness import are_alike
from chatproxy_mcp.loop.memory import COUNTING, Memory
from chatproxy_mcp.loop.presenting import Presenter
from chatproxy_mcp.loop.speech import NativeSpeech, Speech, TextSpeech
from chatproxy_mcp.tool import Tool

CallNext = Callable[[ChatRequest], Awaitable[Reply]]
KEEP_ALIVE = b": tools are running\n\n"
_CUT_SHORT = frozenset({"length", "content_filter"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done after a round.

    Attributes:
        jobs: calls that the gateway runs.
        waiting: calls that wait for the client's word.
        handed: ids of calls that the client gets, those that wait among them.
        hides: some call is kept from the client, run or not.
    """

    jobs: list[Job] = msgspec.field(default_factory=list)
    waiting: list[ToolCall] = msgspec.field(default_factory=list)
    handed: list[str] = msgspec.field(default_factory=list)
    hides: bool = False


class Loop:
    """One exchange that has tools."""

    def __init__(
        self, config: Config, caller: Caller, ctx: RequestContext, chosen: Chosen, presenter: Presenter
    ) -> None:
        self._config = config
        self._ctx = ctx
        self._chosen = chosen
        self._presenter = presenter
        self._batches = Batches(config, caller, ctx)
        self._caller = caller
        self._memory = Memory(ctx, config.resume_ttl_s)
        self._speech: Speech = NativeSpeech(chosen) if chosen.mode == "tools" else TextSpeech(chosen)
        self._rounds = 0
        self._echo: Echo | None = None
        self._own_request: ChatRequest | None = None
        self._begun_at = 0

    async def run(self, request: ChatRequest, call_next: CallNext) -> Reply:
        """Answer a request."""
        await self._take_up(request)
        if self._ctx.surface == "responses":
            leave_out_lone_reasoning(request)
            self._echo = Echo(request, self._chosen)
        self._speech.begin(request)
        first = await call_next(request)
        if isinstance(first, Stream):
            events = self._streamed(request, first, call_next)
            return Stream.of(events, headers=first.headers, layout=first.layout)
        return await self._whole(request, first, call_next)

    async def _take_up(self, request: ChatRequest) -> None:
        """Put back into the conversation what earlier exchanges kept from the client."""
        answers = request.answers()
        if not answers:
            return
        if trails := await self._memory.trails(answers):
            calls = request.calls()
            request.resume({key: trail for key, trail in trails.items() if self._is_of(calls.get(key), trail)})
        if self._ctx.surface == COUNTING:
            return  # nothing is run for being counted
        settlement = Settlement(self._memory, self._chosen, self._run_approved)
        await settlement.settle(request, answers)
        for call, called in settlement.done:
            self._presenter.approved(call, called)

    async def _whole(self, request: ChatRequest, reply: Completed, call_next: CallNext) -> Reply:
        rounds: Rounds | None = None
        while True:
            if self._echo is not None:
                self._echo.mend(reply.body)
            reply = self._speech.heard(reply)
            has_news = self._presenter.has_news
            if rounds is None and not has_news and not self._may_call(reply.body):
                return reply
            rounds = rounds or self._new_rounds()
            rounds.add(reply.body)
            turn, results = rounds.turn(), dict[str, ToolResult]()
            plan = self._plan(turn)
            if self._rounds == 0 and not plan.hides and not plan.waiting and not has_news:
                return reply  # nothing is the gateway's: the answer stays as it came
            async with aclosing(self._done(rounds, plan, results)) as events:
                async for _ in events:
                    pass
            if await self._is_over(request, rounds, turn, plan, results):
                break
            found = await call_next(self._next_request(request))
            if not isinstance(found, Completed):
                found = await _completed(found)
            reply = found
        return Completed(rounds.result(self._finish_reason(plan)), status=reply.status, headers=reply.headers)

    async def _streamed(
        self, request: ChatRequest, first: Stream, call_next: CallNext
    ) -> AsyncGenerator[StreamEvent, None]:
        rounds = self._new_rounds()
        reply: Reply = first
        while True:
            heard = self._speech.hearing(reply)
            async with aclosing(heard if self._echo is None else self._echo.mended(heard)) as events:
                async for event in events:
                    for passing in rounds.take(event):
                        self._presenter.see(passing)
                        yield passing
            turn, results = rounds.turn(), dict[str, ToolResult]()
            plan = self._plan(turn)
            async with aclosing(self._done(rounds, plan, results)) as events:
                async for event in events:
                    yield event
            if await self._is_over(request, rounds, turn, plan, results):
                break
            reply = await call_next(self._next_request(request))
        for event in rounds.end(self._finish_reason(plan)):
            yield event

    # -- after a round ------------------------------------------------------------------------------------------------

    def _plan(self, turn: ChatResponse) -> Plan:
        """What a round asks for; one that was cut short asks for nothing, its last call may be half of one."""
        may_run = self._rounds < self._config.max_rounds and not _CUT_SHORT.intersection(turn.finish_reasons)
        jobs: list[Job] = []
        waiting: list[ToolCall] = []
        handed = turn.other_calls
        calls = self._speech.calls(turn)
        if self._chosen.mode == "prompt":
            handed += [call.id for call in turn.tool_calls if not self._chosen.hides(call.name)]
            may_run = may_run and not handed  # what the client answers has no place for results that are texts
        for call in calls:
            if not self._chosen.owns(call.name) and self._chosen.mode == "tools":
                handed.append(call.id)
            elif call.name in self._chosen.approval:
                waiting.append(call)
                handed.append(call.id)
            elif may_run:
                jobs.append((call, self._chosen.offer.tools.get(call.name)))
        hides = any(self._chosen.hides(call.name) for call in calls)
        return Plan(jobs=jobs, waiting=waiting, handed=handed, hides=hides or bool(jobs))

    async def _done(
        self, rounds: Rounds, plan: Plan, results: dict[str, ToolResult]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Run a plan's calls; gives what the client sees of it, and fills in ``results``."""
        tools: dict[str, Tool | None] = {call.id: tool for call, tool in plan.jobs}
        for call, tool in plan.jobs:
            for event in self._presenter.begun(rounds, call, tool):
                yield event
        async with aclosing(self._batches.run(plan.jobs)) as ended:
            async for one in ended:
                if one is None:
                    yield StreamEvent(KEEP_ALIVE, self._ctx.layout)
                    continue
                call, called = one
                results[call.id] = called.result
                for event in self._presenter.ended(rounds, call, tools[call.id], called):
                    yield event
        for call in plan.waiting:
            for event in self._presenter.asked(rounds, call):
                yield event

    async def _is_over(
        self, request: ChatRequest, rounds: Rounds, turn: ChatResponse, plan: Plan, results: dict[str, ToolResult]
    ) -> bool:
        """Whether the client's answer ends here; else the next round has been prepared."""
        self._ctx.note("mcp", offered=len(self._chosen.offer.tools), rounds=self._rounds + 1, calls=self._batches.count)
        for call in plan.waiting:
            await self._memory.keep_call(call)
        if plan.handed:
            is_hidden = bool(plan.jobs) or self._rounds > 0
            if is_hidden and not self._chosen.shows_items:
                self._answer(request, turn, plan, results)
                entries = self._next_request(request).messages[self._begun_at :]
                await self._memory.keep_trail(plan.handed, entries)
            return True
        if not plan.jobs:
            return True
        self._answer(request, turn, plan, results)
        rounds.go_on()
        self._rounds += 1
        if self._rounds >= self._config.max_rounds:
            self._speech.conclude(self._next_request(request))
        return False

    def _answer(self, request: ChatRequest, turn: ChatResponse, plan: Plan, results: dict[str, ToolResult]) -> None:
        in_order = {call.id: results[call.id] for call, _ in plan.jobs if call.id in results}
        self._speech.answer(self._next_request(request), turn, in_order)

    def _next_request(self, request: ChatRequest) -> ChatRequest:
        """The request of later rounds; the one that other plugins know stays as the client sent it."""
        if self._own_request is None:
            self._own_request = request.copy()
            self._begun_at = len(self._own_request.messages)
        return self._own_request

    def _finish_reason(self, plan: Plan) -> str | None:
        """``length`` at the limit of rounds, whatever the model made of it."""
        return "length" if self._rounds >= self._config.max_rounds and not plan.handed else None

    # -- parts --------------------------------------------------------------------------------------------------------

    def _new_rounds(self) -> Rounds:
        rounds = Rounds(self._ctx.layout, hides=self._chosen.hides)
        self._presenter.begin(rounds)
        return rounds

    def _is_of(self, call: ToolCall | None, trail: list[dict[str, Any]]) -> bool:
        """Whether a trail is of the call that the client kept: some servers' ids are the same in all conversations."""
        if call is None:
            return True
        kept = ChatRequest(layout=self._ctx.layout)
        kept.messages = trail
        ours = kept.calls().get(call.id)
        if ours is None or call.name != ours.name:
            return ours is None
        return call.malformed is not None or are_alike(call.arguments, ours.arguments)

    def _may_call(self, reply: ChatResponse) -> bool:
        return reply.may_call or (self._chosen.mode == "prompt" and bool(self._speech.calls(reply)))

    async def _run_approved(self, tool: Tool, call: ToolCall) -> Called:
        return await self._caller.run(self._ctx, tool, call, timeout_s=self._config.total_timeout_s)


async def _completed(reply: Stream) -> Completed:
    """A stream that nobody asked for, whole."""
    rounds = Rounds(reply.layout, hides=lambda _: False)
    async with aclosing(rounds.streamed(reply)) as events:
        async for _ in events:
            pass
    return Completed(rounds.turn(), status=reply.status, headers=reply.headers)

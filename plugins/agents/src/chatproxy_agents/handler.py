"""AgentHandler: an agent as a handler of the gateway; one for each configured agent and application."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from chatproxy import ChatRequest, Reply, RequestContext, as_reply
from chatproxy.errors import ApiError, Overloaded, PluginError
from chatproxy_agents.breaker import Breaker
from chatproxy_agents.client import AgentClient, trust_of
from chatproxy_agents.config import Agent
from chatproxy_agents.errors import AgentFailed
from chatproxy_agents.exchange import AgentExchange
from chatproxy_agents.line import Line
from chatproxy_agents.transcript import entries_of

logger = logging.getLogger("chatproxy.agents")

_LEAVE_S = 5.0


class AgentHandler:
    """Answers for one agent.

    Attributes:
        model: its id.
        is_reachable: whether it answered when it was last asked; None before.
    """

    def __init__(self, name: str, agent: Agent) -> None:
        self.name = f"agents:{name}"
        self.model = agent.model or name
        self.agent = agent
        self.line = Line(name, agent.queue_limit, agent.queue_timeout_s)
        self.breaker = Breaker(agent.breaker_failures, agent.breaker_cooldown_s)
        self.is_reachable: bool | None = None
        self._name = name
        self._trust: ssl.SSLContext | bool = False
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self, check_interval_s: float) -> AsyncIterator[None]:
        """Around the application's life."""
        try:
            self._trust = await asyncio.to_thread(trust_of, self.agent)
        except OSError as exc:  # ssl.SSLError is one
            raise PluginError(f"[plugins.agents.agent.{self._name}] ca_file cannot be read: {exc}") from exc
        checking = self._start(self._keep_checking(check_interval_s)) if check_interval_s else None
        try:
            yield
        finally:
            if checking is not None:
                checking.cancel()
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=_LEAVE_S)
                for task in late:
                    task.cancel()
                if late:
                    await asyncio.wait(late)

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Answer a request; a stream begins when the agent has taken the message.

        Raises:
            ApiError: it was refused, or failed.
        """
        entries = entries_of(request, self.agent)
        self._record(ctx)
        self._admit()
        await self.line.enter()
        exchange: AgentExchange | None = None
        try:
            self._admit()
            client = AgentClient(self._name, self.agent, self._trust, headers=_headers(ctx), redact=ctx.app.redact)
            exchange = AgentExchange(self._name, self.agent, ctx, entries, client)
            await exchange.begin()
        except BaseException as error:
            self._count(error)
            self._let_go(exchange)
            raise
        begun = exchange
        pieces = self._counted(exchange.pieces(request, self._succeeded))

        async def close() -> None:
            self._let_go(begun)

        return await as_reply(pieces, model=self.model, stream=request.stream, name=self.name, close=close)

    def report(self) -> Mapping[str, Any]:
        """For ``/health``."""
        if self.line.is_taken:
            state = "working"
        else:
            state = {None: "unknown", True: "idle", False: "unreachable"}[self.is_reachable]
        return {"state": state, "waiting": self.line.waiting, "circuit_breaker_status": self.breaker.state}

    def _let_go(self, exchange: AgentExchange | None) -> None:
        """End an exchange, whose client may be gone, and then let the next request in; once is enough."""
        if exchange is None:
            self.line.leave()
        elif not exchange.is_released:
            exchange.is_released = True
            self._start(self._finish(exchange))

    async def _finish(self, exchange: AgentExchange) -> None:
        try:
            await exchange.finish()
        finally:
            self.line.leave()

    async def _counted(self, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        except AgentFailed as error:
            self._count(error)
            raise

    def _admit(self) -> None:
        wait_s = self.breaker.wait_s
        if wait_s > 0:
            message = f"The agent '{self._name}' has failed repeatedly and is not asked for a while."
            raise Overloaded(message, code="agent_unavailable", retry_after_s=max(1, math.ceil(wait_s)))

    def _succeeded(self) -> None:
        self.is_reachable = True
        self.breaker.succeeded()

    def _count(self, error: BaseException) -> None:
        if not isinstance(error, AgentFailed):
            return
        before = self.breaker.state
        self.breaker.failed()
        if error.code == "agent_unreachable":
            self.is_reachable = False
        if before != "open" and self.breaker.state == "open":
            logger.warning("the agent '%s' is not asked for %.0f s: %s", self._name, self.breaker.wait_s, error.message)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=self.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_checking(self, interval_s: float) -> None:
        while True:
            await self._check()
            await asyncio.sleep(interval_s)

    async def _check(self) -> None:
        """Ask for the status. That it answers says nothing of its answers to messages: the breaker closes by those."""
        try:
            async with AgentClient(self._name, self.agent, self._trust) as client:
                await client.status()
        except ApiError as error:
            if self.is_reachable is not False:
                logger.warning("the agent '%s' does not answer: %s", self._name, error.message)
            self.is_reachable = False
            self._count(error)
        else:
            self.is_reachable = True

    def _record(self, ctx: RequestContext) -> None:
        """Where the request goes, for telemetry."""
        if ctx.attempt is not None:
            parts = urlsplit(self.agent.url)
            ctx.attempt.url = f"{self.agent.url.rstrip('/')}/message"
            ctx.attempt.address = parts.hostname
            ctx.attempt.port = parts.port or (443 if parts.scheme == "https" else 80)


def _headers(ctx: RequestContext) -> dict[str, str]:
    return {"x-request-id": ctx.request_id, "traceparent": ctx.attempt.traceparent if ctx.attempt else ctx.traceparent}

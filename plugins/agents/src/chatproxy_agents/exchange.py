"""AgentExchange: a request's way to an agent and back; who has it has the agent for itself."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from chatproxy import ChatRequest, RequestContext
from chatproxy.errors import ApiError, InvalidRequest
from chatproxy_agents.client import AgentClient
from chatproxy_agents.config import Agent
from chatproxy_agents.memory import Memory, Plan
from chatproxy_agents.transcript import Entry, guarded, prompt_of
from chatproxy_agents.turn import Turn

logger = logging.getLogger("chatproxy.agents")


class AgentExchange:
    """Of one request.

    Args:
        entries: the conversation.
        client: closed at the end.

    Attributes:
        is_released: somebody sees to its end.
    """

    def __init__(
        self, name: str, agent: Agent, ctx: RequestContext, entries: Sequence[Entry], client: AgentClient
    ) -> None:
        self._name = name
        self._agent = agent
        self._ctx = ctx
        self._entries = entries
        self._client = client
        self._memory = Memory(name, agent, ctx, entries)
        self._turn = Turn(name, agent, client)
        self.is_released = False

    async def begin(self) -> None:
        """Give the agent what is new of the conversation.

        Raises:
            ApiError: it does not take it.
        """
        turn = self._turn
        await turn.open()
        plan = await self._memory.plan(last_id=turn.last_id, was_used=turn.was_used)
        told = [entry for entry in self._entries[plan.start :] if plan.whole or entry.role != "assistant"]
        does_reset = plan.anew and self._agent.another_session == "reset"
        names = await self._upload(told)
        prompt = guarded(prompt_of(told, names, whole=plan.whole, anew=plan.anew and not does_reset), self._agent)
        self._note(plan, len(names))
        if does_reset:
            await turn.send(self._agent.reset_command)
            await turn.settled()
        before = turn.last_id
        await turn.send(prompt)
        await self._memory.began(before)  # not earlier: what it was not given it would never be told

    async def pieces(self, request: ChatRequest, succeeded: Callable[[], None]) -> AsyncGenerator[str, None]:
        """The answer; what was said is known before its last piece is over."""
        said: list[str] = []
        async with aclosing(self._turn.pieces(is_streamed=request.stream)) as pieces:
            async for piece in pieces:
                said.append(piece)
                yield piece
        succeeded()
        await self._memory.ended("".join(said), self._turn.last_id)

    async def finish(self) -> None:
        """Stop the agent where its answer is not over, and let go of it."""
        try:
            if self._turn.was_sent and not self._turn.is_over and self._agent.interrupt:
                await self._turn.interrupt()
                logger.info("the agent '%s' was interrupted: its client has left, or its answer failed", self._name)
        except ApiError as error:
            logger.warning("the agent '%s' could not be interrupted: %s", self._name, error.message)
        finally:
            await self._turn.aclose()
            await self._client.__aexit__()

    async def _upload(self, entries: Sequence[Entry]) -> dict[int, str]:
        files = [file for entry in entries for file in entry.files]
        if len(files) > self._agent.max_uploads:
            message = f"The messages have {len(files)} files, this agent takes {self._agent.max_uploads}."
            raise InvalidRequest(message, param="messages", code="too_many_files")
        return {
            id(file): self._agent.file_reference.replace("{path}", await self._client.upload(file.name, file.data))
            for file in files
        }

    def _note(self, plan: Plan, files: int) -> None:
        conversation = "continued" if not plan.whole else "replaced" if plan.anew else "new"
        self._ctx.note("agents", agent=self._name, conversation=conversation, files=files)

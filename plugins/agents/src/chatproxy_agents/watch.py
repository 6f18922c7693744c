"""Watch: an agent's events, read as fast as they come into the state they tell, whoever looks at it and when.

Each event holds a whole message, so only the last one counts: a slow client costs no memory, and never makes the
agent's server drop us as a slow reader.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Self

from chatproxy.errors import ApiError
from chatproxy_agents import wire
from chatproxy_agents.client import AgentClient
from chatproxy_agents.errors import AgentFailed

_MOST_MESSAGES = 256


class Watch:
    """A context manager; leaving it ends the reading.

    Args:
        floor: messages below this id are not kept; None: none is.

    Attributes:
        status: the last one told; None until the replay of the state is over.
        last_id: the highest id of a message, -1 where there is none.
        was_used: whether a user has said something.
        has_run: whether the agent was at work since `expect`.
        error: why nothing comes any more.
    """

    def __init__(self, client: AgentClient, name: str, floor: int | None = None) -> None:
        self._client = client
        self._name = name
        self._floor = floor
        self._kept: dict[int, wire.MessageUpdate] = {}
        self.status: wire.Status | None = None
        self.last_id = -1
        self.was_used = False
        self.has_run = False
        self.error: ApiError | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read(), name=f"agent-events-{self._name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def expect(self) -> None:
        """From now on: keep messages, and see whether the agent works."""
        self._floor = self.last_id + 1
        self.has_run = False

    def messages(self) -> list[wire.Message]:
        """Those that were kept, in their order."""
        return [
            wire.Message(id=at, role=self._kept[at].role, content=self._kept[at].message) for at in sorted(self._kept)
        ]

    def count_users(self) -> int:
        """How many of them are users'."""
        return sum(message.role == "user" for message in self._kept.values())

    async def changed(self, timeout_s: float) -> bool:
        """Wait until something new was told, or nothing comes any more; False where it took too long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    async def _read(self) -> None:
        try:
            async with aclosing(self._client.events()) as events:
                async for event in events:
                    self._take(event)
            self.error = AgentFailed(f"The agent '{self._name}' broke off.", code="agent_disconnected")
        except ApiError as error:
            self.error = error
        finally:
            if self.error is None:
                self.error = AgentFailed(f"The agent '{self._name}' could not be watched.")
            self._changed.set()

    def _take(self, event: wire.MessageUpdate | wire.StatusReport) -> None:
        if isinstance(event, wire.StatusReport):
            self.status = event.status
            self.has_run = self.has_run or event.status == "running"
        else:
            self.last_id = max(self.last_id, event.id)
            self.was_used = self.was_used or event.role == "user"
            if self._floor is not None and event.id >= self._floor:
                self._kept[event.id] = event
                if len(self._kept) > _MOST_MESSAGES:
                    message = f"The agent '{self._name}' tells of more messages than an answer has."
                    raise AgentFailed(message, code="agent_invalid_answer")
        self._changed.set()

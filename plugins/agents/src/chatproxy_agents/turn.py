"""Turn: one message to an agent and its answer, over a `Watch` that is renewed where it breaks off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from chatproxy.errors import Overloaded
from chatproxy_agents import wire
from chatproxy_agents.client import AgentClient
from chatproxy_agents.config import Agent
from chatproxy_agents.errors import AgentFailed, AgentTimeout
from chatproxy_agents.screen import Screen
from chatproxy_agents.watch import Watch

_SHORTEST_WAIT_S = 0.005
_RECONNECT_S = 0.1
_RETRY_S = 0.2
_PACE_S = 0.05


class Answer(NamedTuple):
    """What an agent's messages say in answer to one.

    Attributes:
        user_id: of the message that is answered; None where it is not among them.
        text: of the agent's messages behind it; None where there is none.
        is_closed: somebody else's message follows, so that this changes no more.
    """

    user_id: int | None = None
    text: str | None = None
    is_closed: bool = False


def answer_in(messages: Sequence[wire.Message], floor: int) -> Answer:
    """The answer to the first message of a user from the id ``floor`` on."""
    user_id: int | None = None
    texts: list[str] = []
    for message in messages:
        if message.id < floor:
            continue
        if message.role == "user":
            if user_id is not None:
                return Answer(user_id, "\n\n".join(texts), is_closed=True)
            user_id = message.id
        elif user_id is not None:
            texts.append("\n".join(line.rstrip() for line in message.content.splitlines()))
    return Answer(user_id, "\n\n".join(texts) if texts else None)


class Turn:
    """Several messages may follow each other: `send`, `pieces` or `settled`, and `send` again.

    Attributes:
        was_sent: a message is with the agent, or on its way.
        is_over: and it has been answered.
    """

    def __init__(self, name: str, agent: Agent, client: AgentClient) -> None:
        self._name = name
        self._agent = agent
        self._client = client
        self._watch = Watch(client, name)
        self._floor = 0
        self._reconnects = 0
        self._heard_s = 0.0
        self._deadline_s = 0.0
        self._is_confirmed = False
        self.was_sent = False
        self.is_over = False

    @property
    def last_id(self) -> int:
        """The highest id of the agent's messages; -1 where there is none."""
        return self._watch.last_id

    @property
    def was_used(self) -> bool:
        """Whether somebody has talked to the agent."""
        return self._watch.was_used

    async def open(self) -> None:
        """Watch the agent, and wait until it takes a message.

        Raises:
            Overloaded: it works on something else (503).
            AgentFailed: it cannot be watched.
        """
        await self._watch.__aenter__()
        await self._replayed()
        await self._stable(time.monotonic() + self._agent.stable_timeout_s)

    async def send(self, content: str) -> None:
        """Give the agent a message; its events are kept from now on.

        Raises:
            Overloaded: somebody else is always quicker (503).
            AgentFailed: it cannot be had to take it.
        """
        until_s = time.monotonic() + self._agent.stable_timeout_s
        while not await self._sent(content):
            await asyncio.sleep(_RETRY_S)
            await self._stable(until_s)
        self._heard_s = time.monotonic()
        self._deadline_s = self._heard_s + self._agent.answer_timeout_s

    async def pieces(self, *, is_streamed: bool) -> AsyncGenerator[str, None]:
        """The answer's text: as it comes, with an empty piece where none comes for long; or in one piece.

        Raises:
            AgentFailed: it broke off, or cannot be read.
            AgentTimeout: it does not come to an end.
        """
        screen = Screen(self._agent.hold_lines, self._agent.settle_s)
        said_s, looked_s = time.monotonic(), 0.0
        while (final := await self._final()) is None:
            now_s = time.monotonic()
            if is_streamed and now_s - looked_s >= _PACE_S:  # a screen is told 40 times a second, and whole
                looked_s = now_s
                piece = screen.show(self._answer().text or "", now_s)
                if piece or now_s - said_s >= self._agent.keepalive_s:
                    said_s = now_s
                    yield piece
            waits_s = self._agent.settle_s if screen.is_waiting else self._agent.keepalive_s
            await self._wait(_PACE_S if is_streamed and looked_s < now_s else waits_s)
        self.is_over = True
        yield screen.end(final)

    async def settled(self) -> None:
        """Wait until the agent is done with a message that needs no answer."""
        while not self._is_done():
            await self._wait(self._agent.probe_s)
        self.is_over = True

    async def interrupt(self) -> None:
        """Type what stops the agent."""
        await self._client.send(self._agent.interrupt, "raw")

    async def aclose(self) -> None:
        """Stop watching."""
        await self._watch.__aexit__()

    async def _sent(self, content: str) -> bool:
        """False where another person, or another worker, has given the agent something just before."""
        self._watch.expect()
        self._floor = self._watch.last_id + 1
        self.was_sent, self.is_over = True, False
        try:
            await self._client.send(content)
        except Overloaded:
            self.was_sent = False
        return self.was_sent

    async def _stable(self, until_s: float) -> None:
        """Wait until the agent takes a message."""
        while self._watch.status != "stable" or time.monotonic() >= until_s:
            if self._watch.error is not None:
                raise self._watch.error
            if not await self._watch.changed(max(0.0, until_s - time.monotonic())):
                limit_s = self._agent.stable_timeout_s
                message = f"The agent '{self._name}' works on something else, for over {limit_s:g} s."
                raise Overloaded(message, code="agent_busy", retry_after_s=max(1, min(round(limit_s), 60)))

    def _answer(self) -> Answer:
        return answer_in(self._watch.messages(), self._floor)

    def _is_done(self) -> bool:
        return self._watch.status == "stable" and (self._watch.has_run or self._is_confirmed)

    async def _final(self) -> str | None:
        """The whole answer, as the agent's list of messages has it; None while it works."""
        if not self._is_done() and self._watch.count_users() < 2:
            return None
        answer = answer_in(await self._client.messages(), self._floor)
        if answer.user_id is None:
            raise self._restarted()
        if answer.is_closed:
            return answer.text or ""
        if self._watch.status != "stable" or (answer.text is None and not self._is_confirmed):
            return None
        return answer.text or ""

    async def _wait(self, longest_s: float) -> None:
        """Until something was told, or there is something to do."""
        agent, now_s = self._agent, time.monotonic()
        if now_s >= self._deadline_s:
            raise AgentTimeout(f"The agent '{self._name}' came to no end within {agent.answer_timeout_s:g} s.")
        probe_s = self._heard_s + agent.probe_s - now_s
        wait_s = min(self._deadline_s - now_s, probe_s, longest_s)
        if await self._watch.changed(max(wait_s, _SHORTEST_WAIT_S)):
            self._heard_s = time.monotonic()
            self._is_confirmed = False
        elif time.monotonic() >= self._heard_s + agent.probe_s:
            await self._probe()
        await self._recover()

    async def _probe(self) -> None:
        """Nothing was told for long: ask."""
        found = (await self._client.status()).status
        self._heard_s = time.monotonic()
        if found == self._watch.status:
            self._is_confirmed = found == "stable"
            return
        await self._watch_again()  # the events lag behind, or have stopped without an end

    async def _recover(self) -> None:
        """Take up events that broke off."""
        while (error := self._watch.error) is not None:
            if error.code != "agent_disconnected" or self._reconnects >= self._agent.reconnects:
                raise error
            await asyncio.sleep(_RECONNECT_S * self._reconnects)
            await self._watch_again()

    async def _watch_again(self) -> None:
        self._reconnects += 1
        await self._watch.__aexit__()
        self._watch = await Watch(self._client, self._name, self._floor).__aenter__()
        self._watch.has_run = True  # whether it was told so may be what was lost
        await self._replayed(is_again=True)
        if self._watch.error is None and self._watch.last_id < self._floor - 1:
            raise self._restarted()

    async def _replayed(self, *, is_again: bool = False) -> None:
        """Wait until the state is known."""
        limit_s = self._agent.request_timeout_s
        until_s = time.monotonic() + limit_s
        while self._watch.status is None:
            error = self._watch.error
            if error is not None:
                if is_again and error.code == "agent_disconnected":
                    return  # and the next attempt is counted
                raise error
            if not await self._watch.changed(max(0.0, until_s - time.monotonic())):
                raise AgentTimeout(f"The agent '{self._name}' did not tell its state for {limit_s:g} s.")

    def _restarted(self) -> AgentFailed:
        message = f"The agent '{self._name}' no longer knows the message: it was started anew."
        return AgentFailed(message, code="agent_restarted")

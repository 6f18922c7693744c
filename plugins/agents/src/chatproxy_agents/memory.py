"""Memory: which conversation an agent is in, so that it is told only what is new.

Kept in the gateway's session store; what was said is kept as a digest alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from chatproxy import RequestContext
from chatproxy.errors import Reject
from chatproxy.types import SessionStore
from chatproxy_agents.config import Agent
from chatproxy_agents.transcript import Entry, digest_of, last_turn

logger = logging.getLogger("chatproxy.agents")

_NAMESPACE = "agents"
_TTL_S = 30 * 86_400.0


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent was told.

    Attributes:
        session: as `RequestContext.session_id`.
        owner: the principal's id.
        count: of the messages that it knows, its own last answer included.
        digest: of these.
        is_open: its answer to them did not come to an end, so that it is in none of them.
        last_id: of the agent's messages; lower ones later mean that it was started anew.
        used_s: Unix time.
    """

    session: str | None
    owner: str
    count: int
    digest: str
    is_open: bool
    last_id: int
    used_s: float


class Plan(NamedTuple):
    """What to tell the agent.

    Attributes:
        start: the first message that is new.
        whole: nothing of the conversation is known to it.
        anew: it is in another conversation.
    """

    start: int
    whole: bool
    anew: bool


class Memory:
    """Of one agent, for one request.

    Args:
        entries: the whole conversation, as the client sent it.
    """

    def __init__(self, name: str, agent: Agent, ctx: RequestContext, entries: Sequence[Entry]) -> None:
        self._name = name
        self._agent = agent
        self._store: SessionStore = ctx.app.session_store
        self._session = ctx.session_id
        self._owner = "" if ctx.principal is None else ctx.principal.id
        self._entries = entries

    async def plan(self, *, last_id: int, was_used: bool) -> Plan:
        """Compare the conversation with what the agent knows.

        Args:
            last_id: of its messages now.
            was_used: somebody has talked to it.

        Raises:
            Reject: it is in another conversation, and does not leave it (409).
        """
        known = await self._load()
        if known is None or known.last_id > last_id:
            return Plan(0, whole=True, anew=was_used)
        start = self._continued(known)
        if start is not None:
            return Plan(start, whole=False, anew=False)
        is_idle = time.time() - known.used_s > self._agent.session_idle_s
        if self._agent.another_session == "refuse" and not is_idle:
            raise Reject(
                f"The agent '{self._name}' is in another conversation.", status=409, code="agent_session_conflict"
            )
        return Plan(0, whole=True, anew=True)

    async def began(self, last_id: int) -> None:
        """Keep that the agent was given all of it, and answers."""
        await self._keep(self._entries, last_id, is_open=True)

    async def ended(self, answer: str, last_id: int) -> None:
        """Keep what it answered, as the client got it."""
        await self._keep([*self._entries, Entry("assistant", (answer,))], last_id, is_open=False)

    def _continued(self, known: Known) -> int | None:
        """The first message that is new; None where the conversation is another one."""
        entries, count = self._entries, known.count
        if known.owner != self._owner:
            return None
        if len(entries) >= count and digest_of(entries[:count], self._owner) == known.digest:
            if known.is_open and len(entries) == count:
                return last_turn(entries)  # asked once more after a failure
            if known.is_open and entries[count].role == "assistant":
                count += 1  # what came of the answer
            if len(entries) > count:
                return count
        if self._session is not None and self._session == known.session:
            return last_turn(entries)
        return None

    async def _load(self) -> Known | None:
        data = await self._store.get(_NAMESPACE, self._name)
        try:
            return None if data is None else msgspec.json.decode(data, type=Known)
        except msgspec.DecodeError:
            logger.warning("what is stored of the agent '%s' cannot be read, and is left alone", self._name)
            return None

    async def _keep(self, entries: Sequence[Entry], last_id: int, *, is_open: bool) -> None:
        known = Known(
            session=self._session,
            owner=self._owner,
            count=len(entries),
            digest=digest_of(entries, self._owner),
            is_open=is_open,
            last_id=last_id,
            used_s=time.time(),
        )
        await self._store.put(_NAMESPACE, self._name, msgspec.json.encode(known), ttl_s=_TTL_S)

"""Sessions: what the hooks call to begin, resume and store conversations.

Rule: a turn is stored before the client gets the end of its answer. What is stored is the conversation as the client
may see it: what a guard took out for good is not in it, what it only hid from the model is. It goes through the guards
again when the session is resumed, so that placeholders of different exchanges never meet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from chatproxy import ChatRequest, ChatResponse, Exchange, RequestContext, StreamEvent
from chatproxy_platform.clock import new_id
from chatproxy_platform.config import SessionsConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.sessions import transcript
from chatproxy_platform.sessions.aligning import standing
from chatproxy_platform.sessions.composing import Asked, composed, title_of
from chatproxy_platform.sessions.fields import taken_from
from chatproxy_platform.sessions.forms import SURFACES, groups_of, lead_of
from chatproxy_platform.sessions.reply import Answer, Hearing
from chatproxy_platform.sessions.running import (
    STATE,
    Running,
    agent_of,
    instruct_again,
    organization_of,
    owner_of,
    running_of,
    tokens_of,
)
from chatproxy_platform.sessions.turns import KeptTurn
from chatproxy_platform.sessions.writer import Writer
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool

logger = logging.getLogger("chatproxy.platform")
HEADER = "x-chatproxy-session-id"
_LARGE_BYTES = 256 << 10
_MAX_LATE = 10_000
_CLOSE_LIMIT_S = 10.0

Events = AsyncIterator[StreamEvent]


class Sessions:
    """The conversations of one application; open it before use.

    Args:
        spool: takes turns while the database does not.
    """

    def __init__(self, database: Database, spool: Spool, config: SessionsConfig) -> None:
        self._database = database
        self._config = config
        self.writer = Writer(database, spool)
        self._late: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to write; what an earlier process left in the spool is written first."""
        self.writer.open()

    async def aclose(self) -> None:
        """Write what waits, within a limit."""
        await self.settled()
        await self.writer.aclose()

    async def settled(self) -> None:
        """Wait, within a limit, until the turns that were left half-way are stored."""
        if self._late:
            await asyncio.wait(self._late, timeout=_CLOSE_LIMIT_S)

    # -- the request ---------------------------------------------------------------------------------------------------

    async def begin(self, ctx: RequestContext, identity: Identity | None, request: ChatRequest) -> None:
        """Find the request's session, and put its transcript in front where only the new turn was sent.

        Raises:
            InvalidRequest: a field has another form than it may have (400).
            PermissionDenied: it names an organization that is not the key's (403).
            StorageUnavailable: the session cannot be looked up (503).
            Conflict: the session cannot go on on this surface (409).
        """
        fields = taken_from(request)
        if fields.system_prompt is not None:
            request.instruct(fields.system_prompt, "prepend")
        if not self._config.enabled or ctx.surface not in SURFACES or ctx.depth:  # what models ask models is no turn
            return
        session_id = fields.session_id or new_id("session")
        ctx.reply_headers[HEADER] = (
            session_id if session_id.isprintable() and session_id.isascii() else quote(session_id)
        )
        user = fields.user or (identity.user_id if identity is not None else None)
        owner = owner_of(ctx, identity)
        running = Running(
            session_id=session_id,
            key=(owner or "", user or "", session_id),
            is_new=fields.session_id is None,
            metadata=fields.metadata,
        )
        ctx.state[STATE], ctx.session_id = running, session_id
        if user is not None and owner is not None:
            running.organization_id = organization_of(identity, fields)
            await self._join(ctx, request, running)

    async def _join(self, ctx: RequestContext, request: ChatRequest, running: Running) -> None:
        stored = None if running.is_new else await self._stored(running.key)
        lead, count = lead_of(request)
        entries = request.messages
        rest = entries[count:]
        groups = groups_of(ctx.surface, rest)
        stands = standing(groups, stored.lines if stored is not None else ())
        new = rest[sum(len(group.entries) for group in groups[: stands.known]) :]
        running.new_entries = len(new)
        running.asked = Asked(
            surface=ctx.surface,
            sent=msgspec.json.encode(new),
            sent_lead=lead,
            known_lead=stored.lead if stored is not None else [],
            after=stands.after,
        )
        if stored is not None and stands.in_front:
            await self._put_in_front(ctx, request, stored, entries[:count], rest)
            if not lead:
                running.asked.sent_lead = stored.lead
                instruct_again(request, stored.lead)

    async def _stored(self, key: tuple[str, str, str]) -> transcript.Transcript | None:
        await self.writer.catch_up()
        return await transcript.load(self._database, key, self._config.max_messages)

    async def _put_in_front(
        self, ctx: RequestContext, request: ChatRequest, stored: transcript.Transcript, own: list[Any], rest: list[Any]
    ) -> None:
        media = await transcript.media_of(self._database, stored)
        if media:
            earlier = await asyncio.to_thread(stored.entries, ctx.surface, ctx.app.entries_of, media)
        else:
            earlier = stored.entries(ctx.surface, ctx.app.entries_of, media)
        request.messages = [*own, *earlier, *rest]

    def accepted(self, ctx: RequestContext, request: ChatRequest) -> None:
        """Take what is new in a request as the guards left it; before a handler, or a plugin around it, adds to it."""
        running = running_of(ctx)
        if running is None or running.asked is None or running.is_accepted:
            return
        running.is_accepted = True
        entries = request.messages
        running.asked.accepted = msgspec.json.encode(entries[max(0, len(entries) - running.new_entries) :])
        running.asked.lead = lead_of(request)[0]
        running.asked.view = ctx.client_view

    # -- the answer ----------------------------------------------------------------------------------------------------

    def transform(self, ctx: RequestContext, request: ChatRequest) -> Callable[[Events], Events] | None:
        """What tells the session in a stream and stores it before its end; None where there is nothing to do."""
        running = running_of(ctx)
        if running is None or (running.asked is None and ctx.surface != "chat"):
            return None
        self.accepted(ctx, request)
        running.hearing = hearing = Hearing(ctx.surface)
        is_chat, is_kept = ctx.surface == "chat", running.asked is not None

        async def told(events: Events) -> Events:
            async for event in events:
                data = event.data
                if is_chat:
                    data["system_fingerprint"] = running.session_id
                    event.mark_changed()
                if is_kept:
                    hearing.add(data)
                    if hearing.is_last(event):
                        await self._settle(ctx, request, running, hearing.answer(ctx.exchange.model))
                yield event
            await self._settle(ctx, request, running, hearing.answer(ctx.exchange.model))

        return told

    async def complete(self, ctx: RequestContext, request: ChatRequest, response: ChatResponse) -> None:
        """Tell the session in a whole answer, and store it.

        Raises:
            StorageUnavailable: it could not be stored, not even to be stored later (503).
        """
        running = running_of(ctx)
        if running is None:
            return
        if ctx.surface == "chat":
            response["system_fingerprint"] = running.session_id
        if running.asked is not None:
            self.accepted(ctx, request)
            await self._settle(ctx, request, running, Answer.of(ctx.surface, response))

    def ended(self, ctx: RequestContext, exchange: Exchange) -> None:
        """Keep what there is of an exchange that ended before its answer did."""
        running = running_of(ctx)
        if running is None or running.is_settled or not running.is_accepted or running.asked is None:
            return
        running.is_settled = True
        answer = None if running.hearing is None else running.hearing.answer(exchange.model)
        if answer is None and exchange.outcome != "client_disconnected":
            return
        if len(self._late) >= _MAX_LATE:
            logger.error("a turn that was left half-way is not kept: %d are being written", len(self._late))
            return
        task = asyncio.get_running_loop().create_task(
            self._keep_late(ctx, running, answer, exchange.outcome), name="session-turn"
        )
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _keep_late(self, ctx: RequestContext, running: Running, answer: Answer | None, why: str) -> None:
        try:
            await self.writer.put(await self._turn(ctx, running, answer, ctx.request, incomplete=why))
        except StorageUnavailable:
            logger.exception(
                "a turn that was left half-way is not kept: no storage", extra={"request_id": ctx.request_id}
            )

    async def _settle(self, ctx: RequestContext, request: ChatRequest, running: Running, answer: Answer | None) -> None:
        """Store the turn, once."""
        if running.is_settled or running.asked is None:
            return
        running.is_settled = True
        try:
            await self.writer.put(await self._turn(ctx, running, answer, request))
        except StorageUnavailable:
            logger.exception("a turn of a session is not kept: no storage", extra={"request_id": ctx.request_id})
            if self._config.on_failure == "fail_closed":
                raise

    async def _turn(
        self,
        ctx: RequestContext,
        running: Running,
        answer: Answer | None,
        request: ChatRequest | None,
        *,
        incomplete: str | None = None,
    ) -> KeptTurn:
        asked = running.asked
        if asked is None:
            raise RuntimeError("the session is not kept")
        entries, others = ((), ()) if answer is None else (answer.entries, answer.others)
        why = incomplete or (answer.failure if answer is not None else None)
        compose = partial(composed, asked, entries, others, incomplete=why, config=self._config)
        is_large = len(asked.accepted) > _LARGE_BYTES or (answer is not None and answer.size_bytes > _LARGE_BYTES)
        messages, media = await asyncio.to_thread(compose) if is_large else compose()
        tokens_in, tokens_out = tokens_of(answer, request)
        for message in reversed(messages):
            if message.role == "assistant":
                message.tokens = tokens_out
                break
        owner, user_id, session_id = running.key
        return KeptTurn(
            turn_id=ctx.request_id,
            session_id=session_id,
            owner=owner,
            user_id=user_id,
            organization_id=running.organization_id,
            surface=ctx.surface,
            is_first=running.is_new,
            model=ctx.exchange.model.replace("\0", "")[:200],
            agent_type=agent_of(running.metadata.get("workflow")),
            title=title_of(messages),
            metadata=running.metadata,
            messages=messages,
            media=media,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
        )

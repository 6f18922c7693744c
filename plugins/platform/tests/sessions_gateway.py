"""A gateway whose only plugin of the platform is its sessions, for tests before and beside the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from chatproxy_platform.config import SessionsConfig
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.sessions.recorder import Sessions
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.storage.tables import ChatMessage, ChatSession
from sqlalchemy import select

from chatproxy import ChatRequest, ChatResponse, Principal, RequestContext, hookimpl
from chatproxy.testing import Gateway, make_app

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


class Plugin:
    """The hooks as the platform has them; the bearer token is the user's id, ``<user>@<organization>``."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        token = headers.get("authorization", "Bearer ").removeprefix("Bearer ")
        name, _, organization = token.partition("@")
        identity = Identity(
            id=f"key_{name or 'nobody'}",
            key_id=name or "nobody",
            user_id=None if name.startswith("key-") or not name else name,
            organization_id=organization or None,
            owner=f"key:{name}" if name.startswith("key-") or not name else f"user:{name}",
            role="platform_admin" if name == "admin" else "user",
        )
        ctx.state["test"] = identity
        return Principal(id=identity.id)

    @hookimpl(tryfirst=True, before=["guardrails"])
    async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
        await self.sessions.begin(ctx, ctx.state["test"], request)
        ctx.at_end(lambda exchange: self.sessions.ended(ctx, exchange))

    @hookimpl(tryfirst=True)
    async def select_handler(self, ctx: RequestContext, request: ChatRequest) -> None:
        self.sessions.accepted(ctx, request)

    @hookimpl(tryfirst=True, before=["guardrails"])
    async def transform_stream(self, ctx: RequestContext, request: ChatRequest) -> Any:
        return self.sessions.transform(ctx, request)

    @hookimpl(tryfirst=True, before=["guardrails"])
    async def before_response(self, ctx: RequestContext, request: ChatRequest, response: ChatResponse) -> None:
        await self.sessions.complete(ctx, request, response)


class Running:
    """A gateway, and what it has stored."""

    def __init__(self, gateway: Gateway, sessions: Sessions, database: Database, spool: Spool) -> None:
        self.gateway = gateway
        self.sessions = sessions
        self.database = database
        self.spool = spool

    async def ask(
        self, text: str | None = "hi", *, surface: str = "chat", user: str = "ann", stream: bool = False, **fields: Any
    ) -> Any:
        """Ask on a surface; the whole answer."""
        body = question(surface, text, stream=stream, **fields)
        return await self.gateway.client.post(PATHS[surface], json=body, headers={"authorization": f"Bearer {user}"})

    async def messages(self, session_id: str | None = None) -> list[Any]:
        """The stored messages, of one session or of all, in their order."""
        query = (
            select(ChatMessage)
            .join(ChatSession, ChatSession.row_id == ChatMessage.session_row)
            .order_by(ChatMessage.session_row, ChatMessage.message_index)
        )
        if session_id is not None:
            query = query.where(ChatSession.id == session_id)
        async with self.database.read() as session:
            return list((await session.execute(query)).scalars())

    async def sessions_stored(self) -> list[Any]:
        """The stored sessions, in the order in which they were made."""
        async with self.database.read() as session:
            return list((await session.execute(select(ChatSession).order_by(ChatSession.row_id))).scalars())

    async def said(self, session_id: str | None = None) -> list[tuple[str, Any]]:
        """Role and content of the stored messages."""
        return [(message.role, message.content) for message in await self.messages(session_id)]

    @property
    def sent(self) -> list[Any]:
        """What the upstream was asked, decoded."""
        return [seen.json for seen in self.gateway.upstream.requests]  # type: ignore[attr-defined]


def question(surface: str, text: str | None, *, stream: bool, **fields: Any) -> dict[str, Any]:
    """A request body of a surface."""
    body: dict[str, Any] = {"model": "scripted", "stream": stream, **fields}
    entries = [] if text is None else [{"role": "user", "content": text}]
    key = "input" if surface == "responses" else "messages"
    body.setdefault(key, entries)
    if surface == "messages":
        body.setdefault("max_tokens", 100)
    return body


@asynccontextmanager
async def running(
    database: Database,
    directory: Path,
    *,
    plugins: tuple[Any, ...] = (),
    config: SessionsConfig | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """A gateway with sessions over a database.

    Args:
        plugins: more of them.
        options: as `make_app` takes them.
    """
    spool = Spool(directory / "spool", 64 << 20)
    sessions = Sessions(database, spool, config or SessionsConfig())
    await sessions.open()
    try:
        async with make_app(plugins=[*plugins, Plugin(sessions)], **options) as gateway:
            yield Running(gateway, sessions, database, spool)
    finally:
        await sessions.aclose()
        await spool.aclose()


def events_in(body: bytes) -> list[Any]:
    """The JSON events of a stream."""
    lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: {")]
    return [msgspec.json.decode(line) for line in lines]

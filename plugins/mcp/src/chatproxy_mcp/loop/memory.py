"""Memory: what one request leaves for the client's next one, by the id of a call that the client was given.

Rule: it belongs to the principal. What is not found any more is no error: the conversation goes on with what the client
sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from chatproxy import RequestContext, ToolCall, ToolResult
from chatproxy.errors import ApiError
from chatproxy_mcp.tenants import owner_of

COUNTING = "count_tokens"  # a surface whose conversations are those of messages
STORE_LIMIT_S = 5.0
_NAMESPACE = "mcp"
_MAX_ID = 256
_AT_ONCE = 32  # reads of a store that may be far away
_encode = msgspec.json.Encoder().encode


class Pending(msgspec.Struct, kw_only=True):
    """A call that waits for the client's word, or has had it.

    Attributes:
        name: of the tool, as models know it.
        malformed: what the model wrote where that was no JSON object.
        is_begun: it was approved, and the server asked.
        result: of the call, once it was run or refused.
    """

    name: str
    arguments: dict[str, Any]
    malformed: str | None = None
    is_begun: bool = False
    result: ToolResult | None = None


class _Trail(msgspec.Struct, kw_only=True):
    entries: list[dict[str, Any]] = msgspec.field(default_factory=list)
    kept_at: str = ""  # the call under which the entries are


_pending = msgspec.json.Decoder(Pending).decode
_trail = msgspec.json.Decoder(_Trail).decode


class Memory:
    """Of one exchange, in the application's session store."""

    def __init__(self, ctx: RequestContext, ttl_s: float) -> None:
        self._store = ctx.app.session_store
        self._owner = owner_of(ctx)
        self._surface = "messages" if ctx.surface == COUNTING else ctx.surface
        self._ttl_s = ttl_s

    # -- hidden turns -------------------------------------------------------------------------------------------------

    async def keep_trail(self, calls: Iterable[str], entries: list[dict[str, Any]]) -> None:
        """Keep what was added to a conversation, for the client's answer to any of these calls."""
        first = ""
        for call_id in calls:
            trail = _Trail(kept_at=first) if first else _Trail(entries=entries)
            first = first or call_id
            await self._put(f"trail:{self._surface}", call_id, trail)

    async def trails(self, calls: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """What was kept, by the call's id."""
        ids = list(calls)
        found: dict[str, list[dict[str, Any]]] = {}
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            kept = await asyncio.gather(*map(self._entries, some))
            found.update((call_id, entries) for call_id, entries in zip(some, kept, strict=True) if entries)
        return found

    async def _entries(self, call_id: str) -> list[dict[str, Any]]:
        trail = await self._get_trail(call_id)
        if trail is not None and trail.kept_at:
            trail = await self._get_trail(trail.kept_at)
        return [] if trail is None else trail.entries

    async def _get_trail(self, call_id: str) -> _Trail | None:
        value = await self._get(f"trail:{self._surface}", call_id)
        return None if value is None else _trail(value)

    # -- calls that wait ----------------------------------------------------------------------------------------------

    async def keep_call(self, call: ToolCall) -> None:
        """Keep a call that waits for the client's word."""
        pending = Pending(name=call.name, arguments=call.arguments, malformed=call.malformed)
        await self._put("call", call.id, pending)

    async def call(self, call_id: str) -> Pending | None:
        """A call that was kept."""
        value = await self._get("call", call_id)
        return None if value is None else _pending(value)

    async def keep_begin(self, call_id: str, pending: Pending) -> None:
        """Keep that a call is run now, so that a client that leaves and comes again does not run it twice."""
        await self._put("call", call_id, msgspec.structs.replace(pending, is_begun=True))

    async def keep_result(self, call_id: str, pending: Pending, result: ToolResult) -> None:
        """Keep what became of a call, since clients send the whole conversation again and again."""
        await self._put("call", call_id, msgspec.structs.replace(pending, result=result))

    def locked(self, call_id: str) -> AbstractAsyncContextManager[None]:
        """While a call is decided, so that a repeated request does not run it twice."""
        return self._store.lock(_NAMESPACE, self._key("call", call_id))

    # -- the store ----------------------------------------------------------------------------------------------------

    def _key(self, kind: str, call_id: str) -> str:
        """A key that no other owner and call make, whatever characters their ids have."""
        return f"{kind}:{len(self._owner)}:{self._owner}:{call_id}"

    async def _put(self, kind: str, call_id: str, value: Any) -> None:
        if len(call_id) <= _MAX_ID:
            async with _deadline():
                await self._store.put(_NAMESPACE, self._key(kind, call_id), _encode(value), ttl_s=self._ttl_s)

    async def _get(self, kind: str, call_id: str) -> bytes | None:
        if len(call_id) > _MAX_ID:
            return None
        async with _deadline():
            return await self._store.get(_NAMESPACE, self._key(kind, call_id))


@asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    """The store may be a plugin's and far away; at the end of a stream nothing else limits the wait for it."""
    try:
        async with asyncio.timeout(STORE_LIMIT_S):
            yield
    except TimeoutError as exc:
        raise ApiError("The session store did not answer.", status=503, code="session_store_failed") from exc

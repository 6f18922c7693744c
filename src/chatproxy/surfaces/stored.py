"""StoredResponses: the responses that the gateway keeps, over the application's session store.

Rule: a record is found only by its owner; a foreign id is an unknown id. Bodies are kept as the bytes they were, and
every wait for the store has a limit, for it may be a plugin's and far away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import msgspec

from chatproxy.errors import ApiError, InvalidRequest, NotFound
from chatproxy.logs import RateLimited
from chatproxy.plugins.sessions import MemorySessionStore
from chatproxy.types.context import RequestContext
from chatproxy.types.model import SessionStore

T = TypeVar("T")

NAMESPACE = "responses"
STORE_LIMIT_S = 5.0
MOST_TURNS = 1_000
MOST_BYTES = 64 << 20
OPEN = frozenset({"queued", "in_progress"})
"""States of a response that still runs."""

_ITEMS = "responses.items"
_LONGEST_ID = 256
_NULL = msgspec.Raw(b"null")

logger = logging.getLogger("chatproxy.surfaces")


class Record(msgspec.Struct, kw_only=True, frozen=True):
    """One stored response.

    Attributes:
        owner: who may see it, as `owner_of` says.
        created_at: Unix seconds.
        input: the request's ``input`` as the client sent it, with references to items resolved.
        response: the response object as the client got it.
        background: whether it was asked for in the background.
    """

    id: str
    owner: str
    created_at: int
    previous_response_id: str | None = None
    input: msgspec.Raw = _NULL
    response: msgspec.Raw = _NULL
    background: bool = False

    @property
    def head(self) -> Head:
        """What the response says of itself."""
        return read_head(bytes(self.response))


class Head(msgspec.Struct):
    """The fields of a response object that the gateway looks at; anything may be in them."""

    id: Any = None
    status: Any = "completed"
    store: Any = None
    previous_response_id: Any = None
    conversation: Any = None


class _Output(msgspec.Struct):
    output: list[msgspec.Raw] = []


class _Item(msgspec.Struct):
    id: Any = None


_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Record).decode
_output = msgspec.json.Decoder(_Output).decode
_item = msgspec.json.Decoder(_Item).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
read_head = msgspec.json.Decoder(Head).decode


class StoredResponses:
    """Puts responses into a store and finds them again.

    Args:
        ttl_s: seconds a response is kept; None is the store's own time.
    """

    def __init__(self, store: SessionStore, *, ttl_s: float | None = None) -> None:
        self._store = store
        self._ttl_s = ttl_s
        self._is_at_hand = isinstance(store, MemorySessionStore)
        self._warnings = RateLimited(logger, every_s=10.0)

    async def get(self, owner: str, response_id: str) -> Record | None:
        """The owner's response with this id; raises `ApiError` where the store fails, as all of these do."""
        return await self._limited(self._get(owner, response_id))

    async def add(self, record: Record) -> None:
        """Store a response."""
        await self._limited(self._put(record))

    async def keep(self, ctx: RequestContext, record: Record, *, note_items: bool) -> None:
        """Store a response that is about to be sent; that it cannot be is put on record, and the client not told.

        Args:
            note_items: remember where the items of its output are, for requests that refer to them.
        """
        data = _encode(record)
        try:
            await self._limited(self._store.put(NAMESPACE, _key(record.owner, record.id), data, ttl_s=self._ttl_s))
            if note_items:
                await self._limited(self._note_items(record))
        except ApiError as error:
            ctx.note("responses", not_stored=type(error.__cause__).__name__)

    async def delete(self, owner: str, response_id: str) -> bool:
        """Remove the owner's response; whether there was one."""
        return await self._limited(self._delete(owner, response_id))

    async def change(self, owner: str, response_id: str, changes: Mapping[str, Any]) -> Record | None:
        """Set fields of a response that still runs; one that has ended stays as it is. Returns what is stored then."""
        return await self._limited(self._change(owner, response_id, changes))

    async def turns(self, owner: str, response_id: str) -> list[Record]:
        """The response and all before it, the first turn first.

        Raises:
            NotFound: it, or one that it goes back to, is not there (404, code ``previous_response_not_found``).
            InvalidRequest: it cannot be continued (400).
        """
        return await self._limited(self._turns(owner, response_id))

    async def item(self, owner: str, item_id: str) -> msgspec.Raw | None:
        """The item of one of the owner's responses; None where it is unknown."""
        place = await self._limited(self._store.get(_ITEMS, _key(owner, item_id)))
        record = None if place is None else await self.get(owner, place.decode())
        items = [] if record is None else _output(record.response).output
        return next((item for item in items if _item(item).id == item_id), None)

    async def _limited(self, work: Awaitable[T]) -> T:
        """The result of a call of the store.

        Raises:
            ApiError: the store failed or took too long (503, code ``session_store_failed``).
        """
        try:
            if self._is_at_hand:  # a deadline costs more than such a call
                return await work
            async with asyncio.timeout(STORE_LIMIT_S):
                return await work
        except ApiError:
            raise
        except Exception as exc:
            self._warnings.warning(type(exc).__name__, "the store of responses failed: %r", exc)
            raise ApiError("The store of responses failed.", status=503, code="session_store_failed") from exc

    async def _get(self, owner: str, response_id: str) -> Record | None:
        if len(response_id) > _LONGEST_ID:
            return None
        data = await self._store.get(NAMESPACE, _key(owner, response_id))
        record = None if data is None else _record(data)
        return record if record is not None and (record.owner, record.id) == (owner, response_id) else None

    async def _put(self, record: Record) -> None:
        await self._store.put(NAMESPACE, _key(record.owner, record.id), _encode(record), ttl_s=self._ttl_s)

    async def _note_items(self, record: Record) -> None:
        for item in _output(record.response).output:
            item_id = _item(item).id
            if isinstance(item_id, str):
                await self._store.put(_ITEMS, _key(record.owner, item_id), record.id.encode(), ttl_s=self._ttl_s)

    async def _delete(self, owner: str, response_id: str) -> bool:
        async with self._store.lock(NAMESPACE, _key(owner, response_id)):
            if await self._get(owner, response_id) is None:
                return False
            return await self._store.delete(NAMESPACE, _key(owner, response_id))

    async def _change(self, owner: str, response_id: str, changes: Mapping[str, Any]) -> Record | None:
        async with self._store.lock(NAMESPACE, _key(owner, response_id)):
            record = await self._get(owner, response_id)
            if record is None or record.head.status not in OPEN:
                return record
            response = msgspec.Raw(_encode({**_fields(record.response), **changes}))
            changed = msgspec.structs.replace(record, response=response)
            await self._put(changed)
            return changed

    async def _turns(self, owner: str, response_id: str) -> list[Record]:
        turns: dict[str, Record] = {}
        wanted: str | None = response_id
        size_bytes = 0
        while wanted is not None:
            if wanted in turns:
                raise _cannot_continue(response_id, "it leads back to itself")
            if len(turns) == MOST_TURNS:
                raise _cannot_continue(response_id, f"it goes back over more than {MOST_TURNS} responses")
            turns[wanted] = record = await self._turn(owner, wanted)
            size_bytes += len(bytes(record.input)) + len(bytes(record.response))
            if size_bytes > MOST_BYTES:
                raise _cannot_continue(response_id, f"its conversation has over {MOST_BYTES} bytes")
            wanted = record.previous_response_id
        return list(turns.values())[::-1]

    async def _turn(self, owner: str, response_id: str) -> Record:
        record = await self._get(owner, response_id)
        if record is None:
            raise NotFound(
                f"Previous response with id '{response_id[:200]}' not found.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        head = record.head
        if head.status not in {"completed", "incomplete"}:
            raise _cannot_continue(response_id, f"it is {head.status}; only what was completed can be continued")
        if head.conversation is not None:
            raise _cannot_continue(response_id, "it belongs to a conversation that the upstream keeps")
        return record


def owner_of(ctx: RequestContext) -> str:
    """Whose responses a client sees; everybody's are one's own where nobody authenticates."""
    principal = ctx.principal
    return "" if principal is None else f"{principal.plugin}\n{principal.id}"


def _key(owner: str, name: str) -> str:
    """Two owners may have the same id, for it is the upstream's; neither must replace the other's response."""
    return f"{owner}\n{name}"


def _cannot_continue(response_id: str, why: str) -> InvalidRequest:
    message = f"Previous response with id '{response_id[:200]}' cannot be continued: {why}."
    return InvalidRequest(message, param="previous_response_id")

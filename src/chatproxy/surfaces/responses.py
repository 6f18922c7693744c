"""ResponsesTurn: what the gateway does around an exchange of the responses surface: continue, store, queue.

Rule: an upstream never gets ``previous_response_id`` or a ``background`` that is true, also where it knows them: the
gateway's own store is the only one, what it holds belongs to the gateway's principals, and plugins see all that is
sent. ``store`` and ``conversation`` are sent as the client said them.

Source: OpenAI API reference, "Create a model response"; guides "Conversation state" and "Background mode".
"""

from __future__ import annotations

import secrets
import time
from typing import Any, Protocol

import msgspec

from chatproxy.engine.core import encode_body
from chatproxy.errors import InvalidRequest
from chatproxy.sse import frame_data, replace_data
from chatproxy.surfaces.base import ClientGoneError
from chatproxy.surfaces.responses_items import continued, references, resolved
from chatproxy.surfaces.stored import Head, Record, StoredResponses, owner_of, read_head
from chatproxy.types.context import RequestContext
from chatproxy.types.reply import ChatResponse, Completed
from chatproxy.types.request import ChatRequest

_NAMED = b"event: response."
_STATES = ("created", "queued", "in_progress", "completed", "incomplete", "failed")
_SHOWING = tuple(_NAMED + state.encode() for state in _STATES)
_SHOWING_TYPES = frozenset(f"response.{state}" for state in _STATES)
_LAST = frozenset({"response.completed", "response.incomplete"})
_WORTH_KEEPING = frozenset({None, "completed", "incomplete"})
_NULL = msgspec.Raw(b"null")


class Queue(Protocol):
    """Where responses wait that nobody waits for."""

    async def accept(self, ctx: RequestContext, record: Record, body: bytes) -> Record:
        """Store a response as queued, to be made from a request body; raises `ApiError` where that cannot be."""


class _Asked(msgspec.Struct):
    """The fields of a request that concern the store."""

    input: msgspec.Raw = _NULL
    previous_response_id: Any = None
    conversation: Any = None
    store: Any = None
    background: Any = None
    stream: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    response: msgspec.Raw = _NULL


class _Kind(msgspec.Struct):
    type: Any = None


_encode = msgspec.json.Encoder().encode
_asked = msgspec.json.Decoder(_Asked).decode
_event = msgspec.json.Decoder(_Event).decode
_kind = msgspec.json.Decoder(_Kind).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ResponsesTurn:
    """One exchange; a `Turn` of the engine.

    Args:
        queue: takes a response that is asked for in the background; None where this exchange is such a response.
        queued: the response that this exchange makes.

    Attributes:
        accepted: the response that was queued in place of being made.
    """

    __slots__ = ("_input", "_is_stored", "_owner", "_previous", "_queue", "_queued", "_stored", "accepted")

    def __init__(self, stored: StoredResponses, *, queue: Queue | None = None, queued: Record | None = None) -> None:
        self._stored = stored
        self._queue = queue
        self._queued = queued
        self._owner = ""
        self._is_stored = True
        self._previous: str | None = None
        self._input = _NULL
        self.accepted: Record | None = None

    async def begin(self, ctx: RequestContext, request: ChatRequest) -> Completed | None:
        """Put the earlier turns in front; or queue the response, and answer at once."""
        body = request.encode()
        asked = _asked(body)
        self._owner = owner_of(ctx)
        self._is_stored = _flag("store", asked.store, default=True)
        in_background = _flag("background", asked.background, default=False)
        self._previous = _previous(asked)
        self._input = asked.input
        if "previous_response_id" in request:
            del request["previous_response_id"]
        if b"item_reference" in body:
            await self._resolve(request)
        if in_background:
            del request["background"]
            if self._queue is not None:
                return await self._postpone(ctx, self._queue, asked, body)
            await self._start()
        if self._previous is not None:
            turns = await self._stored.turns(self._owner, self._previous)
            request["input"] = continued(turns, bytes(self._input))
        return None

    async def end(self, ctx: RequestContext, reply: ChatResponse) -> None:
        """Say in the reply what the upstream does not know, and store it."""
        data = encode_body(reply, "a reply")
        head = read_head(data)
        changes = self._changes(head)
        if changes:
            data = _encode({**_fields(data), **changes})
            reply.take(data, reply.layout)
        await self._keep(ctx, head, data)

    def wants(self, frame: bytes) -> bool:
        """Whether the event carries a response: its name says so, which nearly always comes first."""
        if frame.startswith(_NAMED):
            return frame.startswith(_SHOWING)
        data = None if frame.startswith(b":") else frame_data(frame)
        try:
            return data is not None and _kind(data).type in _SHOWING_TYPES
        except (msgspec.MsgspecError, RecursionError):
            return False

    async def take(self, ctx: RequestContext, frame: bytes) -> bytes:
        """As `end`, for an event; the last one's response is stored."""
        data = frame_data(frame) or b""
        try:
            event = _event(data)
            head = read_head(event.response)
        except (msgspec.MsgspecError, RecursionError):
            return frame
        response = bytes(event.response)
        changes = self._changes(head)
        if changes:
            response = _encode({**_fields(response), **changes})
            frame = replace_data(frame, _encode({**_fields(data), "response": msgspec.Raw(response)}))
        if event.type in _LAST:
            await self._keep(ctx, head, response)
        return frame

    async def _postpone(self, ctx: RequestContext, queue: Queue, asked: _Asked, body: bytes) -> Completed:
        if asked.stream is True:
            raise InvalidRequest("'background' cannot be combined with 'stream'.", param="background")
        if not self._is_stored:
            raise InvalidRequest("'background' needs a stored response, found 'store' false.", param="store")
        if self._previous is not None:
            await self._stored.turns(self._owner, self._previous)
        self.accepted = await queue.accept(ctx, self._record(_new_id(), _NULL), body)
        return Completed(ChatResponse.of(bytes(self.accepted.response), ctx.layout))

    async def _start(self) -> None:
        """Say that a queued response is being made.

        Raises:
            ClientGoneError: it was cancelled or deleted meanwhile, maybe by another process.
        """
        queued = self._queued
        if queued is not None:
            changed = await self._stored.change(self._owner, queued.id, {"status": "in_progress"})
            if changed is None or changed.head.status != "in_progress":
                raise ClientGoneError

    async def _resolve(self, request: ChatRequest) -> None:
        """Put items that the gateway knows in place of references to them; others are the upstream's affair."""
        found = {}
        for item_id in references(bytes(self._input)):
            item = await self._stored.item(self._owner, item_id)
            if item is not None:
                found[item_id] = item
        if found:
            request["input"] = self._input = resolved(bytes(self._input), found)

    def _changes(self, head: Head) -> dict[str, Any]:
        """What the client must read in the response in place of what is there."""
        changes: dict[str, Any] = {}
        if head.previous_response_id != self._previous:
            changes["previous_response_id"] = self._previous
        if head.store is not self._is_stored and not (head.store is None and self._is_stored):
            changes["store"] = self._is_stored
        if self._queued is not None:
            queued, status = self._queued, head.status or "completed"
            changes |= {"id": queued.id, "created_at": queued.created_at, "background": True, "status": status}
        return changes

    async def _keep(self, ctx: RequestContext, head: Head, data: bytes) -> None:
        if self._queued is not None:
            await self._stored.change(self._owner, self._queued.id, _fields(data))
        elif self._is_stored and head.status in _WORTH_KEEPING and isinstance(head.id, str):
            # a native upstream resolves references to items itself: it has made them
            is_native = ctx.exchange.upstream is not None and ctx.exchange.translated_to is None
            await self._stored.keep(ctx, self._record(head.id, msgspec.Raw(data)), note_items=not is_native)

    def _record(self, response_id: str, response: msgspec.Raw) -> Record:
        return Record(
            id=response_id,
            owner=self._owner,
            created_at=int(time.time()),
            previous_response_id=self._previous,
            input=self._input,
            response=response,
        )


def _flag(name: str, value: Any, *, default: bool) -> bool:
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidRequest(f"'{name}' must be true or false, found {type(value).__name__}.", param=name)
    return value


def _previous(asked: _Asked) -> str | None:
    previous = asked.previous_response_id
    if previous is None:
        return None
    if not isinstance(previous, str):
        found = type(previous).__name__
        raise InvalidRequest(f"'previous_response_id' must be a string, found {found}.", param="previous_response_id")
    if asked.conversation is not None:
        raise InvalidRequest(
            "Found both 'previous_response_id' and 'conversation', wanted one of them.", param="previous_response_id"
        )
    return previous


def _new_id() -> str:
    return f"resp_{secrets.token_hex(24)}"

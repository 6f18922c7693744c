"""Watch: what happens on a session beside the answers: questions of the server to the user, and its end.

Rule: it sees every message that comes in before the SDK does, and changes none, save what the SDK would take long to
refuse, or refuse a whole list of tools for.
The SDK runs each outgoing HTTP request in the context of the call that it serves, so a context variable tells the
transport, and the messages on that request's own stream, which call they belong to. Over standard output nothing
does: there a question belongs to the one call that runs, and if several run, to those that fail after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import Context, ContextVar
from types import TracebackType
from typing import Self

import anyio
import mcp_types
from mcp.client._transport import ReadStream
from mcp.shared.message import SessionMessage

from chatproxy_mcp.connect.errors import UNFIT, InputRefusedError, ServerError
from chatproxy_mcp.connect.pace import Pace
from chatproxy_mcp.connect.weight import complete_schemas, is_content

ASKING = frozenset({"elicitation/create", "sampling/createMessage"})
Item = SessionMessage | Exception


class Call:
    """One request to a server, as the transport sees it.

    Attributes:
        scope: ends the waiting for it.
        fault: why it failed, where the transport knows better than the SDK's error says.
        is_sent: a byte of it may have reached the server.
        was_asked: the server asked for input while it ran.
        hang_ups: closes what it still holds open.
        streams: how often its stream of events may be taken up again.
    """

    __slots__ = ("fault", "hang_ups", "is_over", "is_sent", "scope", "streams", "was_asked")

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.scope = scope
        self.fault: ServerError | None = None
        self.is_sent = False
        self.is_over = False
        self.was_asked = False
        self.hang_ups: set[Callable[[], None]] = set()
        self.streams: Pace | None = None

    def end(self, fault: ServerError) -> None:
        """Stop waiting for it."""
        if self.fault is None:
            self.fault = fault
        self.scope.cancel()

    def hang_up(self) -> None:
        """Close what a server that was told that nobody waits any more did not close itself."""
        self.is_over = True
        for close in list(self.hang_ups):
            close()


CALL: ContextVar[Call | None] = ContextVar("chatproxy_mcp_call", default=None)


class Watch:
    """The calls of one session, and whether it still stands.

    Attributes:
        fault: why it ended, or could not be opened.
        is_standing: it was opened.
        is_expired: it takes no more calls.
        is_forgotten: the server does not know it any more.
    """

    def __init__(self, on_expiry: Callable[[], None]) -> None:
        self.calls: set[Call] = set()
        self.fault: ServerError | None = None
        self.is_standing = False
        self.is_expired = False
        self.is_forgotten = False
        self._on_expiry = on_expiry

    def failed(self, fault: ServerError) -> None:
        """Note that the session is over, and why; the first reason counts."""
        if self.fault is None:
            self.fault = fault
            for call in self.calls:
                call.fault = call.fault or fault
        self.expired()

    def expired(self) -> None:
        """Take no more calls; those that run may end by themselves."""
        if self.is_standing and not self.is_expired:
            self.is_expired = True
            self._on_expiry()

    def saw(self, item: Item, context: Context | None) -> None:
        """Look at a message before the SDK gets it."""
        if isinstance(item, Exception) or not isinstance(item.message, mcp_types.JSONRPCRequest):
            return
        if item.message.method not in ASKING:
            return
        call = context.get(CALL) if context is not None else None
        if call not in self.calls:
            # Not in a call's own context, or in that of the session's beginning, which the stream for messages has.
            call = next(iter(self.calls)) if len(self.calls) == 1 else None
        if call is not None:
            call.end(InputRefusedError())
        else:
            for each in self.calls:
                each.was_asked = True


def _fit(item: Item) -> Item:
    """A message as the SDK takes it, or an error in its place."""
    if isinstance(item, Exception) or not isinstance(item.message, mcp_types.JSONRPCResponse):
        return item
    result = item.message.result
    if "tools" in result:
        complete_schemas(result["tools"])
    if is_content(result.get("content", [])):
        return item
    error = mcp_types.ErrorData(code=mcp_types.INTERNAL_ERROR, message=UNFIT)
    return SessionMessage(mcp_types.JSONRPCError(jsonrpc="2.0", id=item.message.id, error=error))


class ReadableStream(ABC):
    """What the SDK wants of a read stream beside `receive`: to be iterated over, and to be left."""

    @abstractmethod
    async def receive(self) -> Item:
        """Wait for a message; raises EndOfStream at the end."""

    async def aclose(self) -> None:  # noqa: B027 - not every stream has something to close
        """Close it; a stream that owns nothing has nothing to do."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class WatchedStream(ReadableStream):
    """A transport's read stream, watched."""

    def __init__(self, inner: ReadStream[Item], watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    @property
    def last_context(self) -> Context | None:
        """The context in which the last message came, as the SDK's own streams say it."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Item:
        """Wait for a message."""
        item = await self._inner.receive()
        self._watch.saw(item, self.last_context)
        return _fit(item)

    async def aclose(self) -> None:
        """Close the transport's stream."""
        await self._inner.aclose()

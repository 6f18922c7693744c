"""Content: what a model was asked and what the client got, of one exchange.

Rule: on the request path only references and bytes are kept, and nothing counts as read. All else happens once the
exchange is over. Headers are never looked at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from opentelemetry.util.types import AnyValue

from chatproxy.errors import ApiError
from chatproxy.types import (
    ChatRequest,
    ChatResponse,
    RequestContext,
    StreamEvent,
    StreamTransform,
    ToolCall,
    ToolResult,
)
from chatproxy_otel.config import Config
from chatproxy_otel.content.cleaning import Cleaner
from chatproxy_otel.content.frames import Frames
from chatproxy_otel.content.messages import LEFT, UNFINISHED, answered
from chatproxy_otel.content.mode import Mode
from chatproxy_otel.content.showing import shown_answer, shown_request, shown_tool
from chatproxy_otel.names import Names

logger = logging.getLogger("chatproxy_otel")
T = TypeVar("T")
Json = dict[str, Any]

MAX_TOOL_CALLS = 64
_IN_THREAD = 131_072  # bytes; converting more would hold up the event loop
_MANY_HIDDEN = 100
_NOT_JSON = (TypeError, ValueError, RecursionError)
_ODD = (ApiError, msgspec.MsgspecError, AttributeError, LookupError, *_NOT_JSON)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def new_content(config: Config, mode: Mode, names: Names, ctx: RequestContext) -> Content | None:
    """What captures an exchange; None where contents are not captured, or the exchange is not recorded."""
    if mode is Mode.NO_CONTENT or not ctx.trace.is_recording:
        return None
    return Content(ctx, config.max_content_bytes, mode, names)


class Content:
    """Keeps what goes by, and shows it once the exchange is over.

    Await `prepare` before the results are read; without it they are made where they are read. What is of a shape that
    nobody can read is not shown, and the log says so.

    Args:
        limit: bytes of JSON, for what a model is asked, for what it answers, and for each side of a tool call.

    Attributes:
        mode: where it may go.
    """

    def __init__(self, ctx: RequestContext, limit: int, mode: Mode, names: Names) -> None:
        self._names = names
        self._layout = ctx.layout
        self._exchange = ctx.exchange
        self._redact = ctx.app.redact
        self._hidden = ctx.trace.hidden
        self._limit = limit
        self._request = b""
        self._response = b""
        self._frames: Frames | None = None
        self._tools: dict[str, tuple[bytes, bytes]] = {}
        self.mode = mode

    # -- on the request path --------------------------------------------------------------------------------------

    def take_request(self, request: ChatRequest) -> None:
        """A request as it goes to a handler; the last one counts."""
        self._request = _bytes_of(request.encode)

    def take_response(self, response: ChatResponse) -> None:
        """A buffered reply as the client gets it."""
        self._response = _bytes_of(response.encode)

    def transform(self) -> StreamTransform:
        """What keeps the frames of a stream and changes none; lay it nearest to the client."""
        frames = self._frames = Frames(self._limit)

        async def kept(events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
            async for event in events:
                frames.take(_bytes_of(event.encode))
                yield event

        return kept

    def take_tool(self, call: ToolCall, result: ToolResult) -> None:
        """A tool call that the gateway ran, and what the model gets to see of its result."""
        if len(self._tools) < MAX_TOOL_CALLS:
            told = call.arguments if call.malformed is None else call.malformed
            self._tools[call.traceparent[36:52]] = (
                _bytes_of(lambda: _encode(told)),
                _bytes_of(lambda: _encode(result.content)),
            )

    # -- once the exchange is over --------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Make the results; in a thread where there is much."""
        size = len(self._request) + len(self._response) + (self._frames.size if self._frames is not None else 0)
        if size > _IN_THREAD or len(self._hidden) > _MANY_HIDDEN:
            await asyncio.to_thread(self._make)
        else:
            self._make()

    def span_attributes(self, *, is_first: bool, is_last: bool) -> dict[str, str]:
        """Attributes of a model call's span, as JSON.

        Args:
            is_first: of the exchange's calls, which gets what was asked; the last gets what the client was answered.
        """
        if not self.mode.in_spans:
            return {}
        return {name: _encode(value).decode() for name, value in self._of_call(is_first, is_last).items()}

    def event_attributes(self, *, is_first: bool, is_last: bool) -> dict[str, AnyValue]:
        """The same as structures, for a log event."""
        return dict(self._of_call(is_first, is_last)) if self.mode.in_events else {}

    def tool_attributes(self, span_id: str) -> dict[str, str]:
        """Arguments and result of a call that the gateway ran: JSON, or a text where it is one.

        Args:
            span_id: that the tool was told as its parent; a model may give every call the same id.
        """
        if not self.mode.in_spans or span_id not in self._tools:
            return {}
        sides = zip((self._names.tool_arguments, self._names.tool_result), self._tools[span_id], strict=True)
        shown = {name: self._side(data) for name, data in sides}
        return {name: text for name, text in shown.items() if text is not None}

    def _of_call(self, is_first: bool, is_last: bool) -> dict[str, list[Json]]:
        asked = self._asked if is_first else {}
        said = {self._names.output_messages: self._said} if is_last else {}
        return {name: value for name, value in {**asked, **said}.items() if value}

    @cached_property
    def _asked(self) -> dict[str, list[Json]]:
        nothing: dict[str, list[Json]] = {}
        found = self._shown(self._question, nothing)
        return {getattr(self._names, name): value for name, value in found.items()}

    @cached_property
    def _said(self) -> list[Json]:
        return self._shown(self._answer, [])

    def _make(self) -> None:
        _ = self._asked, self._said

    def _question(self) -> dict[str, list[Json]]:
        if not self._request:
            return {}
        return shown_request(self._request, self._layout, self._cleaner(), self._limit)

    def _answer(self) -> list[Json]:
        if self._frames is not None:
            body, missing = self._frames.answer(self._layout)
        elif self._response:
            body, missing = _decode(self._response), 0
        else:
            return []
        messages = answered(body, self._layout)
        unfinished = [message for message in messages if message["finish_reason"] == UNFINISHED]
        if self._exchange.outcome == "client_disconnected":
            for message in unfinished:
                message["finish_reason"] = LEFT
        cleaner = self._cleaner(is_cut=bool(missing or unfinished))
        return shown_answer(messages, cleaner, self._limit, missing=missing)

    def _side(self, data: bytes) -> str | None:
        return self._shown(lambda: shown_tool(_decode(data), self._cleaner(), self._limit), None) if data else None

    def _shown(self, make: Callable[[], T], nothing: T) -> T:
        """What is made; one message of odd shape must not cost the whole trace."""
        try:
            return make()
        except _ODD as exc:
            logger.warning("content of an exchange is not shown: %s", type(exc).__name__)
            return nothing

    def _cleaner(self, *, is_cut: bool = False) -> Cleaner:
        return Cleaner(self._redact, self._hidden, self._limit, is_cut=is_cut)


def _bytes_of(encode: Callable[[], bytes]) -> bytes:
    """What is sent; nothing where it cannot be, which the gateway finds out and says by itself."""
    try:
        return encode()
    except _NOT_JSON:
        return b""

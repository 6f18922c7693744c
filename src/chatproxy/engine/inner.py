"""Inner: an exchange inside of an exchange, what a handler or a plugin asks another model through the gateway.

All hooks but `authenticate` hold for it, and it has a record of its own. It takes no place among the exchanges that are
admitted: one that waits for its own inner exchange must not keep it out.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import perf_counter, time
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any

from chatproxy.engine.answer import Answer
from chatproxy.errors import ApiError
from chatproxy.handlers.assemble import cut
from chatproxy.sse import FrameSplitter, frame_data
from chatproxy.types.chat import CHAT
from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Exchange
from chatproxy.types.reply import ChatResponse
from chatproxy.types.request import ChatRequest
from chatproxy.types.stream import StreamEvent
from chatproxy.types.trace import TraceSpan

if TYPE_CHECKING:
    from chatproxy.engine.core import Engine

logger = logging.getLogger("chatproxy.engine")

MOST_DEPTH = 8


class Inner:
    """What `RequestContext.ask` and `RequestContext.ask_stream` do."""

    __slots__ = ("_closing", "_engine")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closing: set[asyncio.Task[None]] = set()

    async def ask(self, parent: RequestContext, body: Mapping[str, Any], span: TraceSpan | None) -> ChatResponse:
        """The buffered reply; raises `ApiError` where the exchange fails."""
        async with self._answered(parent, {**body, "stream": False}, span) as answer:
            return ChatResponse.of(answer.body or b"", CHAT)

    def ask_stream(
        self, parent: RequestContext, body: Mapping[str, Any], span: TraceSpan | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The data of each event; raises `ApiError` where the exchange fails, also after some events.

        Whoever leaves it early should close it; one that is open when the outer exchange ends is closed then.
        """
        events = self._events(parent, body, span)
        left = weakref.ref(events)
        parent.at_end(lambda _: self._close_left(left()))
        return events

    def _close_left(self, events: AsyncGenerator[dict[str, Any], None] | None) -> None:
        if isinstance(events, AsyncGeneratorType) and not events.ag_running:
            task = asyncio.get_running_loop().create_task(events.aclose(), name="inner-close")
            self._closing.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("a stream within an exchange failed when it was closed", exc_info=error)

    async def _events(
        self, parent: RequestContext, body: Mapping[str, Any], span: TraceSpan | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        async with self._answered(parent, {**body, "stream": True}, span) as answer:
            stream = answer.stream
            if stream is None:  # a plugin answered without one, for example from a cache
                for part in cut(ChatResponse.of(answer.body or b"", CHAT).plain()):
                    yield part
                return
            splitter = FrameSplitter()
            async for data in stream:
                if stream.error is not None:
                    raise stream.error
                for frame in splitter.feed(data):
                    content = frame_data(frame)
                    if content is not None and content != b"[DONE]":
                        yield StreamEvent(frame, CHAT).data

    @asynccontextmanager
    async def _answered(
        self, parent: RequestContext, body: Mapping[str, Any], span: TraceSpan | None
    ) -> AsyncIterator[Answer]:
        engine = self._engine
        request = ChatRequest(body)
        ctx = self._context(parent, span)
        live = engine.begin(ctx, is_inner=True)
        answer: Answer | None = None
        error: ApiError | None = None
        try:
            try:
                answer = await engine.answer(ctx, live, request.encode())
                yield answer
            except ApiError as exc:
                error = exc
                raise
            except (asyncio.CancelledError, GeneratorExit):
                live.reason = "client_left"
                raise
        finally:
            try:
                if answer is not None and answer.stream is not None:
                    await answer.stream.aclose()
            finally:
                engine.end(ctx, live, answer, error)

    def _context(self, parent: RequestContext, span: TraceSpan | None) -> RequestContext:
        """The context of an inner exchange: asked by the same principal, in the same trace.

        Raises:
            ApiError: exchanges within exchanges, too deep (508).
        """
        if parent.depth >= MOST_DEPTH:
            message = f"Models asked models {MOST_DEPTH} times over: is there a loop?"
            raise ApiError(message, status=508, code="loop_detected")
        outer, started_s = parent.exchange, perf_counter()
        part = span or parent.attempt
        ctx = RequestContext(
            app=parent.app,
            exchange=Exchange(
                request_id=self._engine.request_ids.next(),
                parent_id=outer.request_id,
                path=outer.path,
                route=outer.route,
                scheme=outer.scheme,
                client=outer.client,
                started_at=time(),
                clock_s=started_s,
                client_request_id=outer.client_request_id,
                principal=outer.principal,
            ),
            layout=CHAT,
            started_s=started_s,
            headers=parent.headers,
            traceparent=(part.traceparent if part is not None else "") or parent.traceparent,
            tracestate=parent.tracestate,
            is_traced_by_client=True,
            credentials=parent.credentials.reveal(),
            call_tool=self._engine.call_tool,
            inner=self,
            parent=parent,
            route=parent.route,
        )
        ctx.principal = parent.principal
        ctx.exchange.traceparent = ctx.traceparent
        return ctx

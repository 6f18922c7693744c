"""Executing a request on a handler that may speak another surface than the client.

Rule: hooks never see a translation: they work on the client's surface, a handler on its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from chatproxy.engine.counting import SURFACE as COUNTING
from chatproxy.engine.counting import estimated_count
from chatproxy.engine.limits import USUAL_LIMITS, EngineLimits
from chatproxy.engine.meter import Meter
from chatproxy.errors import ApiError, NotFound, UpstreamStatus
from chatproxy.sse import frame_data
from chatproxy.translation import Losses, Route, Translation, route_to
from chatproxy.types.attempt import Attempt
from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Exchange
from chatproxy.types.handler import Handler
from chatproxy.types.layout import Layout
from chatproxy.types.layouts import LAYOUTS
from chatproxy.types.reply import ChatResponse, Completed, Stream
from chatproxy.types.request import ChatRequest
from chatproxy.types.tally import decode_event

REPORT_HEADER = "x-chatproxy-translation"

_CHAT_ONLY = frozenset({"chat"})
_MOST_REPORTED = 20
_encode = msgspec.json.Encoder().encode


async def execute(
    ctx: RequestContext, handler: Handler, request: ChatRequest, limits: EngineLimits = USUAL_LIMITS
) -> object:
    """Let the handler answer, in its own words where it does not speak the client's.

    Returns:
        What the handler returned, in the client's words where it is a reply.

    Raises:
        NotFound: it speaks nothing that the surface can be translated to (404, code ``unsupported_surface``).
        InvalidRequest: the request cannot be translated (400).
    """
    spoken = getattr(handler, "surfaces", _CHAT_ONLY)
    surface = request.layout.surface
    if surface in spoken:
        return await handler.execute(ctx, request)
    route = route_to(surface, spoken)
    if route is None and surface == COUNTING:
        return estimated_count(ctx, request)
    if route is None:
        raise NotFound(
            f"The model '{request.model[:200]}' cannot be used with the {surface} API.",
            code="unsupported_surface",
            param="model",
        )
    return await _Bridge(ctx, request.layout, route, limits).execute(handler, request)


class _Bridge:
    """One execution in another surface's words."""

    __slots__ = ("_attempt", "_ctx", "_layout", "_limits", "_losses", "_spoken", "_translation")

    def __init__(self, ctx: RequestContext, layout: Layout, route: Route, limits: EngineLimits) -> None:
        self._ctx = ctx
        self._attempt = ctx.attempt
        self._layout = layout
        self._spoken = LAYOUTS[route.surface]
        self._losses = Losses()
        self._translation = route.begin(self._losses)
        self._limits = limits
        ctx.exchange.translated_to = route.surface
        if self._attempt is not None:
            self._attempt.surface = route.surface
        ctx.exchange.translation_losses = self._losses.kept

    async def execute(self, handler: Handler, request: ChatRequest) -> object:
        body = self._translation.request(request.plain())
        try:
            reply: object = await handler.execute(self._ctx, ChatRequest(body, layout=self._spoken))
        except ApiError as error:
            self._own(error)
            raise
        return self._translated(reply)

    def _translated(self, reply: object) -> object:
        if isinstance(reply, Completed):
            if self._attempt is not None:
                self._attempt.keep(reply.body)
            made = _encode(self._translation.reply(reply.body.plain()))  # bytes are counted at half the price of a dict
            body = ChatResponse.of(made, self._layout)
            return Completed(body, status=reply.status, headers=self._headers(reply.headers))
        if isinstance(reply, Stream):
            meter = Meter(
                reply.chunks, self._spoken.tally(), drop_usage=False, max_line_bytes=self._limits.max_sse_line_bytes
            )
            chunks = TranslatedChunks(meter, self._translation, self._layout, self._attempt)
            return Stream(chunks, status=reply.status, headers=self._headers(reply.headers), layout=self._layout)
        return reply

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, REPORT_HEADER: report(self._ctx.exchange)} if self._limits.report_translation else headers

    def _own(self, error: ApiError) -> None:
        """Let an error of the handler's surface speak the client's: its fields, and no body in other words."""
        if error.param is not None:
            error.param = self._translation.param(error.param)
        if isinstance(error, UpstreamStatus):
            error.body = None


class TranslatedMeter(Meter):
    """Takes a stream's bytes in the handler's words and gives frames in the client's.

    Both are looked at, the handler's by a meter of their own. What is made here is looked at before it becomes a frame,
    so that it need not be taken apart again.
    """

    __slots__ = ("_names_events", "_source", "_translation")

    def __init__(self, source: Meter, translation: Translation, layout: Layout, *, drop_usage: bool) -> None:
        super().__init__(source.chunks, layout.tally(), drop_usage=drop_usage, max_line_bytes=0)
        self._source = source
        self._translation = translation
        self._names_events = layout.names_events

    @property
    def source(self) -> Meter:
        """See `Meter.source`."""
        return self._source

    def check(self) -> None:
        """See `Meter.check`."""
        self._source.check()

    def take(self, chunk: bytes) -> list[bytes]:
        """See `Meter.take`."""
        return self._said(self._source.take(chunk))

    def end(self) -> list[bytes]:
        """See `Meter.end`."""
        return self._said(self._source.end())

    def _said(self, frames: list[bytes]) -> list[bytes]:
        events: list[dict[str, Any]] = []
        for frame in frames:
            data = frame_data(frame)
            if data is not None:
                events += self._translation.event(decode_event(data))
        if self._source.done:
            events += self._translation.finish()
        made = [passing for event in events if (passing := self._frame(event)) is not None]
        self._done = self._source.done
        return made

    def _frame(self, event: dict[str, Any]) -> bytes | None:
        data = _encode(event)  # without line ends: those in texts are escaped
        self.events += 1
        if not self.tally.add(data) and self._drop_usage:
            return None
        return (
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)
            if self._names_events
            else b"data: %b\n\n" % data
        )


class TranslatedChunks:
    """The bytes of a translated stream, for whoever wants bytes; the engine takes the frames themselves (`metered`).

    Args:
        attempt: gets what the handler said, not what was made of it.
    """

    __slots__ = ("_attempt", "_layout", "_meter", "_source", "_translation")

    def __init__(self, source: Meter, translation: Translation, layout: Layout, attempt: Attempt | None = None) -> None:
        self._attempt = attempt
        self._source = source
        self._translation = translation
        self._layout = layout
        self._meter: Meter | None = None

    def metered(self, *, drop_usage: bool) -> Meter:
        """The one meter of this stream, for a consumer that reads nothing else of it."""
        self._meter = TranslatedMeter(self._source, self._translation, self._layout, drop_usage=drop_usage)
        return self._meter

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        frames = await (self._meter or self.metered(drop_usage=False)).read()
        if not frames:
            raise StopAsyncIteration
        return b"".join(frames)

    async def aclose(self) -> None:
        """Close the handler's stream."""
        source = self._source
        if self._attempt is not None:
            self._attempt.heard(source.tally, events=source.events, first=source.first)
        await (self._meter or source).aclose()


def report(exchange: Exchange) -> str:
    """What an exchange lost in translation, as a response header: ``chat; dropped=top_k; changed=max_tokens``."""
    parts = [exchange.translated_to or ""]
    for action in ("dropped", "changed", "added"):
        fields = [loss.field for loss in exchange.translation_losses if loss.action == action][:_MOST_REPORTED]
        if fields:
            shown = ",".join(fields).encode("ascii", "replace").decode()
            parts.append(f"{action}={''.join(c if c.isprintable() else '?' for c in shown)}")
    return "; ".join(parts)

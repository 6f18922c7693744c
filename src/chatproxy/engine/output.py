"""Output: the one stream a client gets, and the only place where a stream ends.

It ends in exactly one way: as its surface's streams do, or with one error event and nothing after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence

from chatproxy.engine.live import Live, shutdown_error
from chatproxy.engine.meter import Meter, stream_failed
from chatproxy.engine.turn import Turn
from chatproxy.errors import ApiError
from chatproxy.plugins.hooks import Hooks
from chatproxy.plugins.impl import Impl
from chatproxy.plugins.layers import Layer
from chatproxy.sse import frame_data
from chatproxy.types.context import RequestContext
from chatproxy.types.layout import Layout
from chatproxy.types.request import ChatRequest
from chatproxy.types.stream import StreamEvent, StreamTransform


class MeteredEvents:
    """The meter's frames as events, for the transforms; comments stay behind."""

    __slots__ = ("_layout", "_meter", "_waiting")

    def __init__(self, meter: Meter, layout: Layout) -> None:
        self._meter = meter
        self._layout = layout
        self._waiting: list[bytes] = []

    def __aiter__(self) -> MeteredEvents:
        return self

    async def __anext__(self) -> StreamEvent:
        while True:
            while self._waiting:
                frame = self._waiting.pop(0)
                if frame_data(frame) is not None:
                    return StreamEvent(frame, self._layout)
            self._waiting = await self._meter.read()
            if not self._waiting:
                raise StopAsyncIteration


class Output:
    """An async iterator over the bytes of the client's stream.

    Args:
        meter: the handler's stream; its frames pass untouched unless transforms are laid over them.
        request: what was asked, kept for an estimate of the usage.
        drop_usage: leave out the usage-only event after the transforms have seen it.
        turn: sees each frame last; None where the surface has nothing to do.

    Attributes:
        error: what the stream ended with; None while it goes on and after ``[DONE]``.
        is_over: the bytes given last are the end of the stream.
    """

    __slots__ = (
        "_bytes", "_ctx", "_drop_usage", "_first", "_layers", "_live", "_turn", "error", "is_over", "meter", "request",
    )  # fmt: skip

    def __init__(
        self,
        meter: Meter,
        live: Live,
        ctx: RequestContext,
        request: ChatRequest,
        *,
        drop_usage: bool,
        turn: Turn | None = None,
    ) -> None:
        self.meter = meter
        self.request = request
        self._ctx = ctx
        self._turn = turn
        self._layers: list[Layer] = []
        self._live = live
        self._drop_usage = drop_usage
        self._first: bytes | None = None
        self._bytes = self._read()
        self.is_over = False
        self.error: ApiError | None = None

    def lay(self, hooks: Hooks, transforms: Sequence[tuple[Impl, StreamTransform]]) -> None:
        """Put transforms over the stream, the one nearest to the upstream first."""
        if transforms:
            ctx = self._ctx
            self._layers = hooks.layer(transforms, ctx, MeteredEvents(self.meter, ctx.layout))

    async def prime(self) -> None:
        """Wait for the first bytes, so that a failure before them is answered as an ordinary error.

        Raises:
            ApiError: the stream failed before it began.
        """
        self._first = await self._bytes.__anext__()

    def __aiter__(self) -> Output:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._bytes.__anext__() if self._first is None else self._take_first()

    def end_with(self, error: ApiError) -> bytes:
        """The error event that ends this stream."""
        self.error = error
        self.is_over = True
        return self._ctx.layout.error_frame(error, self.meter.tally)

    async def aclose(self) -> None:
        """Close the transforms, outermost first, then the handler's stream."""
        try:
            await self._bytes.aclose()
            for layer in reversed(self._layers):
                await layer.aclose()
        finally:
            await self.meter.aclose()

    async def _take_first(self) -> bytes:
        first, self._first = self._first, None
        return first or b""

    async def _read(self) -> AsyncGenerator[bytes, None]:
        """The stream's bytes and its one end."""
        meter, turn, ctx = self.meter, self._turn, self._ctx
        has_begun = False
        try:
            if self._layers:
                async for data in self._transformed():
                    yield data
                    has_begun = True
            else:
                while not meter.done:  # written out here: a coroutine more would cost each event its price
                    meter.check()
                    try:
                        frames = meter.take(await meter.chunks.__anext__())
                    except StopAsyncIteration:
                        frames = meter.end()
                    if frames:
                        if turn is not None:
                            frames = [await turn.take(ctx, frame) if turn.wants(frame) else frame for frame in frames]
                        data = frames[0] if len(frames) == 1 else b"".join(frames)
                        frames.clear()  # while a slow client takes its time, only the joined bytes are kept
                        yield data
                        has_begun = True
        except (Exception, asyncio.CancelledError) as error:
            last = self._last_words(error, has_begun=has_begun)
            if last is None:
                raise
            yield last
        else:
            self.is_over = True
            yield self._ctx.layout.stream_end

    def _last_words(self, error: BaseException, *, has_begun: bool) -> bytes | None:
        """The error event for what ended the stream; None where it is not for this place to answer."""
        if isinstance(error, asyncio.CancelledError):
            is_shutdown = has_begun and self._live.reason == "server_shutdown" and self._live.absorb()
            return self.end_with(shutdown_error()) if is_shutdown else None
        failure = error if isinstance(error, ApiError) else stream_failed(error)
        self.error = failure
        if has_begun:
            return self.end_with(failure)
        if failure is not error:
            raise failure from error
        return None

    async def _transformed(self) -> AsyncGenerator[bytes, None]:
        async for event in self._layers[-1]:
            if not (self._drop_usage and _is_usage_only(event)):
                frame = event.encode()
                yield frame if self._turn is None else await self._taken(frame)
        if self.meter.failure is not None:  # a plugin swallowed it; the client must still learn of it
            raise self.meter.failure

    async def _taken(self, frame: bytes) -> bytes:
        turn = self._turn
        return await turn.take(self._ctx, frame) if turn is not None and turn.wants(frame) else frame


def _is_usage_only(event: StreamEvent) -> bool:
    return event.usage is not None and not event.finish_reasons and next(event.texts(), None) is None

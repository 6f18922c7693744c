"""Output: the one stream a client gets, and the only place where a stream ends.

It ends in exactly one way: as its surface's streams do, or with one error event and nothing after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence

import msgspec

from chatproxy.engine.live import Live, shutdown_error
from chatproxy.engine.meter import Meter, stream_failed
from chatproxy.engine.turn import Turn
from chatproxy.errors import ApiError
from chatproxy.plugins.hooks import Hooks
from chatproxy.plugins.impl import Impl
from chatproxy.plugins.layers import Layer
from chatproxy.sse import frame_data, replace_data
from chatproxy.types.attempt import Attempt
from chatproxy.types.context import RequestContext
from chatproxy.types.layout import Layout
from chatproxy.types.request import ChatRequest
from chatproxy.types.stream import StreamEvent, StreamTransform


class _Numbered(msgspec.Struct):
    sequence_number: int | None = None


_encode = msgspec.json.Encoder().encode
_numbered = msgspec.json.Decoder(_Numbered).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class MeteredEvents:
    """The meter's frames as events, for the transforms; comments stay behind.

    Attributes:
        given: how many events the transforms have had.
    """

    __slots__ = ("_layout", "_meter", "_waiting", "given")

    def __init__(self, meter: Meter, layout: Layout) -> None:
        self._meter = meter
        self._layout = layout
        self._waiting: list[bytes] = []
        self.given = 0

    def __aiter__(self) -> MeteredEvents:
        return self

    async def __anext__(self) -> StreamEvent:
        while True:
            while self._waiting:
                frame = self._waiting.pop(0)
                if frame_data(frame) is not None:
                    self.given += 1
                    return StreamEvent(frame, self._layout)
            self._waiting = await self._meter.read()
            if not self._waiting:
                raise StopAsyncIteration


class Numbers:
    """Numbers of the events that go out, for a surface that numbers them.

    Rule: while the transforms neither add, leave out nor hold back events, none is looked into. From the first that was
    added or left out, every event gets the number after the last one.
    """

    __slots__ = ("_is_on", "_last", "_sent", "_source")

    def __init__(self, source: MeteredEvents) -> None:
        self._source = source
        self._last = b""
        self._sent = 0
        self._is_on = False

    def pass_on(self, frame: bytes, *, is_added: bool) -> bytes:
        """The frame to send in place of this one."""
        self._sent += 1
        self._is_on = self._is_on or is_added
        if self._last and (self._is_on or self._sent != self._source.given):
            frame = self._renumbered(frame)
        self._last = frame
        return frame

    def _renumbered(self, frame: bytes) -> bytes:
        """The frame with the number after that of the last one; as it is where one of the two has none."""
        own, last = _number_of(frame), _number_of(self._last)
        if own is None or last is None or own == last + 1:
            return frame
        self._is_on = True
        fields = _fields(frame_data(frame) or b"{}")
        return replace_data(frame, _encode({**fields, "sequence_number": last + 1}))


class Output:
    """An async iterator over the bytes of the client's stream.

    Args:
        meter: the handler's stream; its frames pass untouched unless transforms are laid over them.
        request: what was asked, kept for an estimate of the usage.
        drop_usage: leave out the usage-only event after the transforms have seen it.
        turn: sees each frame last; None where the surface has nothing to do.

    Attributes:
        error: what the stream ended with; None while it goes on and after ``[DONE]``.
        told: the finish reasons that the client was told; empty where the transforms looked at none of them.
        is_over: the bytes given last are the end of the stream.
        attempt: the record of the handler's answer; None where a plugin made a stream of its own.
    """

    __slots__ = (
        "_bytes", "_ctx", "_drop_usage", "_first", "_layers", "_live", "_numbers", "_turn", "attempt", "error",
        "is_over", "meter", "request", "told",
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
        self.attempt: Attempt | None = None
        self.request = request
        self._ctx = ctx
        self._turn = turn
        self._layers: list[Layer] = []
        self._numbers: Numbers | None = None
        self._live = live
        self._drop_usage = drop_usage
        self._first: bytes | None = None
        self._bytes = self._read()
        self.is_over = False
        self.error: ApiError | None = None
        self.told: list[str] = []

    def lay(self, hooks: Hooks, transforms: Sequence[tuple[Impl, StreamTransform]]) -> None:
        """Put transforms over the stream, the one nearest to the upstream first."""
        if transforms:
            ctx = self._ctx
            source = MeteredEvents(self.meter, ctx.layout)
            self._layers = hooks.layer(transforms, ctx, source)
            self._numbers = Numbers(source) if ctx.layout.numbers_events else None

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
        frame = self._ctx.layout.error_frame(error, self.meter.tally)
        return frame if self._numbers is None else self._numbers.pass_on(frame, is_added=True)

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
                if event.is_decoded:
                    self.told += event.finish_reasons
                if self._numbers is not None:
                    frame = self._numbers.pass_on(frame, is_added=not event.raw)
                yield frame if self._turn is None else await self._taken(frame)
        if self.meter.failure is not None:  # a plugin swallowed it; the client must still learn of it
            raise self.meter.failure

    async def _taken(self, frame: bytes) -> bytes:
        turn = self._turn
        return await turn.take(self._ctx, frame) if turn is not None and turn.wants(frame) else frame


def _number_of(frame: bytes) -> int | None:
    """An event's ``sequence_number``; None where it has none, or is no event of the surface."""
    try:
        return _numbered(frame_data(frame) or b"{}").sequence_number
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _is_usage_only(event: StreamEvent) -> bool:
    return event.usage is not None and not event.finish_reasons and next(event.texts(), None) is None

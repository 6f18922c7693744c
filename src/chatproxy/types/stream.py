"""StreamEvent: the lazy lens over one event of a streamed reply.

An event that nobody changed leaves as its own bytes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

import msgspec

from chatproxy.sse import FrameSplitter, encode_frame, frame_data, frame_event, replace_data
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout, Progress
from chatproxy.types.tally import decode_event
from chatproxy.types.text import Channel, Text
from chatproxy.types.turns import Joining
from chatproxy.types.usage import Usage

T = TypeVar("T")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class StreamEvent:
    """One event of a stream.

    Attributes:
        raw: the event's frame as it came, its blank line included; empty for an event made here.
        layout: where the surface keeps texts.
    """

    __slots__ = ("_changed", "_data", "_name", "_shown", "layout", "raw")

    def __init__(self, raw: bytes, layout: Layout = CHAT) -> None:
        self.raw = raw
        self.layout = layout
        self._data: dict[str, Any] | None = None
        self._name: str | None = None
        self._shown: bytes | None = None  # how the data was when it was handed out
        self._changed = False

    @classmethod
    def of(cls, data: Mapping[str, Any], *, name: str | None = None, layout: Layout = CHAT) -> Self:
        """A new event that carries ``data`` as JSON; its name is its ``type`` where the surface names events."""
        event = cls(b"", layout)
        event._data = dict(data)
        event._name = data.get("type") if name is None and layout.names_events else name
        event._changed = True
        return event

    @property
    def name(self) -> str:
        """The event's name; ``message`` where it has none, as on chat."""
        if self._name is None and self.raw:
            self._name = frame_event(self.raw)
        return self._name or "message"

    @property
    def data(self) -> dict[str, Any]:
        """The event's JSON object; change it in place.

        Raises:
            UpstreamError: the event is not a JSON object (502, code ``upstream_invalid_json``).
        """
        data = self._decoded()
        if self._shown is None and not self._changed:
            self._shown = _encode(data)
        return data

    @property
    def is_decoded(self) -> bool:
        """Whether somebody has looked into the event, or made it."""
        return self._data is not None

    @property
    def usage(self) -> Usage | None:
        """Token counts, where this event carries them."""
        return self.layout.usage(self._decoded())

    @property
    def finish_reasons(self) -> list[str]:
        """Why generation stopped, for each choice that stops with this event."""
        return self.layout.finish_reasons(self._decoded())

    def texts(self) -> Iterator[Text]:
        """Texts of this event: pieces of content, refusal, reasoning and tool arguments, and texts said whole."""
        return self.layout.event_texts(self._decoded(), self)

    def ends(self, channel: Channel) -> bool:
        """Whether the running text of a channel ends with this event, so that what is held of it must go out first."""
        return self.layout.ends(self._decoded(), channel)

    def again(self, text: Text, value: str) -> Self:
        """A new event like this one that carries nothing but ``value``, as the next piece of one of its texts.

        It keeps the ids, the model and the place; role, names, finish reason, usage and log probabilities are not said
        again. Where an event was added, the engine numbers those that follow.

        Args:
            text: one that `texts` of this event gave; it may have been replaced since.
        """
        return self.of(self.layout.again(self._decoded(), text, value), layout=self.layout)

    def tell(self, progress: Progress) -> None:
        """Let a reader look at the event as it is now; its bytes stay."""
        progress.take(self._decoded())

    def joined(self, joining: Joining) -> list[dict[str, Any]] | None:
        """What of the event goes out where it is one of several rounds; None: the event itself. See `Joining.take`."""
        return joining.take(self._decoded())

    def mark_changed(self) -> None:
        """Say that the data was changed; `Text.replace` does it by itself."""
        self._changed = True

    def snapshot(self) -> dict[str, Any]:
        """The event's JSON object as it is now, in a copy of its own."""
        copy: dict[str, Any] = _decode(_encode(self._decoded()))
        return copy

    def encode(self) -> bytes:
        """The event's frame: its own bytes unless somebody changed it, and then its other fields stay.

        Raises:
            TypeError: the data was given what JSON cannot hold.
        """
        if not self._changed and self._shown is None:
            return self.raw
        data = _encode(self._data)
        if not self._changed and data == self._shown:  # encodings differ where values do, also 1, 1.0 and true
            return self.raw
        return replace_data(self.raw, data) if self.raw else encode_frame(data, event=self._name)

    def _decoded(self) -> dict[str, Any]:
        if self._data is None:
            self._data = decode_event(frame_data(self.raw) or b"{}")
        return self._data

    def __repr__(self) -> str:
        return f"StreamEvent(name={self.name!r}, {len(self.raw)} bytes, changed={self._changed})"


EventSource = AsyncIterator[StreamEvent] | AsyncIterator[Mapping[str, Any]] | AsyncIterator[bytes]
StreamTransform = Callable[[AsyncIterator[StreamEvent]], AsyncIterator[StreamEvent]]


def split_events(chunks: AsyncIterator[bytes], layout: Layout) -> AsyncIterator[StreamEvent]:
    """Events of a byte stream; comments and ``[DONE]`` are left out, the source is closed at the end."""
    return _Owning(_split(chunks, layout), chunks)


def encoded_chunks(events: EventSource, layout: Layout = CHAT) -> AsyncIterator[bytes]:
    """Frames of an iterator of events, with the surface's one end behind them; the source is closed then."""
    return _Owning(_encode_all(events, layout), events)


def encoded(event: StreamEvent | Mapping[str, Any] | bytes, layout: Layout = CHAT) -> bytes:
    """One event's frame, whatever form the handler gave it."""
    if isinstance(event, StreamEvent):
        return event.encode()
    if isinstance(event, bytes):
        return event
    return encode_frame(_encode(event), event=event.get("type") if layout.names_events else None)


class _Owning(AsyncIterator[T]):
    """A generator and the source it reads; closing it closes both, also where the generator has not begun to run."""

    __slots__ = ("_generator", "_source")

    def __init__(self, generator: AsyncGenerator[T, None], source: AsyncIterator[Any]) -> None:
        self._generator = generator
        self._source = source

    def __anext__(self) -> Awaitable[T]:
        return self._generator.__anext__()

    async def aclose(self) -> None:
        try:
            await self._generator.aclose()
        finally:
            await _close(self._source)


async def _split(chunks: AsyncIterator[bytes], layout: Layout) -> AsyncGenerator[StreamEvent, None]:
    splitter = FrameSplitter()
    try:
        async for chunk in chunks:
            for frame in splitter.feed(chunk):
                if _is_event(frame):
                    yield StreamEvent(frame, layout)
        last = splitter.flush()
        if last is not None and _is_event(last):
            yield StreamEvent(last, layout)
    finally:
        await _close(chunks)


def _is_event(frame: bytes) -> bool:
    return frame_data(frame) not in {None, b"[DONE]"}


async def _encode_all(events: EventSource, layout: Layout) -> AsyncGenerator[bytes, None]:
    try:
        async for event in events:
            frame = encoded(event, layout)
            if frame_data(frame) != b"[DONE]":  # a handler that ends its own stream must not end it twice
                yield frame
    finally:
        await _close(events)
    if layout.stream_end:
        yield layout.stream_end


async def _close(source: AsyncIterator[Any]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()

"""StreamEvent: the lazy lens over one event of a streamed reply.

An event that nobody changed leaves as its own bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Self, cast

import msgspec

from chatproxy.errors import UpstreamError
from chatproxy.sse import DONE, FrameSplitter, encode_frame, frame_data, frame_event
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout
from chatproxy.types.text import Text
from chatproxy.types.usage import Usage

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
        self._shown = False
        self._changed = False

    @classmethod
    def of(cls, data: Mapping[str, Any], *, name: str | None = None, layout: Layout = CHAT) -> Self:
        """A new event that carries ``data`` as JSON."""
        event = cls(b"", layout)
        event._data = dict(data)
        event._name = name
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
        self._shown = True
        return self._decoded()

    @property
    def usage(self) -> Usage | None:
        """Token counts, where this event carries them."""
        return self.layout.usage(self._decoded())

    @property
    def finish_reasons(self) -> list[str]:
        """Why generation stopped, for each choice that stops with this event."""
        return self.layout.finish_reasons(self._decoded())

    def texts(self) -> Iterator[Text]:
        """Texts of this event: ``(index, kind, value)`` of content, refusal, reasoning and tool arguments."""
        return self.layout.event_texts(self._decoded(), self)

    def mark_changed(self) -> None:
        """Say that the data was changed; `Text.replace` does it by itself."""
        self._changed = True

    def encode(self) -> bytes:
        """The event's frame: its own bytes unless somebody changed it."""
        if not self._changed and (not self._shown or self._data == _decode(frame_data(self.raw) or b"{}")):
            return self.raw
        name = self.name
        return encode_frame(_encode(self._data), event=None if name == "message" else name)

    def _decoded(self) -> dict[str, Any]:
        if self._data is None:
            self._data = decode_event(frame_data(self.raw) or b"{}")
        return self._data

    def __repr__(self) -> str:
        return f"StreamEvent(name={self.name!r}, {len(self.raw)} bytes, changed={self._changed})"


EventSource = AsyncIterator[StreamEvent] | AsyncIterator[Mapping[str, Any]] | AsyncIterator[bytes]
StreamTransform = Callable[[AsyncIterator[StreamEvent]], AsyncIterator[StreamEvent]]


def decode_event(data: bytes) -> dict[str, Any]:
    """Decode what an event carries.

    Raises:
        UpstreamError: not a JSON object (502, code ``upstream_invalid_json``).
    """
    try:
        value = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise UpstreamError("The upstream sent an event that is not valid JSON.", code="upstream_invalid_json") from exc
    if not isinstance(value, dict):
        raise UpstreamError("The upstream sent an event that is no JSON object.", code="upstream_invalid_json")
    return value


async def split_events(chunks: AsyncIterator[bytes], layout: Layout) -> AsyncIterator[StreamEvent]:
    """Events of a byte stream; comments and ``[DONE]`` are left out, the source is closed at the end."""
    splitter = FrameSplitter()
    async with aclosing(cast("Any", chunks)) as source:
        async for chunk in source:
            for frame in splitter.feed(chunk):
                if (data := frame_data(frame)) is not None and data != b"[DONE]":
                    yield StreamEvent(frame, layout)
        last = splitter.flush()
        if last is not None and frame_data(last) not in {None, b"[DONE]"}:
            yield StreamEvent(last, layout)


async def encoded_chunks(events: EventSource) -> AsyncIterator[bytes]:
    """Frames of an iterator of events, with ``[DONE]`` at the end."""
    async with aclosing(cast("Any", events)) as source:
        async for event in source:
            yield encoded(event)
    yield DONE


def encoded(event: StreamEvent | Mapping[str, Any] | bytes) -> bytes:
    """One event's frame, whatever form the handler gave it."""
    if isinstance(event, StreamEvent):
        return event.encode()
    return event if isinstance(event, bytes) else encode_frame(_encode(event))

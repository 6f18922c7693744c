"""Frames: what a client was streamed, kept as it went by, and put together when the exchange is over.

Rule: on the way a frame costs its reference. Events say the same fields again and again, some sixty bytes for each one
of text, so that more of them are kept than is shown in the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from chatproxy.errors import ApiError
from chatproxy.types import Layout, StreamEvent, assembly_for
from chatproxy_otel.content.items import ItemTexts

KEPT = 32
"""Bytes of frames that are kept for each byte that is shown."""
_LEAST_KEPT = 262_144
_LAST = 4  # frames of the end, which say why it ended


class Answer(NamedTuple):
    """What the frames of a stream make together.

    Attributes:
        body: in the buffered form.
        missing: bytes of frames that are not in it.
    """

    body: dict[str, Any]
    missing: int


class Frames:
    """The frames of one stream."""

    __slots__ = ("_first", "_last", "_missing", "_most", "_room")

    def __init__(self, shown_bytes: int) -> None:
        self._most = max(_LEAST_KEPT, KEPT * shown_bytes)
        self._room = self._most
        self._first: list[bytes] = []
        self._last: deque[bytes] = deque(maxlen=_LAST)
        self._missing = 0

    def take(self, frame: bytes) -> None:
        """The next frame."""
        if not self._missing and len(frame) <= self._room:
            self._room -= len(frame)
            self._first.append(frame)
        else:
            self._missing += len(frame)
            if len(frame) <= self._most:
                self._last.append(frame)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._most - self._room + sum(map(len, self._last))

    def answer(self, layout: Layout) -> Answer:
        """The reply that the frames make together, whole or as far as it came."""
        assembly, items = assembly_for(layout.surface), ItemTexts()
        is_responses = layout.surface == "responses"
        ended: set[Any] = set()
        for event in self._events(layout):
            assembly.add(event.data)
            ended.update(choice.get("index") for choice in _choices(event.data) if choice.get("finish_reason"))
            if is_responses:
                items.add(event)
        body = assembly.result("")
        for choice in _choices(body):
            if choice.get("index") not in ended:
                choice["finish_reason"] = None  # the assembly takes it for one that simply ended
        if not is_responses:
            return Answer(body, self._missing)
        if body.get("status") in ("completed", "incomplete", "failed") and body.get("output"):
            return Answer(body, 0)
        return Answer({**body, "output": items.result()}, self._missing)

    def _events(self, layout: Layout) -> Iterator[StreamEvent]:
        """The events that can be read; those behind a gap without texts, which would seem to go on from before."""
        for frame in self._first:
            event = StreamEvent(frame, layout)
            if _is_readable(event):
                yield event
        for frame in self._last:
            event = StreamEvent(frame, layout)
            if _is_readable(event):
                for text in event.texts() if "response" not in event.data else ():
                    text.replace("")
                yield event


def _choices(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    choices = body.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _is_readable(event: StreamEvent) -> bool:
    try:
        return bool(event.data)
    except ApiError:
        return False

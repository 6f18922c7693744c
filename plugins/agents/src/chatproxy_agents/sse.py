"""Server-sent events of an agent: bytes to events.

Rule: no I/O and no await here.
Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple


class SseEvent(NamedTuple):
    """One event: its name, ``message`` where it has none, and its data."""

    name: str
    data: str


class SseDecoder:
    """Fed with bytes as they come.

    Args:
        max_chars: of one event, and of what stands before its end.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._parts: list[str] = []
        self._size = 0
        self._ends_in_cr = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[SseEvent]:
        """The events that are complete now.

        Raises:
            ValueError: one is too long.
        """
        text = self._decode(data)
        if text:
            text = text[1:] if self._ends_in_cr and text.startswith("\n") else text
            self._ends_in_cr = text.endswith("\r")
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            self._count(line)
            whole = "".join((*self._parts, line))
            self._parts.clear()
            event = self._line(whole)
            if event is not None:
                yield event
        if rest:
            self._count(rest)
            self._parts.append(rest)

    def _count(self, text: str) -> None:
        self._size += len(text)
        if self._size > self._max_chars:
            raise ValueError(f"an event is longer than {self._max_chars} characters")

    def _line(self, line: str) -> SseEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif not field:
            self._size -= len(line)  # a comment is no part of an event
        return None

    def _dispatch(self) -> SseEvent | None:
        name, data = self._name or "message", self._data
        self._name, self._data, self._size = "", [], 0
        return SseEvent(name, "\n".join(data)) if data else None

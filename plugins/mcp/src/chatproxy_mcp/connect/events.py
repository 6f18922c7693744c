"""Events: a server's stream of events on its way to the SDK, bounded.

Rule: no event is larger than the limit or holds more than `weight.MAX_VALUES`, none comes faster than is allowed, and
none has the SDK wait for longer than `LONGEST_RETRY` before it asks again: it sleeps on when nobody waits any more, and
a number that no float can hold ends its session.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2

from chatproxy_mcp.connect.errors import MessageTooLargeError
from chatproxy_mcp.connect.pace import Pace
from chatproxy_mcp.connect.replies import Reply, too_large
from chatproxy_mcp.connect.watch import Call
from chatproxy_mcp.connect.weight import MAX_VALUES, Weight, too_heavy

LONGEST_RETRY = b"60000"
_BLANK = (b"\n\n", b"\r\r", b"\n\r\n")
_FIELD = b"retry:"
_RETRY = re.compile(rb"([\r\n])retry:(?! ?\d{1,5}[\r\n])[^\r\n]*")
_MAX_HELD = 64
FREE_EVENTS = 16
"""Of a call's own stream: its answer, and a few before it, do not wait for what other calls of the session are told."""


class Events(httpx2.AsyncByteStream):
    """The body of a reply that is a stream of events."""

    def __init__(self, reply: Reply, limit: int, pace: Pace, call: Call | None) -> None:
        self._reply = reply
        self._limit = limit
        self._pace = pace
        self._call = call
        self._free = 0 if call is None else FREE_EVENTS

    async def __aiter__(self) -> AsyncIterator[bytes]:
        event, retries = _Event(self._limit), Retries()
        while data := await self._reply.read():
            fault = event.add(data)
            if fault is not None:
                if self._call is not None:
                    self._call.fault = fault
                raise httpx2.SSEError("an event is larger than the limit")
            await self._spend(data.count(b"\n\n") + data.count(b"\n\r\n") + data.count(b"\r\r") or 1)
            if tamed := retries.tamed(data):
                yield tamed

    async def _spend(self, count: int) -> None:
        free = min(count, self._free)
        self._free -= free
        if count > free:
            await self._pace.spend(count - free)

    async def aclose(self) -> None:
        """Read no more."""
        self._reply.close()


class _Event:
    """The size of the event that is coming in."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._tail = b""
        self._weight = Weight()

    def add(self, data: bytes) -> MessageTooLargeError | None:
        """Count a piece of the stream; what is wrong with the event that it ends with."""
        begin = self._begin(data)
        self._tail = (self._tail + data)[-3:]
        if begin is None:
            self._size += len(data)
            values = self._weight.add(data)
        else:
            # Those that end within the piece are no larger than what is read at once.
            self._size = len(data) - begin
            self._weight = Weight()
            values = self._weight.add(data[begin:])
        if self._size > self._limit:
            return too_large(self._limit)
        return too_heavy() if values > MAX_VALUES else None

    def _begin(self, data: bytes) -> int | None:
        """Where the last event of a piece begins; the blank line before it may lie across the seam of two pieces."""
        end = max(data.rfind(blank) for blank in _BLANK)
        if end >= 0:
            return end
        seam = self._tail + data[:3]
        return 0 if any(blank in seam for blank in _BLANK) else None


class Retries:
    """Sees that ``retry`` fields are short."""

    def __init__(self) -> None:
        self._held = b""
        self._is_at_line = True

    def tamed(self, data: bytes) -> bytes:
        """Give a piece with its fields made short; a field that is not yet whole is held back."""
        data = self._held + data
        line = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        rest = data[line:]
        self._held = b""
        was_at_line, self._is_at_line = self._is_at_line, not rest
        if (line or was_at_line) and (_FIELD.startswith(rest) or rest.startswith(_FIELD)):
            data, self._held, self._is_at_line = data[:line], rest[:_MAX_HELD], True
        if _FIELD not in data:
            return data
        if was_at_line:
            return _RETRY.sub(rb"\1retry: " + LONGEST_RETRY, b"\n" + data)[1:]
        return _RETRY.sub(rb"\1retry: " + LONGEST_RETRY, data)

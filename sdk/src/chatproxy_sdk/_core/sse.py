"""Server-sent events: bytes to the ``data`` of each event.

Rule: no I/O and no await here.
Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

from collections.abc import Iterator

from chatproxy_sdk._core.faults import Fault, FaultError, Kind

_BOM = b"\xef\xbb\xbf"


class EventDecoder:
    """Turns the bytes of a stream, cut anywhere, into the data of its events.

    Names, ids and retry times of events are read over, comments and events without data too.

    Args:
        max_event_bytes: of one event; more is a fault.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = bytearray()
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data of every event that ends in these bytes, in order; to be read to its end before the next call.

        Raises:
            FaultError: an event is too long; those before it have been given.
        """
        if self._after_cr or b"\r" in data:
            data = self._with_newlines(data)
        if self._at_start or self._rest or data[-2:] != b"\n\n":
            data = self._whole_events(data)
        if not data:
            return
        is_short = len(data) <= self._max_event_bytes
        for event in data[:-2].split(b"\n\n"):
            if not is_short:
                self._check(len(event))
            if event[:6] == b"data: " and b"\n" not in event:
                yield event[6:]
            elif (found := _data_of(event)) is not None:
                yield found

    def _whole_events(self, data: bytes) -> bytes:
        """What has come up to the last blank line; what is after it is kept."""
        rest = self._rest
        searched = max(0, len(rest) - 1)
        rest += data
        if self._at_start:
            self._drop_bom()
        end = rest.rfind(b"\n\n", searched) + 2
        if end < 2:
            self._check(len(rest))
            return b""
        whole = bytes(rest[:end])
        del rest[:end]
        return whole

    def _with_newlines(self, data: bytes) -> bytes:
        """The same with every end of line as LF; one that is cut between CR and LF is one."""
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _drop_bom(self) -> None:
        if self._rest.startswith(_BOM):
            del self._rest[:3]
        self._at_start = len(self._rest) < 3 and _BOM.startswith(bytes(self._rest))

    def _check(self, size: int) -> None:
        if size > self._max_event_bytes:
            message = f"an event of the stream is longer than {self._max_event_bytes} bytes"
            raise FaultError(Fault(kind=Kind.ANSWER, message=message))


def _data_of(event: bytes) -> bytes | None:
    values = [_value(line) for line in event.split(b"\n") if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(values) if values else None


def _value(line: bytes) -> bytes:
    value = line[5:]
    return value[1:] if value.startswith(b" ") else value

"""Server-sent events: bytes to frames and back.

Rule: no I/O and no await here, so that every case is a table test. A frame is the bytes of one event, its blank
line included; frames joined are the stream's own bytes, blank lines between frames and a byte order mark apart.
Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

import re

from chatproxy.errors import UpstreamError

MAX_LINE_BYTES = 1 << 20
DONE = b"data: [DONE]\n\n"

_BOM = b"\xef\xbb\xbf"
_LF, _CR = 10, 13
_LINES_PER_FRAME = 16
"""A frame may be so many times as long as a line: many short lines without a blank one must end somewhere."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
# A bare CR after a bare CR ends a frame at once, so that no event of a CR stream waits for the next one; after LF a
# CR may be half of a CRLF, so that it counts only once the byte behind it is known.
_BLANK_LINE = re.compile(rb"\r\r|\n\n|\n\r(?:\n|(?=[^\n]))")


class FrameSplitter:
    """Cuts an event stream into frames, the same ones however it is sliced.

    Args:
        max_line_bytes: how long one line may be; a frame may be 16 times as long.
    """

    __slots__ = ("_buffer", "_checked", "_clean", "_max_line_bytes", "_started")

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._buffer = bytearray()  # grows in place: joining bytes anew for each slice would be quadratic
        self._checked = 0  # lines of the buffer before this index are within the limit
        self._clean = False  # started, and the buffer is empty
        self._started = False
        self._max_line_bytes = max_line_bytes

    @property
    def pending(self) -> bytes:
        """The bytes of a frame whose end has not come yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the frames they complete, blank lines between frames dropped.

        Bytes that are exactly one frame come back as the same object.

        Raises:
            UpstreamError: a line or frame is longer than allowed (502, code ``upstream_line_too_long``); feed no more.
        """
        if self._clean:
            end = data.find(b"\n")
            if end > 0 and data.startswith(b"event: "):  # most events of some APIs have a name and one line of data
                name_end, end = end, data.find(b"\n", end + 1)
                if end == name_end + 1:  # a name without data: the frame ends here
                    return self._split(data)
            if 0 < end == len(data) - 2 <= self._max_line_bytes and data[-1] == _LF and data.find(b"\r") < 0:
                return [data]
            return self._split(data)
        if not self._started:
            begun = self._without_bom(data)
            return [] if begun is None else self._split(begun)
        return self._append(data)

    def flush(self) -> bytes | None:
        """The last frame of a stream that ended without a blank line; None where nothing is left."""
        pending = bytes(self._buffer)
        self._buffer.clear()
        self._clean, self._started = True, True
        if pending.endswith(b"\n\r"):  # whole, but for the LF that might have come
            return pending
        pending = pending.rstrip(b"\r\n")
        return pending + b"\n\n" if pending else None

    def _without_bom(self, data: bytes) -> bytes | None:
        """The stream's first bytes; None as long as they may be the begin of a byte order mark."""
        data = bytes(self._buffer) + data
        self._buffer.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._buffer += data
            return None
        self._started = True
        return data.removeprefix(_BOM)

    def _append(self, data: bytes) -> list[bytes]:
        """Take bytes behind those pending; they are looked at once, whatever the slices."""
        buffer = self._buffer
        seam = max(len(buffer) - 2, 0)
        buffer += data
        if _BLANK_LINE.search(buffer, seam) is None:
            self._check_pending()
            return []
        data = bytes(buffer)
        buffer.clear()
        return self._split(data)

    def _split(self, data: bytes) -> list[bytes]:
        """Frames of ``data``, which begins outside of a frame; what is left becomes pending."""
        frames, start = [], 0
        for end in _frame_ends(data):
            if frame := data[start:end].lstrip(b"\r\n"):
                frames.append(frame)
            start = end
        if len(data) > self._max_line_bytes:
            for frame in frames:
                self._check(frame)
        self._checked = 0
        self._buffer += data[start:].lstrip(b"\r\n")
        self._clean = not self._buffer
        self._check_pending()
        return frames

    def _check_pending(self) -> None:
        """Check lines not checked before; a line that is being added to is looked at again only when it ends."""
        buffer = self._buffer
        if len(buffer) - self._checked > self._max_line_bytes:
            self._check(bytes(buffer[self._checked :]))
            self._checked = max(buffer.rfind(b"\n"), buffer.rfind(b"\r")) + 1
            self._check_size(len(buffer))

    def _check(self, lines: bytes) -> None:
        if len(lines) <= self._max_line_bytes:
            return
        if max(map(len, lines.splitlines())) > self._max_line_bytes:
            raise _too_long("event line", self._max_line_bytes)
        self._check_size(len(lines))

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > _LINES_PER_FRAME * self._max_line_bytes:
            raise _too_long("event", _LINES_PER_FRAME * self._max_line_bytes)


def _frame_ends(data: bytes) -> list[int]:
    """Indexes behind every blank line. Looking for LF first is many times faster than an expression for all forms."""
    if b"\r" in data and b"\r\r" in data:
        return [match.end() for match in _BLANK_LINE.finditer(data)]
    ends, last, end = [], len(data) - 1, data.find(b"\n") + 1
    while 0 < end <= last:
        if data[end] == _LF:
            ends.append(end := end + 1)
        elif data[end] == _CR and end < last:
            ends.append(end := end + (2 if data[end + 1] == _LF else 1))
        end = data.find(b"\n", end) + 1
    return ends


def frame_data(frame: bytes) -> bytes | None:
    """What the ``data`` lines of a frame carry, joined by newlines; None where it has none (a comment)."""
    end = frame.find(b"\n")
    if frame.startswith(b"event: "):  # most events of some APIs have a name and one line of data
        start = end + 1
        end = frame.find(b"\n", start)
    else:
        start = 0
    is_one_line = end == len(frame) - 2 and frame[-1] == _LF and frame.find(b"\r") < 0
    if is_one_line and frame.startswith(b"data: ", start):
        return frame[start + 6 : -2]
    values = []
    for line in frame.splitlines():
        if line[:5] == b"data:":
            values.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            values.append(b"")
    return b"\n".join(values) if values else None


def frame_event(frame: bytes) -> str:
    """The frame's ``event`` name, ``message`` where it has none."""
    if b"event" not in frame:
        return "message"
    names = [_value(line) for line in frame.splitlines() if _is_field(line, b"event")]
    return names[-1].decode("utf-8", "replace") if names and names[-1] else "message"


def encode_frame(data: bytes, *, event: str | None = None) -> bytes:
    """A frame that carries ``data``; a newline in it starts another ``data`` line.

    Raises:
        ValueError: the event's name has a newline in it, which would begin a field of its own.
    """
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    if event is None:
        return b"data: " + data + b"\n\n"
    if "\n" in event or "\r" in event:
        raise ValueError(f"an event's name must be one line, found {event!r}")
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


def replace_data(frame: bytes, data: bytes) -> bytes:
    """The frame with other data; its other fields (``event``, ``id``, ``retry``) and its comments stay."""
    others = [line + b"\n" for line in frame.splitlines() if line and not _is_field(line, b"data")]
    return b"".join(others) + encode_frame(data)


def is_activity(data: bytes, *, in_comment: bool) -> tuple[bool, bool]:
    """Whether bytes of a stream hold more than comments and blank lines.

    Args:
        data: bytes as they came, cut anywhere.
        in_comment: whether the bytes before ended inside a comment line.

    Returns:
        (they do, the next bytes go on inside a comment).

    A line that is cut right before a colon counts by its first part only.
    """
    if not in_comment and data.startswith(b"data:") and data[-1] == _LF:
        return True, False
    active = False
    for line in data.splitlines(keepends=True):
        in_comment = in_comment or line.startswith(b":")
        text = line.rstrip(b"\r\n")
        active = active or (text != b"" and not in_comment)
        in_comment = in_comment and len(text) == len(line)
    return active, in_comment


def _is_field(line: bytes, name: bytes) -> bool:
    return line.startswith(name) and line[len(name) : len(name) + 1] in {b":", b""}


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2].removeprefix(b" ")


def _too_long(what: str, limit_bytes: int) -> UpstreamError:
    return UpstreamError(f"The upstream sent an {what} of over {limit_bytes} bytes.", code="upstream_line_too_long")

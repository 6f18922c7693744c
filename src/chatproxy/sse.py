"""Server-sent events: bytes to frames and back.

Rule: no I/O and no await here, so that every case is a table test. A frame is the bytes of one event, its blank
line included; frames joined are the stream's own bytes (a leading byte order mark apart).
Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

import re

from chatproxy.errors import UpstreamError

MAX_LINE_BYTES = 1 << 20
DONE = b"data: [DONE]\n\n"

_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class FrameSplitter:
    """Cuts an event stream, sliced anywhere, into frames.

    Args:
        max_line_bytes: how long one line may be.

    Attributes:
        pending: the bytes of a frame whose end has not come yet.
    """

    __slots__ = ("_after_cr", "_max_line_bytes", "_started", "pending")

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.pending = b""
        self._max_line_bytes = max_line_bytes
        self._started = False
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the frames they complete, blank lines between frames dropped.

        Raises:
            UpstreamError: a line is longer than allowed (502, code ``upstream_line_too_long``).
        """
        if not self._started:
            data = self._without_bom(data)
            if not self._started:
                return []
        if self._after_cr and data:
            self._after_cr = False
            if data[:1] == b"\n":  # the second half of a CRLF whose first half ended a frame
                data = data[1:]
        if self.pending:
            data = self.pending + data
        if b"\r" not in data:
            return self._split_lf(data)
        return self._split_any(data)

    def flush(self) -> bytes | None:
        """The last frame of a stream that ended without a blank line; None where nothing is left."""
        pending, self.pending = self.pending.rstrip(b"\r\n"), b""
        return pending + b"\n\n" if pending else None

    def _without_bom(self, data: bytes) -> bytes:
        data = self.pending + data
        self.pending = b""
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self.pending = data
            return b""
        self._started = True
        return data.removeprefix(_BOM)

    def _split_lf(self, data: bytes) -> list[bytes]:
        end = data.rfind(b"\n\n")
        if end < 0:
            self._keep(data)
            return []
        self._keep(data[end + 2 :] if end + 2 < len(data) else b"")
        if data.find(b"\n\n") == end and data[:1] != b"\n":
            frame = data if end + 2 == len(data) else data[: end + 2]
            if len(frame) > self._max_line_bytes:
                self._check_lines(frame)
            return [frame]
        frames = [part.lstrip(b"\n") + b"\n\n" for part in data[:end].split(b"\n\n")]
        return [frame for frame in frames if self._is_frame(frame)]

    def _split_any(self, data: bytes) -> list[bytes]:
        frames, start = [], 0
        for match in _BLANK_LINE.finditer(data):
            if match.start() >= start:
                frame = data[start : match.end()].lstrip(b"\r\n")
                start = match.end()
                if frame and self._is_frame(frame):
                    frames.append(frame)
        self._after_cr = start == len(data) and data[-1:] == b"\r"
        self._keep(data[start:])
        return frames

    def _keep(self, rest: bytes) -> None:
        self.pending = rest
        if len(rest) > self._max_line_bytes:
            self._check_lines(rest)

    def _is_frame(self, frame: bytes) -> bool:
        if len(frame) > self._max_line_bytes:
            self._check_lines(frame)
        return frame.strip(b"\r\n") != b""

    def _check_lines(self, data: bytes) -> None:
        longest = max(map(len, _LINE_END.split(data)))
        if longest > self._max_line_bytes:
            raise UpstreamError(
                f"The upstream sent an event line of over {self._max_line_bytes} bytes.", code="upstream_line_too_long"
            )


def frame_data(frame: bytes) -> bytes | None:
    """What the ``data`` lines of a frame carry, joined by newlines; None where it has none (a comment)."""
    if frame.startswith(b"data: ") and frame.find(b"\n") == len(frame) - 2 and b"\r" not in frame:
        return frame[6:-2]
    lines = [value for name, value in _lines(frame) if name == b"data"]
    return b"\n".join(lines) if lines else None


def frame_event(frame: bytes) -> str:
    """The frame's ``event`` name, ``message`` where it has none."""
    if b"event" not in frame:
        return "message"
    names = [value for name, value in _lines(frame) if name == b"event"]
    return names[-1].decode("utf-8", "replace") if names and names[-1] else "message"


def encode_frame(data: bytes, *, event: str | None = None) -> bytes:
    """A frame that carries ``data``; a newline in it starts another ``data`` line."""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    name = b"" if event is None else b"event: " + event.encode() + b"\n"
    return name + b"data: " + data + b"\n\n"


def is_activity(data: bytes, *, in_comment: bool) -> tuple[bool, bool]:
    """Whether bytes of a stream hold more than comments and blank lines.

    Args:
        data: bytes as they came, cut anywhere.
        in_comment: whether the bytes before ended inside a comment line.

    Returns:
        (they do, the next bytes go on inside a comment).
    """
    active = False
    for i, line in enumerate(_LINE_END.split(data)):
        in_comment = line.startswith(b":") if i else (in_comment or line.startswith(b":"))
        active = active or (bool(line) and not in_comment)
    return active, in_comment


def _lines(frame: bytes) -> list[tuple[bytes, bytes]]:
    pairs = []
    for line in _LINE_END.split(frame):
        name, colon, value = line.partition(b":")
        if name or not colon:
            pairs.append((name, value.removeprefix(b" ")))
    return pairs

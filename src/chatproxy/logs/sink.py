"""Sink: where lines go, without ever making the event loop wait.

Rule: lines and bytes only; nothing here knows what a line says.

A pipe is opened a second time, for us alone, so that it can be non-blocking without changing the descriptor that others
share; writes stay below ``PIPE_BUF``, so that a line is written whole or not at all, and lines of several processes do
not mix. Terminals and sockets are asked first whether they take more. Files never block.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from collections.abc import Callable
from typing import Protocol

FLUSH_BYTES = 65_536
BACKLOG_BYTES = 1_048_576
_PIPE_BUF = select.PIPE_BUF
_NEWLINE = ord("\n")


class TextStream(Protocol):
    """What is written to: ``sys.stderr`` or alike."""

    def write(self, text: str, /) -> object:
        """Write text."""

    def flush(self) -> object:
        """Hand on what was written."""

    def fileno(self) -> int:
        """The descriptor; a stream in memory raises `io.UnsupportedOperation`."""


class Sink:
    """Writes bytes to a stream's descriptor, as many as it takes now. Opened at the first write."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._fd: int | None = None
        self._mode: str = "new"

    def write(self, data: memoryview) -> int:
        """Write what can be written at once; 0 where the stream is full.

        Raises:
            OSError: the stream is closed, its reader is gone, or its disk is full.
        """
        if self._mode == "new":
            self._open()
        if self._fd is None:
            return self._write_text(data)
        if self._mode == "file":
            return os.write(self._fd, data)
        if self._mode == "asked" and not self.wait(0.0):
            return 0
        try:
            return os.write(self._fd, data[: _whole_lines(data)])
        except BlockingIOError:
            return 0

    def wait(self, timeout_s: float) -> bool:
        """Whether the stream takes more within this time."""
        if self._fd is None or self._mode == "file":
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(timeout_s * 1000))

    def close(self) -> None:
        """Close our descriptor; the stream itself stays open."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._mode = None, "new"

    def _open(self) -> None:
        try:
            self._stream.flush()
            fd = self._stream.fileno()
        except (AttributeError, io.UnsupportedOperation):  # a stream in memory
            self._mode = "text"
            return
        except ValueError as exc:
            raise OSError(str(exc)) from exc
        kind = os.fstat(fd).st_mode
        asked = stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or os.isatty(fd)
        self._fd, self._mode = os.dup(fd), "asked" if asked else "file"
        if stat.S_ISFIFO(kind):
            self._open_again()

    def _open_again(self) -> None:
        """A description of the pipe for us alone; where the system has none to give, it is asked before each write."""
        try:
            own = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._mode = own, "own"

    def _write_text(self, data: memoryview) -> int:
        try:
            self._stream.write(bytes(data).decode())
            self._stream.flush()
        except (AttributeError, ValueError) as exc:  # closed; or `sys.stderr` is None, as without a descriptor 2
            raise OSError(str(exc)) from exc
        return len(data)


def _whole_lines(data: memoryview) -> int:
    """How many bytes make the most whole lines that fit into one write to a pipe; a longer line goes in parts."""
    if len(data) <= _PIPE_BUF:
        return len(data)
    return bytes(data[:_PIPE_BUF]).rfind(b"\n") + 1 or _PIPE_BUF


class LineBuffer:
    """Lines that wait for the sink: bounded; what is lost is counted, and said as soon as the sink takes lines again.

    Args:
        loss: makes the line that says how many were lost.

    Attributes:
        waiting: the lines; whoever adds to it directly keeps to `has_room`.
        dropped: lines lost and not yet reported.
    """

    def __init__(self, sink: Sink, loss: Callable[[int], bytes], *, most_bytes: int = BACKLOG_BYTES) -> None:
        self.sink = sink
        self.waiting = bytearray()
        self.dropped = 0
        self._loss = loss
        self._most_bytes = most_bytes
        self._last_byte = _NEWLINE
        self._healthy = True

    @property
    def has_room(self) -> bool:
        """Whether fewer bytes wait than may."""
        return len(self.waiting) < self._most_bytes

    def put(self, line: bytes) -> None:
        """Add a line, its line break included."""
        if self.has_room:
            self.waiting += line
        else:
            self.dropped += 1

    def flush(self) -> bool:
        """Write what the sink takes now; whether nothing is left. Where the sink is broken, all is dropped."""
        if self._write() and self.dropped and self._healthy:
            lost, self.dropped = self.dropped, 0
            self.waiting += self._loss(lost)
            self._write()
            if self.dropped:  # the report itself was lost
                self.dropped = lost
        return not self.waiting

    def flush_within(self, limit_s: float) -> bool:
        """As `flush`, waiting for the sink at most this long; for the end of a process only."""
        deadline = time.monotonic() + limit_s
        while not self.flush():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self.sink.wait(left_s):
                return False
        return True

    def _write(self) -> bool:
        done = 0
        if self.waiting and self._last_byte != _NEWLINE and not self.waiting.startswith(b"\n"):
            self.waiting[:0] = b"\n"  # a full disk cut the last line; the next one must not continue it
        try:
            with memoryview(self.waiting) as view:
                while done < len(view) and (written := self.sink.write(view[done:])):
                    done += written
                    self._last_byte = view[done - 1]
                    self._healthy = True
        except OSError:
            self._healthy = False
            self.dropped += self.waiting.count(b"\n", done or self.waiting.startswith(b"\n"))
            done = len(self.waiting)
        del self.waiting[:done]
        return not self.waiting

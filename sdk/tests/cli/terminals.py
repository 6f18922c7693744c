"""A terminal with somebody at it: runs the chat in a pty, and reads what the screen shows as a person would."""

from __future__ import annotations

import os
import pty
import select
import signal
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

from .forks import TIMEOUT_S, ForkServer

CTRL_C, CTRL_D, ALT_ENTER, UP, TAB = "\x03", "\x04", "\x1b\r", "\x1b[A", "\t"


class Screen(pyte.HistoryScreen):
    """A screen that answers what programs ask a terminal, such as where the cursor is."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines, history=10_000)
        self.answers: list[str] = []

    def write_process_input(self, data: str) -> None:
        self.answers.append(data)

    @property
    def text(self) -> str:
        """All that was shown, what scrolled away included."""
        above = ["".join(line[column].data for column in range(self.columns)) for line in self.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self.display]).rstrip()


class Terminal:
    """One run of the chat in a terminal.

    Attributes:
        raw: every byte that it wrote.
    """

    def __init__(
        self, forks: ForkServer, *args: str, env: Mapping[str, str], cwd: Path, lines: int, columns: int
    ) -> None:
        self.raw = b""
        self._is_over, self._is_open = False, True
        self.screen = Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._keyboard, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        self._process = forks.start(args, [theirs] * 3, env=env, cwd=cwd)
        os.close(theirs)

    @property
    def text(self) -> str:
        """All that was shown, what scrolled away included."""
        return self.screen.text

    def types(self, *keys: str) -> None:
        """Type, and wait for nothing."""
        os.write(self._keyboard, "".join(keys).encode(errors="surrogateescape"))

    def says(self, line: str) -> None:
        """Type a line behind the empty prompt, wait until it stands there, send it."""
        begin = self._cursor_line()
        self.types(line)
        self._wait(lambda: self._cursor_line().rstrip() == f"{begin}{line}".rstrip(), line)
        self.types("\r")

    def shows(self, *texts: str) -> None:
        """Wait until the screen shows, or has shown, these."""
        self._wait(lambda: all(text in self.text for text in texts), texts)

    def prompts(self, begin: str = "> ") -> None:
        """Wait until the cursor stands behind an empty prompt."""
        self._wait(lambda: self._cursor_line() == begin and not self.screen.cursor.hidden, begin)

    def stands(self, line: str) -> None:
        """Wait until the cursor's line, up to the cursor, is this."""
        self._wait(lambda: self._cursor_line() == line, line)

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._process.signal(number)

    def ends(self) -> int:
        """Wait until the program ends; its exit code."""
        self._wait(lambda: self._is_over, "the end")
        return self._process.wait()

    def vanishes(self) -> int:
        """Close the window; the program's exit code."""
        os.close(self._keyboard)
        self._is_open = False
        return self._process.wait()

    def close(self) -> None:
        """Take the program and the terminal away."""
        self._process.close()
        if self._is_open:
            os.close(self._keyboard)

    def _cursor_line(self) -> str:
        cursor = self.screen.cursor
        return self.screen.display[cursor.y][: cursor.x]

    def _wait(self, is_so: Callable[[], bool], wanted: object) -> None:
        while not is_so():
            assert not self._is_over, f"it ended; wanted {wanted!r}; shown:\n{self.text}"
            ready, _, _ = select.select([self._keyboard], [], [], TIMEOUT_S)
            assert ready, f"wanted {wanted!r}; shown:\n{self.text}"
            try:
                self._take(os.read(self._keyboard, 65536))
            except OSError:  # nobody has the terminal open any more
                self._is_over = True

    def _take(self, data: bytes) -> None:
        self.raw += data
        self._stream.feed(data)
        self.types(*self.screen.answers)
        self.screen.answers.clear()

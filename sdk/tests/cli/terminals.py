"""A terminal with somebody at it: runs the chat in a pty, and reads what the screen shows as a person would."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pexpect
import pyte

CTRL_C, CTRL_D, ALT_ENTER, UP, TAB = "\x03", "\x04", "\x1b\r", "\x1b[A", "\t"
CHAT = (sys.executable, "-c", "import sys; from chatproxy_sdk.cli import main; sys.exit(main())")
TIMEOUT_S = 20


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

    def __init__(self, *args: str, env: Mapping[str, str], cwd: Path, lines: int, columns: int) -> None:
        self.raw = b""
        self.screen = Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        command = [*CHAT[1:], *args]
        self.child = pexpect.spawn(CHAT[0], command, env=env, cwd=cwd, dimensions=(lines, columns), echo=True)
        self.child.delaybeforesend = None

    @property
    def text(self) -> str:
        """All that was shown, what scrolled away included."""
        return self.screen.text

    def types(self, *keys: str) -> None:
        """Type, and wait for nothing."""
        self.child.send("".join(keys))

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

    def ends(self) -> int:
        """Wait until the program ends; its exit code."""
        self._wait(lambda: not self.child.isalive() and self.child.flag_eof, "the end")
        return int(self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus)

    def close(self) -> None:
        self.child.close(force=True)

    def _cursor_line(self) -> str:
        cursor = self.screen.cursor
        return self.screen.display[cursor.y][: cursor.x]

    def _wait(self, is_so: Callable[[], bool], wanted: object) -> None:
        while not is_so():
            try:
                data = self.child.read_nonblocking(65536, timeout=TIMEOUT_S)
            except pexpect.EOF:
                self.child.wait()
                assert is_so(), f"it ended; wanted {wanted!r}; shown:\n{self.text}"
            except pexpect.TIMEOUT:
                raise AssertionError(f"wanted {wanted!r}; shown:\n{self.text}") from None
            else:
                self._take(data)

    def _take(self, data: bytes) -> None:
        self.raw += data
        self._stream.feed(data)
        for answer in self.screen.answers:
            self.child.send(answer)
        self.screen.answers.clear()

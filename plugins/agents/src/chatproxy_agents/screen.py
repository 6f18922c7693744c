"""Screen: from a text that is rewritten again and again to pieces that are only ever added.

An agent's message is what its terminal shows: it grows, its last lines turn (spinners, progress), it is wrapped anew.
What was sent to a client cannot be taken back. So:

- A line is sent when it has stood unchanged for a while, is none of the last ones, and all before it were sent.
- Where the text begins with the same words as what was sent, but other line breaks, it goes on after those words.
- Where it does not begin with what was sent at all, nothing is sent until it does again or is complete.
- When it is complete, all that was not sent is: the rest, or, where a sent line was rewritten, each line of the final
  text that was not sent as it stands. So nothing of the final text is lost, and no line of it is said twice.

Rule: no I/O, no clock of its own.
"""

from __future__ import annotations

import re
from collections import Counter

_WORD = re.compile(r"\S+")
_LINE = re.compile(r"\n*[^\n]+")  # with the line breaks before it, so that none is sent before something follows


class Screen:
    """One message.

    Args:
        hold_lines: lines at the end, blank ones apart, that are not sent before the end; at least 1.
        settle_s: seconds that a line must have stood.

    Attributes:
        sent: what was given out so far.
    """

    def __init__(self, hold_lines: int = 3, settle_s: float = 1.0) -> None:
        self._hold_lines = max(1, hold_lines)
        self._settle_s = settle_s
        self.sent = ""
        self._words: list[str] | None = []
        self._lines: list[str] = []
        self._since: list[float] = []

    @property
    def is_waiting(self) -> bool:
        """Whether lines wait to have stood long enough."""
        return bool(self._lines)

    def show(self, text: str, now_s: float) -> str:
        """Take the text as it is now; returns what can be sent of it, in whole lines."""
        rest = self._rest(text)
        lines = [] if rest is None else _LINE.findall(rest)[: -self._hold_lines]
        since = [
            self._since[at] if at < len(self._lines) and self._lines[at] == line else now_s
            for at, line in enumerate(lines)
        ]
        count = 0
        while count < len(lines) and now_s - since[count] >= self._settle_s:
            count += 1
        self._lines, self._since = lines[count:], since[count:]
        return self._send("".join(lines[:count]))

    def end(self, text: str) -> str:
        """Take the final text; returns all that is left to send."""
        rest = self._rest(text)
        return self._send(self._unsent(text) if rest is None else rest)

    def _send(self, piece: str) -> str:
        if piece:
            self.sent += piece
            self._words = None
        return piece

    def _rest(self, text: str) -> str | None:
        """What follows that which was sent; None where the text does not begin with it."""
        if text.startswith(self.sent):
            return text[len(self.sent) :]
        if self._words is None:
            self._words = self.sent.split()
        at = 0
        found = _WORD.finditer(text)
        for word in self._words:
            match = next(found, None)
            if match is None or match.group() != word:
                return None
            at = match.end()
        return text[at:]

    def _unsent(self, text: str) -> str:
        """The lines of the final text that were not sent as they stand."""
        sent = Counter(_plain(line) for line in self.sent.splitlines())
        left: list[str] = []
        for line in text.splitlines():
            plain = _plain(line)
            if sent[plain] > 0:
                sent[plain] -= 1
            elif plain or left:
                left.append(line)
        piece = "\n".join(left).rstrip()
        return f"\n{piece}" if piece else ""


def _plain(line: str) -> str:
    return " ".join(line.split())

"""Window: a sliding-window counter, one window of a fixed length and the one before it.

Rule: arithmetic only, in whole milliseconds; `reserve.lua` does the same for several processes, and a test compares
both.
What was counted in the window before fades out evenly: at a quarter of this window, three quarters of it still count.
A window begins with the first request after a time without any, so that a burst never meets a boundary.

Source: the strategy "sliding window counter" of the library ``limits`` (which rounds down where this rounds up).
"""

from __future__ import annotations

NEVER = -1


class Window:
    """A counter; ``length`` is its window's, which the caller keeps.

    Attributes:
        start: when the current window began.
    """

    __slots__ = ("current", "previous", "start")

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.previous = 0
        self.current = 0

    def used(self, now: int, length: int) -> int:
        """What counts now, after moving on to the window that now is in."""
        past = now - self.start
        if past >= length:
            if past >= 2 * length or not self.current:
                self.start, self.previous, past = now, 0, 0
            else:
                self.start += length
                self.previous = self.current
                past -= length
            self.current = 0
        if self.previous:
            return self.current - (-self.previous * (length - past) // length)
        return self.current

    def correct(self, now: int, length: int, start: int, amount: int) -> None:
        """Change what an earlier reservation took.

        Args:
            start: of the window it was taken from. What is given back goes there, as far as it counts still; what was
                used beyond the reservation counts from now on.
            amount: negative to give back.
        """
        self.used(now, length)
        if amount > 0 or self.start == start:
            self.current = max(0, self.current + amount)
        elif self.start == start + length:
            self.previous = max(0, self.previous + amount)

    def empty_in(self, now: int, length: int) -> int:
        """Milliseconds until nothing counts any more; `used` has been called for the same ``now``."""
        if self.current:
            return self.start + 2 * length - now
        return self.start + length - now if self.previous else 0

    def room_in(self, now: int, length: int, room: int) -> int:
        """Milliseconds until at most ``room`` is used; `NEVER` where it is negative. As `empty_in`."""
        if room < 0:
            return NEVER
        if self.current <= room:
            return max(0, self.start - now + _faded(self.previous, room - self.current, length))
        return max(0, self.start + length - now + _faded(self.current, room, length))


def _faded(count: int, room: int, length: int) -> int:
    """How far into a window ``count`` of the one before it has faded to ``room``."""
    return length - length * room // count if count > room else 0

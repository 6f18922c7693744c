"""RateLimited: messages that an outage would repeat thousands of times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

_MOST_KEYS = 1_024


class RateLimited:
    """Logs at most one message per key and interval, and says how many it left out.

    Args:
        logger: where the messages go.
        every_s: seconds between two messages of one key.
        clock: monotonic seconds.
    """

    def __init__(
        self, logger: logging.Logger, *, every_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._every_s = every_s
        self._clock = clock
        self._next_at: dict[Hashable, float] = {}
        self._left_out: dict[Hashable, int] = {}

    def log(self, level: int, key: Hashable, message: str, *args: object) -> bool:
        """Log ``message % args`` unless this key was logged just now; whether it was logged."""
        now = self._clock()
        if now < self._next_at.get(key, now):
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return False
        self._forget(now)
        self._next_at[key] = now + self._every_s
        left_out = self._left_out.pop(key, 0)
        if left_out:
            text = message % args if args else message
            self._logger.log(level, "%s (%d more in between)", text, left_out, extra={"suppressed": left_out})
        else:
            self._logger.log(level, message, *args)
        return True

    def warning(self, key: Hashable, message: str, *args: object) -> bool:
        """As `log`, at level warning."""
        return self.log(logging.WARNING, key, message, *args)

    def _forget(self, now: float) -> None:
        """Keep the tables small where keys are made from what clients send."""
        if len(self._next_at) >= _MOST_KEYS:
            over = [key for key, at in self._next_at.items() if at <= now] or list(self._next_at)
            for key in over:
                del self._next_at[key]
                self._left_out.pop(key, None)

"""Backoff: how long a server that cannot be reached is left alone.

Rule: pure arithmetic over a clock that is handed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 0.5
LONGEST_S = 30.0


class Backoff:
    """Doubles with every failure in a row, with jitter, so that many gateways do not knock at the same time."""

    __slots__ = ("_clock", "_failures", "_until")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    @property
    def remaining_s(self) -> float:
        """Until the next try is allowed; 0: now."""
        return max(0.0, self._until - self._clock())

    def failed(self) -> float:
        """Note a failure; returns the time to wait, 0.5 s to 30 s. Those that fail together count as one."""
        if self.remaining_s:
            return self.remaining_s
        longest = min(LONGEST_S, FIRST_S * 2 ** min(self._failures + 1, 10))
        self._failures += 1
        wait_s = random.uniform(max(FIRST_S, longest / 2), longest)  # noqa: S311 - spreads load, keeps no secret
        self._until = self._clock() + wait_s
        return wait_s

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures = 0
        self._until = 0.0

"""Breaker: whether an agent is asked at all, after it has failed some times in a row.

Rule: no I/O; the clock is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]
_WORST: tuple[State, ...] = ("closed", "half_open", "open")


class Breaker:
    """Closed: asked. Open: not asked for a while. Half-open: asked once more, whose outcome decides.

    That it is asked once at a time is for the queue to see to.

    Args:
        limit: failures in a row that open it.
        cooldown_s: how long it stays open.
        clock: seconds.
    """

    def __init__(self, limit: int, cooldown_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._failures = 0
        self._opened_s = 0.0

    @property
    def state(self) -> State:
        """As it is now."""
        if self._failures < self._limit:
            return "closed"
        return "open" if self.wait_s > 0 else "half_open"

    @property
    def wait_s(self) -> float:
        """Seconds until the agent may be asked again; 0 where it may be."""
        if self._failures < self._limit:
            return 0.0
        return max(0.0, self._opened_s + self._cooldown_s - self._clock())

    def succeeded(self) -> None:
        """The agent did as it was asked."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        self._opened_s = self._clock()


def worst(states: list[State]) -> State:
    """The one that speaks for all; closed where there are none."""
    return max(states, key=_WORST.index, default="closed")

"""Breaker: after some failures in a row nothing is tried for a while, and then one thing first.

Rule: no I/O and no await here. Time comes from a clock that never goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Whether something that fails is worth another attempt.

    Args:
        failures_to_open: failures in a row after which nothing is let through.
        cooling_s: for how long; then one attempt decides.
    """

    def __init__(self, failures_to_open: int, cooling_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures_to_open = failures_to_open
        self._cooling_s = cooling_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    @property
    def state(self) -> State:
        """``open``: nothing is let through; ``half_open``: the next attempt is, or one runs."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._is_probing or self._is_cool() else "open"

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def enter(self) -> bool:
        """Whether an attempt may be made; one that may ends in `succeeded`, `failed` or `left`."""
        if self._opened_at is None:
            return True
        if self._is_probing or not self._is_cool():
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> bool:
        """An attempt worked; whether that closed the breaker."""
        was_open = self._opened_at is not None
        self._failures, self._opened_at, self._is_probing = 0, None, False
        return was_open

    def failed(self) -> bool:
        """An attempt failed; whether that opened the breaker."""
        self._failures += 1
        is_closed = self._opened_at is None
        if is_closed and self._failures < self._failures_to_open:
            return False
        self._opened_at, self._is_probing = self._clock(), False
        return is_closed

    def left(self) -> None:
        """An attempt ended without saying anything about what was tried."""
        self._is_probing = False

    def _is_cool(self) -> bool:
        return self._opened_at is not None and self._clock() - self._opened_at >= self._cooling_s

"""Line: one request at a time, the others wait in the order they came, and no more than a few."""

from __future__ import annotations

import asyncio
import math
import time

from chatproxy.errors import Overloaded

_LONGEST_ADVICE_S = 120


class Line:
    """Who may talk to an agent.

    Args:
        name: of the agent, for messages.
        limit: how many may wait.
        timeout_s: how long each may wait.
    """

    def __init__(self, name: str, limit: int, timeout_s: float) -> None:
        self._name = name
        self._limit = limit
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()  # gives way in the order of asking
        self.waiting = 0
        self._usual_s = 5.0
        self._entered_s = 0.0

    @property
    def is_taken(self) -> bool:
        """Whether somebody talks to the agent."""
        return self._lock.locked()

    async def enter(self) -> None:
        """Wait until it is one's turn; `leave` gives it on.

        Raises:
            Overloaded: too many wait, or it took too long (503).
        """
        if (self.is_taken or self.waiting) and self.waiting >= self._limit:
            raise self._refusal("has too many requests waiting", "agent_queue_full")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._lock.acquire()
        except TimeoutError:
            message = f"was busy with others for {self._timeout_s:g} s"
            raise self._refusal(message, "agent_queue_timeout") from None
        finally:
            self.waiting -= 1
        self._entered_s = time.monotonic()

    def leave(self) -> None:
        """Let the next one in."""
        self._usual_s += (time.monotonic() - self._entered_s - self._usual_s) * 0.3
        self._lock.release()

    def _refusal(self, what: str, code: str) -> Overloaded:
        advice_s = math.ceil(self._usual_s * (self.waiting + 1))
        return Overloaded(
            f"The agent '{self._name}' {what}.", code=code, retry_after_s=max(1, min(advice_s, _LONGEST_ADVICE_S))
        )

"""Pace: how fast something may happen that a server decides on."""

from __future__ import annotations

import asyncio


class Pace:
    """A bucket that fills by time; who finds it empty waits, so the server's own pipe or socket fills up."""

    def __init__(self, *, burst: float, per_s: float) -> None:
        self._burst = self._left = burst
        self._per_s = per_s
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time()

    async def spend(self, count: float = 1.0) -> None:
        """Take that many; wait while more were taken than there are. Who is cancelled has taken none."""
        now = self._loop.time()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s) - count
        self._at = now
        if self._left >= 0:
            return
        try:
            await asyncio.sleep(-self._left / self._per_s)
        except asyncio.CancelledError:
            self._left += count
            raise


STREAM_BURST = 8.0
STREAMS_PER_S = 1.0
MESSAGE_BURST = 1000.0
MESSAGES_PER_S = 500.0


def message_pace() -> Pace:
    """Notifications and questions of one server: each costs the gateway about 0.1 ms."""
    return Pace(burst=MESSAGE_BURST, per_s=MESSAGES_PER_S)


def stream_pace() -> Pace:
    """Streams of events that are asked for again, by one call or by one session."""
    return Pace(burst=STREAM_BURST, per_s=STREAMS_PER_S)

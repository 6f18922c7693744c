"""Retry: when a batch is tried again, and what the log says of it.

Rule: one line when exporting begins to fail and one when it works again, however many batches fail in between; and not
more than one such pair a minute, so that a collector that comes and goes does not fill the log.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from chatproxy_otel.export.outcome import Outcome, Verdict

FIRST_S = 0.5
LONGEST_S = 10.0
LONGEST_ASKED_S = 60.0
NOTICE_EVERY_S = 60.0

logger = logging.getLogger("chatproxy_otel")


class Retry:
    """The failures in a row of one pipe; used by one thread."""

    def __init__(self, signal: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._signal = signal
        self._clock = clock
        self._failures = 0
        self._dropped_before = 0
        self._said_at = -NOTICE_EVERY_S
        self._has_said = False

    def wait_s(self, outcome: Outcome) -> float:
        """How long to leave the collector alone: as it asks, else doubling, with jitter, 0.5 s to 10 s."""
        longest = min(LONGEST_S, FIRST_S * 2 ** min(self._failures, 10))
        own_s = random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, keeps no secret
        if outcome.retry_after_s is None:
            return own_s
        return max(own_s, min(outcome.retry_after_s, LONGEST_ASKED_S))

    def failed(self, outcome: Outcome) -> None:
        """Note that a batch did not arrive."""
        self._failures += 1
        if self._has_said or self._clock() - self._said_at < NOTICE_EVERY_S:
            return
        self._said_at, self._has_said = self._clock(), True
        if outcome.verdict is Verdict.REFUSED:
            logger.warning("%s are dropped: the collector refuses them: %s", self._signal, outcome.reason)
        else:
            logger.warning("%s cannot be exported, trying again until they can: %s", self._signal, outcome.reason)

    def succeeded(self, outcome: Outcome, dropped: int) -> None:
        """Note that a batch did.

        Args:
            dropped: by the pipe until now.
        """
        if self._has_said:
            logger.warning(
                "%s are exported again; %d were dropped meanwhile", self._signal, dropped - self._dropped_before
            )
        if outcome.rejected and self._clock() - self._said_at >= NOTICE_EVERY_S:
            self._said_at = self._clock()
            logger.warning("the collector rejected %d %s of a batch", outcome.rejected, self._signal)
        self._failures, self._has_said, self._dropped_before = 0, False, dropped

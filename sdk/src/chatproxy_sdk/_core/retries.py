"""Whether and when a failed request is sent again.

Rule: no I/O and no waiting here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from chatproxy_sdk._core.faults import Fault

JITTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a request is sent again, and how long to wait.

    Attributes:
        limit: attempts after the first.
        delay_s: before the second attempt; twice that before each further one, give or take 10 %.
        longest_wait_s: a server that asks for a longer wait by ``Retry-After`` is not waited for: the error is raised.
    """

    limit: int = 0
    delay_s: float = 1.0
    longest_wait_s: float = 60.0

    def wait_s(self, failed: int, fault: Fault) -> float | None:
        """Seconds to wait before another attempt; None where there shall be none.

        Args:
            failed: attempts that have failed, at least 1.
        """
        if failed > self.limit or not fault.is_transient:
            return None
        if fault.retry_after is not None:
            return fault.retry_after if fault.retry_after <= self.longest_wait_s else None
        doubled: float = self.delay_s * 2 ** (failed - 1)
        return min(doubled, self.longest_wait_s) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret

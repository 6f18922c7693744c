"""Refusals: who was not let in, for the audit log; so many for each address and minute, the rest as a number."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.audit.events import AuditEvent

WINDOW_S = 60.0
MOST_ADDRESSES = 1000
"""Told apart within a minute; all others share one place."""
OTHERS = "others"


class AuditTrail(Protocol):
    """What identity needs of the audit log."""

    async def append(self, session: AsyncSession, *events: AuditEvent) -> Any:
        """Write rows within a transaction."""

    def note(self, event: AuditEvent) -> None:
        """Write a row in the background."""


class Refusals:
    """Notes refused requests.

    Args:
        most: rows for each address and minute.
        clock: monotonic seconds.
    """

    def __init__(self, audit: AuditTrail, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._most = most
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._until = float("-inf")

    def note(self, address: str, event: AuditEvent) -> None:
        """Have a refusal written, or counted where its address has had its rows of this minute."""
        now = self._clock()
        if now >= self._until:
            self.flush()
            self._until = now + WINDOW_S
        if address not in self._counts and len(self._counts) >= MOST_ADDRESSES:
            address = OTHERS
        self._counts[address] += 1
        if self._counts[address] <= self._most:
            self._audit.note(event)

    def flush(self) -> None:
        """Have what was only counted written, as one row for each address; at the end of a minute and of everything."""
        for address, count in self._counts.items():
            if count > self._most:
                metadata = {"client": address, "not_shown": count - self._most}
                self._audit.note(AuditEvent("authentication.refused", "authentication", metadata=metadata))
        self._counts.clear()

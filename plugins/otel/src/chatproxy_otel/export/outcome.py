"""Outcome: what became of a request to a collector.

Rule: plain data; which answers may be tried again is decided here, for both protocols alike.
Source: OTLP specification, "Failures"; "OTLP/HTTP Response".
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol

MAX_REASON = 200


class Verdict(Enum):
    """What the sender of a batch should do."""

    SENT = "sent"
    REFUSED = "refused"
    """For good: the same batch would be refused again."""
    UNAVAILABLE = "unavailable"
    """The same batch may be taken later."""


class Outcome(NamedTuple):
    """Of one request.

    Attributes:
        rejected: of a batch that was sent, how many items the collector did not take.
        reason: for the log; never holds what was sent.
        retry_after_s: as the collector asks.
        was_reached: somebody answered, even if only by an error.
    """

    verdict: Verdict
    reason: str = ""
    rejected: int = 0
    retry_after_s: float | None = None
    was_reached: bool = True


class Sender(Protocol):
    """A connection to where batches go; used by one thread, except `interrupt`."""

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """Deliver a batch; waits, never raises for what a network or a collector does."""

    def interrupt(self) -> None:
        """Make a `send` that waits return soon; called by another thread."""

    def close(self) -> None:
        """Let go of the connection."""


def unreached(where: str, error: BaseException | str) -> Outcome:
    """Nobody answered."""
    return Outcome(Verdict.UNAVAILABLE, reason_of(where, str(error) or type(error).__name__), was_reached=False)


def reason_of(where: str, text: str) -> str:
    """One line for the log, whatever a collector says of itself."""
    return f"{where}: {''.join(char if char.isprintable() else ' ' for char in text[:MAX_REASON])}"

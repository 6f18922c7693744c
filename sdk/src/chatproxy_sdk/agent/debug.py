"""What ``agent.debug`` holds: the last requests, without secrets and media.

Rule: no I/O here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

KEPT_RECORDS = 50


@dataclass
class DebugRecord:
    """One completion request with all its attempts.

    Attributes:
        started_at: in UTC.
        request: ``method``, ``url`` and ``body``.
        response: ``status``, ``headers`` and ``body``; a stream's body is the completion that its chunks added up to.
        timings: seconds since the start: ``head`` (of the last attempt, since it began), ``first_text``, ``total``.
        attempts: how often it was sent.
        outcome: ``ok``, ``error`` or ``aborted``; ``open`` while it lasts.
        error: what was raised, with its class.
        retried: why each further attempt was made.
    """

    request: dict[str, Any]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    response: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    attempts: int = 0
    outcome: str = "open"
    error: str | None = None
    retried: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as a mapping that can be written as JSON."""
        return {**asdict(self), "started_at": self.started_at.isoformat()}

"""Quiet: what the SDK logs for every single attribute, once a minute.

Rule: only the loggers named here, only repetitions, and only while providers are open; nobody's handlers or levels are
touched. The SDK (1.45) warns of each text that it cuts and each attribute that it leaves out, which a limit that is
configured makes part of every span.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY_S = 60.0
LOGGERS = (
    "opentelemetry.attributes",
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.sdk.metrics._internal.export",
)


class Seldom(logging.Filter):
    """Lets each message of a logger pass once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is worth a line; told apart by their texts before anything is filled in."""
        key, now_s = f"{record.name} {record.msg}", self._clock()
        if now_s - self._said_at.get(key, -EVERY_S) < EVERY_S:
            return False
        self._said_at[key] = now_s
        return True

    def begin(self) -> None:
        """Listen to the loggers."""
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self)

    def end(self) -> None:
        """Let them be as they were."""
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(self)

"""Console: telemetry as lines of JSON on standard output.

Rule: written by the descriptor, not by ``sys.stdout``: a reader that has stopped would hold its lock, and with it every
other thread that prints.
"""

from __future__ import annotations

import os
import sys

from chatproxy_otel.export.outcome import Outcome, Verdict, unreached

PIECE = 4096
"""What a pipe takes without mixing it with what others write (PIPE_BUF on Linux)."""


class ConsoleSender:
    """Writes to standard output as it is when the sender is made."""

    def __init__(self) -> None:
        self._descriptor = sys.stdout.fileno()

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """Write the lines; waits while nobody reads."""
        left = memoryview(payload)
        try:
            while left:
                left = left[os.write(self._descriptor, left[:PIECE]) :]
        except OSError as exc:
            return unreached("standard output", exc)
        return Outcome(Verdict.SENT)

    def interrupt(self) -> None:
        """Nothing ends a write that waits; its thread does not keep the process."""

    def close(self) -> None:
        """The descriptor is not ours."""

"""What the configuration tells the engine."""

from __future__ import annotations

from typing import NamedTuple

from chatproxy.sse import MAX_LINE_BYTES


class EngineLimits(NamedTuple):
    """Limits of the engine; sizes in bytes.

    Attributes:
        report_translation: say in a response header what a translation between surfaces lost.
    """

    max_concurrency: int = 4096
    max_sse_line_bytes: int = MAX_LINE_BYTES
    default_model: str | None = None
    fallback_model: str | None = None
    enable_streaming: bool = True
    report_translation: bool = False


USUAL_LIMITS = EngineLimits()

"""Mode: where the contents of messages may go.

Source: OpenTelemetry's GenAI utilities, ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``. ``true`` and ``false``
are what earlier instrumentations took.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum

from chatproxy_otel.config import Config

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

logger = logging.getLogger("chatproxy_otel")


class Mode(Enum):
    """What is captured: nothing, or for spans, for events, for both."""

    NO_CONTENT = "no_content"
    SPAN_ONLY = "span_only"
    EVENT_ONLY = "event_only"
    SPAN_AND_EVENT = "span_and_event"

    @property
    def in_spans(self) -> bool:
        """Whether spans carry contents."""
        return self in (Mode.SPAN_ONLY, Mode.SPAN_AND_EVENT)

    @property
    def in_events(self) -> bool:
        """Whether log events carry contents."""
        return self in (Mode.EVENT_ONLY, Mode.SPAN_AND_EVENT)


_VALUES: Mapping[str, Mode] = {
    **{mode.value: mode for mode in Mode},
    "": Mode.NO_CONTENT,
    "false": Mode.NO_CONTENT,
    "true": Mode.SPAN_AND_EVENT,
}


def mode_of(config: Config, environ: Mapping[str, str]) -> Mode:
    """The mode that holds; a value that nobody knows is warned of and captures nothing."""
    mode = _known(config, environ)
    if mode is None:
        known = ", ".join(value.name for value in Mode)
        logger.warning("%s is %r, wanted one of %s: no content is captured", VARIABLE, environ[VARIABLE], known)
    return mode or Mode.NO_CONTENT


def captures(config: Config, environ: Mapping[str, str]) -> bool:
    """Whether contents are captured at all; says nothing, where `mode_of` warns."""
    return _known(config, environ) not in {None, Mode.NO_CONTENT}


def _known(config: Config, environ: Mapping[str, str]) -> Mode | None:
    if config.capture_content is not None:
        return Mode(config.capture_content)
    return _VALUES.get(environ.get(VARIABLE, "").strip().lower())

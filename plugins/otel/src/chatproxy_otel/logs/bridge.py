"""Bridge: Python's logs of this process, sent as OpenTelemetry log records.

Rule: whoever logs neither waits nor gets an exception; a record leaves once, whatever handlers and gateways there are;
nothing that exporting itself logs is exported.
Why not the handler of ``opentelemetry-instrumentation-logging`` (the SDK's own is deprecated): it sends messages,
exceptions and ``extra`` fields as they are, of any length, raises into the code that logs, and patches ``logging``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry._logs import Logger, LoggerProvider, NoOpLoggerProvider
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
    create_key,
    get_current,
    get_value,
    set_value,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, set_span_in_context

from chatproxy_otel.fitting import Fitter
from chatproxy_otel.logs.records import entry_of

PLACES = ("", "chatproxy", "uvicorn", "uvicorn.error", "asyncio", "litestar")
"""Loggers that get a handler: the root, and those whose records do not reach it in a process of our own."""
EXPORTING = ("chatproxy.plugins.otel", "chatproxy_otel", "opentelemetry", "grpc", "requests", "urllib3")
"""Loggers that say what becomes of an export."""
ADDRESSES = ("httpcore", "httpcore2", "httpx", "httpx2", "uvicorn.access")
"""Loggers that say whole addresses, where keys may stand in the query; spans say the rest of it."""
LEFT_OUT = frozenset((*EXPORTING, *ADDRESSES))
MAX_LOGGERS = 512
OTHER = "chatproxy.other"
_BRIDGE = create_key("chatproxy-bridge")

TraceOf = Callable[[str], SpanContext | None]


class Bridge:
    """Sends records; made by `bridge`.

    Attributes:
        lost: records that could not be sent because something in them, or the SDK, raised.
    """

    def __init__(self, provider: LoggerProvider, redact: Callable[[str], str], trace_of: TraceOf | None) -> None:
        self.lost = 0
        self._provider = provider
        self._fitter = Fitter(redact)
        self._trace_of = trace_of
        self._loggers: dict[str, Logger] = {}
        self._sending = threading.local()

    def mark(self, context: Context) -> Context:
        """The context, in which records are this bridge's alone.

        Attach it for an exchange where several gateways of one process have bridges; what is logged outside of
        exchanges is the first one's.
        """
        return set_value(_BRIDGE, self, context)

    def send(self, record: logging.LogRecord) -> None:
        """Send a record, unless sending one made it."""
        if getattr(self._sending, "is_busy", False) or get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return
        self._sending.is_busy = True
        try:
            self._emit(record)
        except Exception:  # noqa: BLE001 - whatever objects were logged, logging must not raise
            self.lost += 1
        finally:
            self._sending.is_busy = False

    def _emit(self, record: logging.LogRecord) -> None:
        logger = self._logger(str(record.name))
        entry = entry_of(record, self._fitter)
        logger.emit(
            timestamp=entry.at_ns,
            context=self._context(record),
            severity_number=entry.severity,
            severity_text=entry.severity_text,
            body=entry.body,
            attributes=entry.attributes,
        )

    def _logger(self, name: str) -> Logger:
        """The scope of a name; names that a program makes up without end share one."""
        found = self._loggers.get(name)
        if found is None:
            name = name if len(self._loggers) < MAX_LOGGERS else OTHER
            found = self._loggers[name] = self._provider.get_logger(self._fitter.name(name))
        return found

    def _context(self, record: logging.LogRecord) -> Context:
        current = get_current()
        request_id = getattr(record, "request_id", None)
        if self._trace_of is None or not isinstance(request_id, str) or get_current_span().get_span_context().is_valid:
            return current
        span = self._trace_of(request_id)
        return current if span is None else set_span_in_context(NonRecordingSpan(span), current)


class _Handler(logging.Handler):
    """Stands at one logger for one bridge."""

    def __init__(self, bridge: Bridge, place: logging.Logger, level: str) -> None:
        super().__init__(level.upper())
        self._bridge = bridge
        self._place = place
        self._home = "" if place is logging.getLogger() else place.name

    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        """Have none: nobody waits for another's record."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Send a record, where it is this handler's; the inherited method wants a lock."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """As `handle`."""
        if _home_of(str(record.name)) == self._home and self._is_turn():
            self._bridge.send(record)

    def _is_turn(self) -> bool:
        """Whether the record is this bridge's: its gateway's exchange, or of no exchange and it was the first."""
        marked = get_value(_BRIDGE)
        if marked is not None:
            return marked is self._bridge
        return next((found for found in self._place.handlers if isinstance(found, _Handler)), self) is self


@contextmanager
def bridge(
    logger_provider: LoggerProvider | None,
    level: str | None,
    redact: Callable[[str], str],
    *,
    trace_of: TraceOf | None = None,
) -> Iterator[Bridge]:
    """Send what this process logs, until the end of the context.

    No logger's own level is changed: what it does not let pass is not sent either. A logger that has a handler of
    OpenTelemetry's is left to it.

    Args:
        logger_provider: None: nothing is sent.
        level: ``debug``, ``info``, ``warning`` or ``error``; None: nothing is sent.
        redact: a text without secrets.
        trace_of: the span of an exchange by its request id, for records that name one outside of its task.
    """
    made = Bridge(logger_provider or NoOpLoggerProvider(), redact, trace_of)
    places = [] if logger_provider is None or level is None else map(logging.getLogger, PLACES)
    handlers = [(place, _Handler(made, place, level or "")) for place in places if _is_free(place)]
    for place, handler in handlers:
        place.addHandler(handler)
    try:
        yield made
    finally:
        for place, handler in handlers:
            place.removeHandler(handler)
            handler.close()


def _home_of(name: str) -> str | None:
    """The place whose handlers send a logger's records: the first on their way up; None: they are not sent."""
    while name not in PLACES:
        if name in LEFT_OUT:
            return None
        name = name.rpartition(".")[0]
    return name


def _is_free(place: logging.Logger) -> bool:
    """Whether no handler of OpenTelemetry's sees the logger's records already."""
    logger: logging.Logger | None = place
    while logger is not None:
        if any(_is_official(handler) for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


def _is_official(handler: logging.Handler) -> bool:
    kind = type(handler)
    return kind.__name__ == "LoggingHandler" and kind.__module__.startswith("opentelemetry.")

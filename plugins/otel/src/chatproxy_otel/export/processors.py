"""Processors: what the SDK calls for each span and log record, putting them into pipes.

Rule: nothing here waits; the SDK's own flush and shutdown, which may be called by anybody, are the pipe's, with limits.
"""

from __future__ import annotations

import copy

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from chatproxy_otel.export.pipe import Pipe

SHUTDOWN_S = 5.0


class SpanPipe(SpanProcessor):
    """Ended spans that are sampled."""

    def __init__(self, pipe: Pipe[ReadableSpan]) -> None:
        self._pipe = pipe

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._pipe.put(span)

    def shutdown(self) -> None:
        """Flush and end, within a limit."""
        self._pipe.close(SHUTDOWN_S)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for what was put so far."""
        return self._pipe.flush(timeout_millis / 1000)


class LogPipe(LogRecordProcessor):
    """Log records, without the context they were made in."""

    def __init__(self, pipe: Pipe[ReadableLogRecord]) -> None:
        self._pipe = pipe

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take a record."""
        record = copy.copy(log_record.log_record)
        record.context = Context()
        self._pipe.put(
            ReadableLogRecord(
                log_record=record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """Flush and end, within a limit."""
        self._pipe.close(SHUTDOWN_S)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for what was put so far."""
        return self._pipe.flush(timeout_millis / 1000)

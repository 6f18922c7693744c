"""Closing: the providers in use, and the end of what is ours of them.

Rule: providers that are not ours are neither flushed nor shut down. What is ours ends with `Providers.aclose`, within
its limit, and keeps no process alive.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref

import msgspec
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from chatproxy_otel.export.pipe import Pipe, PipeStats
from chatproxy_otel.export.quiet import Seldom
from chatproxy_otel.export.readings import Readings

SHARE_OF_PIPES = 0.8
"""Of the time that there is for all; the rest is for the last metrics."""
LEAST_S = 0.01

logger = logging.getLogger("chatproxy_otel")


class Readers(msgspec.Struct, frozen=True):
    """A meter provider of ours, and what its readers export by."""

    provider: MeterProvider
    readings: list[Readings]


class Providers:
    """The SDK's three providers; None where a signal is off."""

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        owned: list[Pipe[ReadableSpan] | Pipe[ReadableLogRecord]] | None = None,
        readers: Readers | None = None,
    ) -> None:
        """Keeps them; ``owned`` and ``readers`` end with `aclose`."""
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self.logger_provider = logger_provider
        self._owned = owned or []
        self._readers = readers
        seldom = Seldom()
        seldom.begin()
        self._is_closed = False
        self._end_quiet = weakref.finalize(self, seldom.end)

    @property
    def has_own_meters(self) -> bool:
        """Whether the meter provider was made here, and ends with this."""
        return self._readers is not None

    @property
    def pipes(self) -> list[PipeStats]:
        """What the queues of ours have done so far; empty where the providers are not ours."""
        return [pipe.stats for pipe in self._owned]

    async def aclose(self, timeout_s: float) -> None:
        """Export what waits, in threads, within the limit; what is left then is dropped and counted.

        Metrics come last, so that they know of it. Once is enough; a second time does nothing.
        """
        if self._is_closed:
            return
        self._is_closed = True
        deadline = time.monotonic() + timeout_s
        try:
            pipes_s = timeout_s if self._readers is None else timeout_s * SHARE_OF_PIPES
            await asyncio.gather(*(asyncio.to_thread(pipe.close, pipes_s) for pipe in self._owned))
            if self._readers is not None:
                await asyncio.to_thread(_end_metrics, self._readers, max(LEAST_S, deadline - time.monotonic()))
        finally:
            self._end_quiet()


def _end_metrics(readers: Readers, timeout_s: float) -> None:
    for readings in readers.readings:
        readings.end()
    try:
        readers.provider.shutdown(timeout_s * 1000)
    except Exception as exc:  # noqa: BLE001 - the SDK raises Exception itself where a reader did not end in time
        logger.warning("metrics: the last collection was not exported before the end: %s", exc)

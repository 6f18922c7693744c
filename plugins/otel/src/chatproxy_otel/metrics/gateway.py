"""Metrics of the gateway itself: what it is doing now, its plugins, and the way to the collector.

Rule: nothing is counted here; numbers that others keep are read when a collector asks, on its thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from chatproxy.types import GatewayStats, PluginStats
from chatproxy_otel.names import Names

CORE = "chatproxy"
"""Who held the event loop where it was no plugin."""


class PipeStats(Protocol):
    """What the way of one signal to the collector tells of itself."""

    @property
    def signal(self) -> str:
        """``traces``, ``metrics`` or ``logs``."""

    @property
    def waiting(self) -> int:
        """Items in the queue, of at most ``capacity``."""

    @property
    def capacity(self) -> int:
        """Items that the queue holds at most."""

    @property
    def exported(self) -> int:
        """Items that the collector took."""

    @property
    def dropped(self) -> int:
        """Items that it will never get."""


class GatewayMetrics:
    """Instruments that are read.

    Args:
        stats: what the gateway is doing.
        pipes: the ways to the collector.
    """

    def __init__(
        self,
        meter: Meter,
        names: Names,
        stats: Callable[[], GatewayStats],
        pipes: Callable[[], Sequence[PipeStats]],
    ) -> None:
        self._meter = meter
        self._names = names
        self._stats = stats
        self._pipes = pipes
        self._is_closed = False
        self._of_exchanges()
        self._of_plugins()
        self._of_pipes()

    def close(self) -> None:
        """Say nothing from now on; a provider that outlives the application keeps its callbacks."""
        self._is_closed = True
        self._stats, self._pipes = GatewayStats, tuple

    def _of_exchanges(self) -> None:
        names = self._names
        self._level(names.in_flight_metric, "{exchange}", "Exchanges that have not ended.",
                    lambda: [Observation(self._stats().in_flight)])  # fmt: skip
        self._level(names.in_flight_limit_metric, "{exchange}", "Exchanges that may run at once.",
                    lambda: [Observation(self._stats().max_in_flight)])  # fmt: skip
        self._state(names.draining_metric, "Whether the gateway is about to stop.",
                    lambda: [Observation(int(self._stats().draining))])  # fmt: skip
        self._count(names.loop_blocked_metric, "{block}", "How often the event loop was held for a second or more.",
                    self._blocked)  # fmt: skip

    def _of_plugins(self) -> None:
        names, each = self._names, self._by_plugin
        self._count(names.plugin_calls_metric, "{call}", "Calls of hooks.", each(lambda plugin: plugin.calls))
        self._count(names.plugin_failures_metric, "{call}", "Calls that failed.", each(lambda plugin: plugin.failures))
        self._count(names.plugin_skipped_metric, "{call}", "Calls that were left out in quarantine.",
                    each(lambda plugin: plugin.skipped))  # fmt: skip
        self._count(names.plugin_abandoned_metric, "{call}", "Calls that ignored their cancellation.",
                    each(lambda plugin: plugin.abandoned))  # fmt: skip
        self._state(names.plugin_quarantined_metric, "Whether a plugin's optional hooks are left out.",
                    each(lambda plugin: int(plugin.quarantined)))  # fmt: skip
        self._level(names.background_waiting_metric, "{call}", "Calls in the background that have not ended.",
                    each(lambda plugin: plugin.telemetry_waiting))  # fmt: skip
        self._count(names.background_dropped_metric, "{call}", "Calls in the background that were never made.",
                    each(lambda plugin: plugin.telemetry_dropped))  # fmt: skip

    def _of_pipes(self) -> None:
        names, each = self._names, self._by_signal
        self._level(names.queue_length_metric, "{item}", "Items that wait for the collector.",
                    each(lambda pipe: pipe.waiting))  # fmt: skip
        self._level(names.queue_capacity_metric, "{item}", "Items that may wait for the collector.",
                    each(lambda pipe: pipe.capacity))  # fmt: skip
        self._count(names.exported_metric, "{item}", "Items that the collector took.", each(lambda pipe: pipe.exported))
        self._count(names.dropped_metric, "{item}", "Items that were given up.", each(lambda pipe: pipe.dropped))

    def _blocked(self) -> Iterable[Observation]:
        plugin = self._names.plugin
        return [Observation(count, {plugin: who or CORE}) for who, count in self._stats().loop_blocked.items()]

    def _by_plugin(self, value: Callable[[PluginStats], int]) -> Callable[[], Iterable[Observation]]:
        plugin = self._names.plugin
        return lambda: [Observation(value(of), {plugin: name}) for name, of in self._stats().plugins.items()]

    def _by_signal(self, value: Callable[[PipeStats], int]) -> Callable[[], Iterable[Observation]]:
        signal = self._names.signal
        return lambda: [Observation(value(pipe), {signal: pipe.signal}) for pipe in self._pipes()]

    def _count(self, name: str, unit: str, description: str, read: Callable[[], Iterable[Observation]]) -> None:
        self._meter.create_observable_counter(name, [self._asked(read)], unit, description)

    def _level(self, name: str, unit: str, description: str, read: Callable[[], Iterable[Observation]]) -> None:
        self._meter.create_observable_up_down_counter(name, [self._asked(read)], unit, description)

    def _state(self, name: str, description: str, read: Callable[[], Iterable[Observation]]) -> None:
        self._meter.create_observable_gauge(name, [self._asked(read)], "1", description)

    def _asked(self, read: Callable[[], Iterable[Observation]]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: () if self._is_closed else read()

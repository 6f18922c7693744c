"""GatewayStats: what the gateway is doing now, for telemetry."""

from __future__ import annotations

import msgspec


class PluginStats(msgspec.Struct, kw_only=True):
    """Counts of one plugin since the start.

    Attributes:
        calls: of its hooks; ``failures`` of them failed, ``skipped`` were left out in quarantine.
        abandoned: calls that ignored their cancellation.
        quarantined: whether its optional hooks are left out now.
        telemetry_waiting: background calls that have not ended; ``telemetry_dropped`` were never made.
    """

    calls: int = 0
    failures: int = 0
    skipped: int = 0
    abandoned: int = 0
    quarantined: bool = False
    telemetry_waiting: int = 0
    telemetry_dropped: int = 0


class GatewayStats(msgspec.Struct, kw_only=True):
    """One look at a running gateway.

    Attributes:
        in_flight: exchanges that have not ended, of at most ``max_in_flight``.
        draining: it is about to stop.
        plugins: by name.
        loop_blocked: how often a plugin held the event loop, by name; empty for the core itself.
    """

    in_flight: int = 0
    max_in_flight: int = 0
    draining: bool = False
    plugins: dict[str, PluginStats] = msgspec.field(default_factory=dict)
    loop_blocked: dict[str, int] = msgspec.field(default_factory=dict)

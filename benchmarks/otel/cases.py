"""What is measured and for how long; goals are in ``report``.

Rule: names and sizes, nothing is run here.
"""

from __future__ import annotations

import msgspec

from benchmarks.otel.gateways import Name

SPANS = 3
"""Of an exchange with one request to an upstream: the server's, the model's, the request's."""

MEASURED: tuple[Name, ...] = ("without", "empty hooks", "unsampled", "sampled", "content")
COLLECTORS: tuple[Name, ...] = ("without", "sampled", "refused", "errors", "slow")
STARTED: tuple[Name, ...] = ("without", "unsampled", "sampled")

BURST = 10_000
"""Exchanges whose spans are put at once."""
FLUSH_S = 5.0

RATE_PER_S = 150
RATED_REQUESTS = 750


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A load on every gateway in turn, in processes of their own.

    Attributes:
        requests: in one round.
        ramp_s: over which they begin.
    """

    name: str
    requests: int
    model: str = "mock"
    stream: bool = False
    in_flight: int = 64
    ramp_s: float = 0.0


class PathCase(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange in memory.

    Attributes:
        traced: the client sends a ``traceparent``.
        events: of its stream; 0: it is buffered.
        batch: exchanges that run at once.
    """

    name: str
    traced: bool = False
    events: int = 0
    batch: int = 32


COSTS = (
    Case(name="JSON", requests=1_500),
    Case(name="stream", requests=128, model="mock-10ms-100", stream=True, ramp_s=1.0),
)
PATHS = (
    PathCase(name="JSON"),
    PathCase(name="JSON with traceparent", traced=True),
    PathCase(name="stream of 100 events", events=100, batch=16),
    PathCase(name="stream of 1,000 events", events=1_000, batch=2),
)

"""What each series brings, as data.

Rule: no policy; a result is what was seen, and ``failure`` says why there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.load import Percentiles


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange in memory, in one round: CPU µs up to its last byte, after it, and in the background."""

    case: str
    gateway: str
    round: int
    path_us: float
    after_us: float
    background_us: float


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """Functions called for an event of a stream."""

    gateway: str
    per_event: float


class InMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What the process that measures in memory says."""

    paths: Sequence[Path]
    calls: Sequence[Calls]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """CPU µs of a gateway's process for each exchange, all that it does in the background included."""

    case: str
    gateway: str
    round: int
    cpu_us: float = 0.0
    failure: str = ""


class Rated(msgspec.Struct, frozen=True, kw_only=True):
    """Requests at a fixed rate. ``latency_ms`` is None where there is a ``failure``."""

    gateway: str
    round: int
    latency_ms: Percentiles | None = None
    failure: str = ""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the spans of one gateway, in its own words.

    Attributes:
        produced: as many as its exchanges have, warming up included.
        arrived: at the collector that takes everything; None where another one is in use.
    """

    gateway: str
    produced: int
    waiting: int
    exported: int
    dropped: int
    arrived: int | None = None

    @property
    def missing(self) -> int:
        """Spans that are not accounted for."""
        lost = 0 if self.arrived is None else abs(self.arrived - self.exported)
        return abs(self.produced - self.waiting - self.exported - self.dropped) + lost


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """Spans put at once, and the end after them.

    Attributes:
        rate_per_s: exchanges a second, by the time that their spans took to be made and put.
        growth_mib: of the process, at its highest.
        close_s: wall clock.
    """

    collector: str
    produced: int
    exported: int
    dropped: int
    rate_per_s: float
    growth_mib: float
    close_s: float

    @property
    def missing(self) -> int:
        """Spans that are not accounted for."""
        return abs(self.produced - self.exported - self.dropped)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What starting a gateway costs, up to its first answer, and what it holds a second later."""

    gateway: str
    round: int
    cpu_s: float
    rss_mib: float

"""What each series brings, as data.

Rule: no policy; a result is what was seen, and ``failure`` says why there is none.
"""

from __future__ import annotations

import msgspec

from benchmarks.load import Percentiles


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """CPU µs of a gateway's process for each exchange, all that it does in the background included."""

    case: str
    gateway: str
    round: int
    cpu_us: float = 0.0
    failure: str = ""


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """Functions called for an event of a stream."""

    gateway: str
    per_event: float


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Exchanges of which a session is made each.

    Attributes:
        engine: the database's; empty: without the plugin, nothing is kept.
        sent: warming up included.
        turns: which the database holds in the end, complete ones.
    """

    case: str
    engine: str
    round: int
    rate_per_s: float = 0.0
    cpu_us: float = 0.0
    latency_ms: Percentiles | None = None
    sent: int = 0
    turns: int = 0
    failure: str = ""

    @property
    def lost(self) -> int:
        """Turns that are not stored once."""
        return abs(self.sent - self.turns) if self.engine else 0


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One page asked for again and again, over HTTP."""

    listing: str
    engine: str
    stored: int = 0
    total: int = 0
    latency_ms: Percentiles | None = None
    failure: str = ""


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the audit log, each acknowledged before its writer writes the next.

    Attributes:
        syncs_per_s: how often the same disk syncs a small file, one time after the other.
        missing: acknowledged rows that the log does not hold.
        fault: what `verify` says; empty: the chain holds.
    """

    engine: str
    writers: int
    rows_per_s: float = 0.0
    cpu_us: float = 0.0
    syncs_per_s: float = 0.0
    missing: int = 0
    fault: str = ""
    failure: str = ""

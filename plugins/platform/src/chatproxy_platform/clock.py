"""Time and ids as the platform keeps them."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta

MICRO = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    """Microseconds of Unix time."""
    return time.time_ns() // 1000


def rfc3339(micros: int | None) -> str | None:
    """A stored time as clients see it: RFC 3339 in UTC, with microseconds."""
    if micros is None:
        return None
    return datetime.fromtimestamp(micros / MICRO, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_of(micros: int) -> datetime:
    """A stored time as a date in UTC, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


def micros_of(time: datetime) -> int:
    """A date with a zone as it is stored, exactly."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def new_id(prefix: str) -> str:
    """``<prefix>_`` and 20 random characters of ``[0-9a-f]``."""
    return f"{prefix}_{secrets.token_hex(10)}"

"""Periods of budgets: ``2026-11-21``, ``2026-11`` or ``total``, by the UTC calendar."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_DAY_S = 86_400
_MONTH_CHARACTERS = 7
_cached: tuple[int, str] = (-1, "")


def today(now_s: float | None = None) -> str:
    """The day's text."""
    global _cached  # noqa: PLW0603 - asked for every request, and changes once a day
    day = int((time.time() if now_s is None else now_s) // _DAY_S)
    if _cached[0] != day:
        _cached = (day, datetime.fromtimestamp(day * _DAY_S, UTC).strftime("%Y-%m-%d"))
    return _cached[1]


def period_of(kind: str, day: str) -> str:
    """The period of a kind (``day``, ``month``, ``total``) that a day belongs to."""
    return day if kind == "day" else day[:_MONTH_CHARACTERS] if kind == "month" else kind


def ends_in_s(kind: str, now_s: float) -> int | None:
    """Seconds until the period ends; None: never."""
    now = datetime.fromtimestamp(now_s, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "day":
        end = midnight + timedelta(days=1)
    elif kind == "month":
        end = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    else:
        return None
    return int((end - now).total_seconds()) + 1

"""What is measured, and what a measurement is.

Rule: names and sizes, nothing is run here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Name = Literal["bare", "kit", "kit with state", "kit with auth"]
NAMES: tuple[Name, ...] = ("bare", "kit", "kit with state", "kit with auth")


class Case(msgspec.Struct, frozen=True):
    """An exchange.

    Attributes:
        events: pieces of its stream; 0: it is buffered.
        batch: exchanges that run at once.
    """

    name: str
    events: int
    batch: int


CASES = (Case("JSON", 0, 64), Case("stream of 100 pieces", 100, 16), Case("stream of 1,000 pieces", 1_000, 2))


class Path(msgspec.Struct, frozen=True):
    """What an exchange took on average, in µs of CPU."""

    case: str
    gateway: Name
    round: int
    cpu_us: float

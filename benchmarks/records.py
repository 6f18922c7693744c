"""A run's records as numbers: medians over the rounds, ratios, and how a goal and a number are shown.

Rule: no series by name; what is compared with what is in ``report`` and ``report_surfaces``.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec

from benchmarks.load import Result
from benchmarks.series import Record

Getter = Callable[[Result], float | None]


class Goal(msgspec.Struct, frozen=True):
    """One line of the table of goals. ``measured`` is None where the runs to compare are missing."""

    subject: str
    limit: float
    measured: float | None
    unit: str = ""
    at_least: bool = False

    def row(self) -> str:
        """Render as a Markdown table row."""
        wanted = f"{'≥' if self.at_least else '≤'} {self.limit:g}{self.unit}" if self.limit else "0"
        if self.measured is None:
            return f"| {self.subject} | {wanted} | not measured | |"
        met = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return f"| {self.subject} | {wanted} | {shown(self.measured)}{self.unit} | {'yes' if met else '**no**'} |"


class Records:
    """Access to the medians of a run's records."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def all(self, series: str, target: str, size: int | None = None) -> list[Record]:
        """Return every round of one measurement."""
        return [r for r in self._records if (r.series, r.target) == (series, target) and size in (None, r.size)]

    def median(self, series: str, target: str, size: int | None, get: Getter) -> float | None:
        """Return the median over the rounds; None if there is none or any of them failed."""
        found = [get(r.result) for r in self.all(series, target, size) if r.result and r.result.ok]
        return median(found)

    def worst(self, series: str, target: str, size: int | None, get: Getter) -> float | None:
        """Return the highest of the rounds; None if there is none."""
        found = [get(r.result) for r in self.all(series, target, size) if r.result]
        return max((value for value in found if value is not None), default=None)

    def value(self, series: str, target: str, name: str) -> float | None:
        """Return the median of a named value."""
        return median([r.values.get(name) for r in self.all(series, target) if r.values])

    def failures(self) -> list[Record]:
        """Return the records of runs that did not happen."""
        return [r for r in self._records if r.failure]


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


def median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def row(title: str, cells: Sequence[float | None]) -> str:
    return f"| {title} | " + " | ".join("" if cell is None else shown(cell) for cell in cells) + " |"


def shown(value: float) -> str:
    """Render with three significant digits, whole numbers as such."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"

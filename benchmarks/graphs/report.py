"""The table: goals and figures of a run.

Rule: reads results, writes Markdown. A difference is the median of the rounds' own differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.graphs.path import CASES, NAMES, Case, Name, Path
from benchmarks.records import Goal, median, shown

_REQUEST_US = 60
_TEXT_US = 8


def added(paths: Sequence[Path], case: Case, gateway: Name) -> float | None:
    """CPU µs that an exchange takes more than with a bare handler, round by round."""
    bare = {one.round: one.cpu_us for one in paths if (one.case, one.gateway) == (case.name, "bare")}
    mine = [one for one in paths if (one.case, one.gateway) == (case.name, gateway)]
    return median(one.cpu_us - bare[one.round] for one in mine if one.round in bare)


def each_text(paths: Sequence[Path], case: Case) -> float | None:
    """CPU µs that a streamed text takes more, what a request takes more included."""
    more = added(paths, case, "one node")
    return None if more is None else more / case.events


def goals(paths: Sequence[Path]) -> Iterator[Goal]:
    """What was promised."""
    for case in CASES:
        if case.events:
            yield Goal(f"{case.name}, one node: CPU a text costs more", _TEXT_US, each_text(paths, case), " µs")
        else:
            more = added(paths, case, "one node")
            yield Goal(f"{case.name}, one node: CPU a request costs more", _REQUEST_US, more, " µs")


def figures(paths: Sequence[Path]) -> Iterator[tuple[str, float | None]]:
    """What there is no goal for."""
    for case in CASES:
        bare = median(one.cpu_us for one in paths if (one.case, one.gateway) == (case.name, "bare"))
        yield f"{case.name}, bare handler: CPU of an exchange", bare
        for gateway in NAMES[1:]:
            yield f"{case.name}, {gateway}: CPU added", added(paths, case, gateway)


def render(paths: Sequence[Path], machine: str) -> str:
    """Write the tables in Markdown."""
    lines = [machine, "", "| Goal | Wanted | Measured | Met |", "| --- | --- | --- | --- |"]
    lines += [goal.row() for goal in goals(paths)]
    lines += ["", "| Figure without a goal | Measured |", "| --- | --- |"]
    lines += [f"| {what} | {shown(value)} µs |" for what, value in figures(paths) if value is not None]
    return "\n".join(lines) + "\n"

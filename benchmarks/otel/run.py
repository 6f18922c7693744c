"""Measure the otel plugin: ``python -m benchmarks.otel.run``.

Needs the plugin installed, Linux, taskset and two cores. Nothing is downloaded and nothing leaves the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.command import run_command, told
from benchmarks.otel import report
from benchmarks.otel.cases import COLLECTORS, COSTS, MEASURED, STARTED
from benchmarks.otel.measure import Bench, in_memory
from benchmarks.otel.results import Counted, Rated

_SERIES = ("path", "cost", "rate", "burst", "start")


def measure(series: Sequence[str], *, rounds: int, scale: float) -> report.Results:
    """Run the chosen series."""
    results = report.Results()
    if "path" in series:
        found = in_memory(rounds)
        results = msgspec.structs.replace(results, paths=told(found.paths), calls=told(found.calls))
    with ExitStack() as stack:
        bench = Bench(stack)
        if "cost" in series:
            costs = told(bench.costs(COSTS, MEASURED, max(1, rounds // 2), scale))
            results = msgspec.structs.replace(results, costs=costs)
        if "rate" in series:
            seen = told(bench.rated(COLLECTORS, max(1, rounds // 3), scale))
            rated = [one for one in seen if isinstance(one, Rated)]
            counted = [one for one in seen if isinstance(one, Counted)]
            results = msgspec.structs.replace(results, rated=rated, counted=counted)
        if "burst" in series:
            results = msgspec.structs.replace(results, bursts=told(bench.bursts()))
        if "start" in series:
            starts = told(bench.starts(STARTED, max(1, rounds // 3)))
            results = msgspec.structs.replace(results, starts=starts)
    return results


def _tables(series: Sequence[str], rounds: int, scale: float, machine: str) -> str:
    return report.render(measure(series, rounds=rounds, scale=scale), machine)


if __name__ == "__main__":
    run_command("otel", _SERIES, _tables, Path(__file__).resolve().parent / "README.md")

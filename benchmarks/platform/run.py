"""Measure the platform plugin: ``python -m benchmarks.platform.run``.

Needs the plugin with its extras for PostgreSQL and Redis, both servers, Linux, taskset and two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.command import run_command, told
from benchmarks.platform import report
from benchmarks.platform.cases import COSTS, KEPT, MEASURED
from benchmarks.platform.measure import Bench, called

_SERIES = ("cost", "calls", "kept", "list", "audit")


def measure(series: Sequence[str], *, rounds: int, scale: float) -> report.Results:
    """Run the chosen series."""
    results = report.Results()
    if "calls" in series:
        results = msgspec.structs.replace(results, calls=told(called()))
    with ExitStack() as stack:
        bench = Bench(stack)
        if "cost" in series:
            results = msgspec.structs.replace(results, costs=told(bench.costs(COSTS, MEASURED, rounds, scale)))
        if "kept" in series:
            results = msgspec.structs.replace(results, kept=told(bench.kept(KEPT, max(1, rounds // 3), scale)))
        if "list" in series:
            results = msgspec.structs.replace(results, listed=told(bench.listed(scale)))
        if "audit" in series:
            results = msgspec.structs.replace(results, audited=told(bench.audited(scale)))
    return results


def _tables(series: Sequence[str], rounds: int, scale: float, machine: str) -> str:
    return report.render(measure(series, rounds=rounds, scale=scale), machine)


if __name__ == "__main__":
    run_command("platform", _SERIES, _tables, Path(__file__).resolve().parent / "README.md")

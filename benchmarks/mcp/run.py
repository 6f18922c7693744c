"""Measure the mcp plugin: ``python -m benchmarks.mcp.run``.

Needs the plugin installed, Linux, taskset and two cores. Nothing is downloaded and nothing is sent anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.command import run_command
from benchmarks.mcp import report
from benchmarks.mcp.cases import CASES
from benchmarks.mcp.counts import calls_per_event
from benchmarks.mcp.gateways import Name
from benchmarks.mcp.measure import Bench, Cost, Start

_SERIES = ("injection", "rounds", "streams", "counts", "start")
_STARTED: tuple[Name, ...] = ("without", "no servers", "50 tools")


def measure(series: Sequence[str], *, rounds: int, scale: float) -> report.Results:
    """Run the chosen series."""
    costs: list[Cost] = []
    starts: list[Start] = []
    with ExitStack() as stack:
        bench = Bench(stack)
        for name in ("injection", "rounds", "streams"):
            cases = [case for case in CASES if case.series == name and name in series]
            for cost in bench.costs(cases, rounds, scale):
                costs.append(cost)
                print(msgspec.json.encode(cost).decode(), flush=True)
        if "start" in series:
            starts += bench.starts(_STARTED, rounds)
    calls = calls_per_event() if "counts" in series else {}
    return report.Results(costs=costs, starts=starts, calls=calls)


def _tables(series: Sequence[str], rounds: int, scale: float, machine: str) -> str:
    return report.render(measure(series, rounds=rounds, scale=scale), machine)


if __name__ == "__main__":
    run_command("mcp", _SERIES, _tables, Path(__file__).resolve().parent / "README.md")

"""Measure everything in one run: ``python -m benchmarks.run``.

The gateway and the yardsticks take turns on one core, the load and the upstream share another. Needs Linux, taskset
and two cores; what the yardsticks need is in ``benchmarks.environments``.
"""

import argparse
import datetime
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import environments, processes, report, targets
from benchmarks.processes import Running
from benchmarks.series import HELD_STREAMS, JSON_IN_FLIGHT, Bench, Record

_HERE = Path(__file__).resolve().parent
_SERIES = ("json", "stream", "open", "surfaces", "hold", "aborts", "install")
_HELD_ONCE = ("litellm", "portkey")
"""Targets whose held streams are measured in the first round only: no goal refers to them."""


class Journal:
    """Collects records, shows each as it comes, keeps them as JSON lines."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, record: Record) -> None:
        """Keep and show one record."""
        self.records.append(record)
        print(msgspec.json.encode(record).decode(), flush=True)

    def attempt(self, series: str, target: str, step: Callable[[], Iterable[Record]]) -> None:
        """Run one step; what fails becomes a record, and the others go on."""
        try:
            for record in step():
                self.add(record)
        except (RuntimeError, OSError, environments.MissingToolError, subprocess.SubprocessError) as exc:
            self.add(Record(series=series, target=target, failure=f"{type(exc).__name__}: {exc}"))

    def write(self, path: Path) -> None:
        """Write all records, one JSON object a line."""
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in self.records))


def measure(journal: Journal, *, names: Sequence[str], series: Sequence[str], rounds: int, scale: float) -> None:
    """Run the chosen series against the chosen targets."""
    with processes.upstream() as upstream_port:
        bench = Bench(upstream_port, scale=scale)
        if {"json", "stream", "open"} & set(series):
            _take_turns(journal, bench, names, series, rounds)
        if "surfaces" in series and "chatproxy" in names:
            journal.attempt("surfaces", "chatproxy", partial(bench.surfaces, rounds))
        for number in range(rounds):
            for name in names if "hold" in series else ():
                if number == 0 or name not in _HELD_ONCE:
                    for streams in HELD_STREAMS:
                        journal.attempt("hold", name, partial(bench.hold, name, streams, number))
        for name in ("nginx", "chatproxy") if "aborts" in series else ():
            if name in names:
                journal.attempt("aborts", name, partial(bench.aborts, name))
    if "install" in series:
        journal.attempt("install", "chatproxy", _install)


def _take_turns(journal: Journal, bench: Bench, names: Sequence[str], series: Sequence[str], rounds: int) -> None:
    """Run the short series in turns, all processes alive throughout, so that a slow minute hits everyone."""
    with ExitStack() as stack:
        states: list[Running] = []

        def start(name: str) -> Iterable[Record]:
            state = stack.enter_context(bench.started(name))
            yield bench.start_up(state, 0)
            bench.warm_up(state)
            states.append(state)

        for name in names:
            journal.attempt("start", name, partial(start, name))
        for number in range(rounds):
            for in_flight in JSON_IN_FLIGHT if "json" in series else ():
                for state in states:
                    journal.add(bench.json(state, in_flight, number))
            for proxy in (None, *states) if "stream" in series else ():
                journal.add(bench.stream(proxy, number))
            for proxy in (None, *states) if "open" in series else ():
                journal.add(bench.open_loop(proxy, number))


def _install() -> Iterable[Record]:
    names = environments.core_distributions(_HERE.parent)
    yield Record(series="install", target="chatproxy", values={"distributions": len(names)})


def machine() -> str:
    """Describe where and when the numbers were taken, and how busy the machine was: over 2, distrust percentiles."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    versions = f"Linux {platform.release()}, Python {platform.python_version()}"
    load = os.getloadavg()[2]
    return f"Measured on {today}: {model}, {versions}; load average of the last 15 minutes {load:.1f}."


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure chatproxy beside yardsticks.")
    parser.add_argument("--targets", nargs="+", default=list(targets.BUILDERS), choices=list(targets.BUILDERS))
    parser.add_argument("--series", nargs="+", default=list(_SERIES), choices=_SERIES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a fifth of each size, one round: a check, not a result")
    parser.add_argument("--write", action="store_true", help="put the table into README.md and the records beside it")
    return parser.parse_args()


def main() -> None:
    options = _options()
    journal = Journal()
    rounds, scale = (1, 0.2) if options.quick else (options.rounds, 1.0)
    processes.raise_descriptor_limit()
    measure(journal, names=options.targets, series=options.series, rounds=rounds, scale=scale)
    text = report.render(journal.records, machine())
    print(text)
    if options.write:
        journal.write(_HERE / "results" / "latest.jsonl")
        report.write_between_markers(_HERE / "README.md", text)


if __name__ == "__main__":
    main()

"""Where the gateway's CPU goes: samples under load, time per function in µs per unit.

``python -m benchmarks.profile --series json`` (``stream``, or ``--case "messages, translated, json"``) samples Python
functions with py-spy (PyPI); ``--native`` samples C functions and the kernel with perf (Linux, may need root).
A unit is a request where answers are buffered, an event of the stream else (of the upstream's in a case). Samplers slow
the process a little: what they give is shares, and the µs are shares of the cost measured in an unsampled run just
before.
"""

import argparse
import collections
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmarks import proc, processes, targets
from benchmarks.cases import CASES, Case
from benchmarks.environments import MissingToolError
from benchmarks.processes import Running
from benchmarks.series import Bench, Record

_RATE_PER_S = 500
_IN_FLIGHT = 64
_STOP_LIMIT_S = 60
_THREAD_ROOTS = {"Thread._bootstrap", "_bootstrap"}
_LOOP = "Runner.run "
_PERF_ROW = re.compile(r"\s*([\d.]+)%\s*;\s*([^;]*?)\s*;\s*(?:\[.\]\s*)?(.*?)\s*$")

_CASES: dict[str, Case] = {case.name: case for case in CASES}

Stack = tuple[str, ...]
Run = Callable[[Running], Record]


def profile(
    bench: Bench, name: str, run: Run, *, native: bool, build: targets.Builder | None = None
) -> tuple[float, dict[Stack, float]]:
    """Run one series three times: to warm up, to measure, to sample.

    Args:
        build: what configures the target; None for the usual.

    Returns:
        CPU in µs per unit without the sampler, and the weight of each stack, outermost function first; a native stack
        is a library and one of its symbols.
    """
    with bench.started(name, build) as state, tempfile.TemporaryDirectory() as folder:
        run(state)
        cost_us = _cost_us(run(state))
        output = Path(folder) / "samples"
        command = _perf(state.pid, output) if native else _py_spy(state.pid, output)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as sampler:
            run(state)
            sampler.send_signal(signal.SIGINT)  # both samplers then write what they have
            _, complaint = sampler.communicate(timeout=_STOP_LIMIT_S)
        if not output.exists():
            raise RuntimeError(f"sampler failed: {complaint.decode()[-500:]}")
        return cost_us, _read_perf(output) if native else _read_py_spy(output.read_text().splitlines())


def _cost_us(record: Record) -> float:
    if record.result is None:
        raise RuntimeError(record.failure)
    return record.result.cpu_us_per_event or record.result.cpu_us_per_request or 0.0


def _py_spy(pid: int, output: Path) -> list[str]:
    program = _find("py-spy", "pip install py-spy")
    options = ["--rate", str(_RATE_PER_S), "--format", "raw", "--function", "--nonblocking"]
    return [program, "record", "--pid", str(pid), *options, "--output", str(output)]


def _perf(pid: int, output: Path) -> list[str]:
    pids = ",".join(map(str, proc.tree(pid)))
    program = _find("perf", "install your kernel's perf package")
    return [program, "record", "-e", "cpu-clock", "-F", "2000", "-p", pids, "-o", str(output)]


def _find(program: str, advice: str) -> str:
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        raise MissingToolError(f"{program} not found: {advice}")
    return found


def _read_py_spy(lines: Iterable[str]) -> dict[Stack, float]:
    """Read collapsed stacks (functions joined by semicolons, a blank, a count) of the main thread.

    The frame that runs the loop is left out where it is the innermost: there py-spy takes sleep for work. What the loop
    itself costs (``--native`` shows it) is so spread over the others.
    """
    stacks: collections.Counter[Stack] = collections.Counter()
    for line in lines:
        text, _, count = line.rpartition(" ")
        frames = tuple(text.split(";"))
        is_main = not _THREAD_ROOTS & {frame.partition(" ")[0] for frame in frames}
        if is_main and not frames[-1].startswith(_LOOP):
            stacks[frames] += int(count)
    return dict(stacks)


def _read_perf(path: Path) -> dict[Stack, float]:
    """Read perf's flat report: one row per symbol."""
    command = [_find("perf", ""), "report", "-i", str(path), "--stdio", "-F", "overhead,dso,sym", "-t", ";"]
    report = subprocess.run(command, capture_output=True, check=True, timeout=_STOP_LIMIT_S)
    rows = (_PERF_ROW.match(line) for line in report.stdout.decode().splitlines() if not line.startswith("#"))
    return {(f"all of {row[2]}", f"{row[3]} ({row[2]})"): float(row[1]) for row in rows if row}


def table(stacks: dict[Stack, float], cost_us: float, top: int) -> str:
    """Render the functions with the most time of their own, and with theirs and their callees'."""
    total = sum(stacks.values())
    own: dict[str, float] = collections.defaultdict(float)
    inclusive: dict[str, float] = collections.defaultdict(float)
    for stack, weight in stacks.items():
        own[stack[-1]] += weight
        for frame in set(stack):
            inclusive[frame] += weight
    scale = cost_us / total
    both = [*_ranking("own", own, scale, top), "", *_ranking("with callees", inclusive, scale, top)]
    return "\n".join([f"{cost_us:.1f} µs CPU a unit", "", *both])


def _ranking(title: str, weights: dict[str, float], scale: float, top: int) -> list[str]:
    ranked = sorted(weights.items(), key=lambda item: -item[1])
    return [f"µs {title}", *(f"{weight * scale:8.2f}  {name}" for name, weight in ranked[:top])]


def main() -> None:
    parser = argparse.ArgumentParser(description="Sample a target under load.")
    parser.add_argument("--target", default="chatproxy", choices=list(targets.BUILDERS))
    parser.add_argument("--series", default="json", choices=("json", "stream"))
    parser.add_argument("--case", choices=list(_CASES), help="one of the series surfaces, in place of --series")
    parser.add_argument("--native", action="store_true", help="sample C functions and the kernel, with perf")
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--scale", type=float, default=1.0, help="size of a run; 1 is that of benchmarks.run")
    options = parser.parse_args()
    with processes.upstream() as upstream_port:
        bench = Bench(upstream_port, scale=options.scale)
        if options.case is None:
            found = profile(bench, options.target, _series(bench, options.series), native=options.native)
        else:
            run = partial(bench.case, case=_CASES[options.case], number=0)
            found = profile(bench, "chatproxy", run, native=options.native, build=targets.surfaces_gateway)
    cost_us, stacks = found
    print(table(stacks, cost_us, options.top))


def _series(bench: Bench, series: str) -> Run:
    return partial(bench.json, in_flight=_IN_FLIGHT, number=0) if series == "json" else partial(bench.stream, number=0)


if __name__ == "__main__":
    main()

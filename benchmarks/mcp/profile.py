"""Where a tool round's CPU goes: ``python -m benchmarks.mcp.profile --case "http, called"``.

Samples Python functions with py-spy (PyPI) and sums them up by whose code they are in; what C code and the kernel use
counts for the function that called them. See ``benchmarks.profile`` for what samples can tell.
"""

from __future__ import annotations

import argparse
import collections
import re
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import profile
from benchmarks.load import Result
from benchmarks.mcp.cases import CASES, Case
from benchmarks.mcp.measure import Bench
from benchmarks.processes import Running
from benchmarks.series import Bench as Starter
from benchmarks.series import Record
from benchmarks.targets import Target

_FILE = re.compile(r"\(([^():]+)(?::\d+)?\)$")
_OWNERS = (
    ("chatproxy_mcp/connect", "the plugin, connections"),
    ("chatproxy_mcp", "the plugin, all else"),
    ("chatproxy", "the gateway"),
    ("mcp/", "the MCP SDK"),
    ("mcp_types", "the MCP SDK"),
    ("pydantic", "pydantic"),
    ("httpx2", "httpx2"),
    ("anyio", "anyio"),
    ("litestar", "the gateway"),
)
_OTHERS = "Python's library, and others"


def owner(frame: str) -> str:
    """Whose code a frame is in, by its file."""
    match = _FILE.search(frame)
    path = match[1] if match else ""
    return next((name for start, name in _OWNERS if path.startswith(start)), _OTHERS)


def shares(stacks: dict[profile.Stack, float], cost_us: float) -> list[tuple[str, float]]:
    """µs by owner, the most first."""
    weights: dict[str, float] = collections.defaultdict(float)
    for stack, weight in stacks.items():
        weights[owner(stack[-1])] += weight
    total = sum(weights.values())
    return sorted(((name, weight * cost_us / total) for name, weight in weights.items()), key=lambda share: -share[1])


def _record(bench: Bench, case: Case, requests: int, state: Running) -> Record:
    cpu_us = bench.cpu_us(state, case, requests)
    result = Result(
        ok=requests, errors={}, exact=0, same_text=0, wrong=0, events=0, wall_s=0, client_cpu_share=0, peak_in_flight=0,
        latency_ms=None, ttft_ms=None, cpu_us_per_request=cpu_us,
    )  # fmt: skip
    return Record(series=case.series, target=case.gateway, result=result)


def main() -> None:
    cases = {case.name: case for case in CASES}
    parser = argparse.ArgumentParser(description="Sample a gateway while it runs a case.")
    parser.add_argument("--case", default="http, called", choices=list(cases))
    parser.add_argument("--top", type=int, default=30)
    parser.add_argument("--requests", type=int, default=2_000)
    options = parser.parse_args()
    case = cases[options.case]
    with ExitStack() as stack:
        bench = Bench(stack)

        def build(folder: Path, port: int, _upstream_port: int) -> Target:
            return bench.target(case.gateway, folder, port)

        run = partial(_record, bench, case, options.requests)
        starter = Starter(bench.upstream_port, scale=1.0)
        cost_us, stacks = profile.profile(starter, "mcp", run, native=False, build=build)
    print("\n".join(f"{us:8.2f}  {name}" for name, us in shares(stacks, cost_us)))
    print(profile.table(stacks, cost_us, options.top))


if __name__ == "__main__":
    main()

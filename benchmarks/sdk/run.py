"""Measure the clients: ``python -m benchmarks.sdk.run --write``.

Needs the sdk installed, Linux, taskset and two cores. Nothing is downloaded and nothing leaves the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.command import run_command

GOAL = 1.5
EVENTS = 3_000
SHAPES = {"one event in a read": (1, 300), "ten events in a read": (10, 1_000)}
WAYS = {
    "awaiting": ("`AsyncChatServerClient`", "lines"),
    "agent": ("`ChatAgent.chat_stream`", "lines"),
    "blocking": ("`ChatServerClient`", "blocking_lines"),
    "sse": ("httpx-sse and msgspec", "lines"),
    "openai": ("openai-python", "lines"),
}
BASES = {"lines": "`aiter_lines()` of httpx", "blocking_lines": "`iter_lines()` of httpx"}
IMPORTS = {
    "httpx": "import httpx",
    "chatproxy_sdk": "import chatproxy_sdk",
    "ChatServerClient": "from chatproxy_sdk import ChatServerClient",
    "ChatAgent": "from chatproxy_sdk import ChatAgent",
}
IMPORT_GOAL_MS = 150
_TIMED = "import resource; {}; use = resource.getrusage(0); print((use.ru_utime + use.ru_stime) * 1e3)"


class Cost(NamedTuple):
    """CPU of one way of reading; µs an event, and how often that of its base, round by round."""

    way: str
    cpu_us: float
    ratio: float


@contextmanager
def serving() -> Iterator[int]:
    """The port of a server on core 0."""
    command = ["taskset", "-c", "0", sys.executable, "-m", "benchmarks.sdk.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        yield int(process.stdout.readline())
        process.stdin.close()


def read(way: str, port: int, events: int, shape: tuple[int, int]) -> float:
    """CPU of a process on core 1, in µs an event."""
    url = f"http://127.0.0.1:{port}/{events}/{shape[0]}/{shape[1]}"
    command = ["taskset", "-c", "1", sys.executable, "-m", "benchmarks.sdk.readers", way, url]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if found["count"] < events:
        raise RuntimeError(f"{way} read {found['count']} of {events} events")
    return float(found["cpu_us"])


def streams(rounds: int, scale: float) -> dict[str, list[Cost]]:
    """Every way for every shape, in turns."""
    events = int(EVENTS * scale) // 10 * 10
    found: dict[str, list[Cost]] = {}
    with serving() as port:
        for name, shape in SHAPES.items():
            runs: dict[str, list[float]] = {way: [] for way in (*BASES, *WAYS)}
            for _ in range(rounds):
                for way, values in runs.items():
                    values.append(read(way, port, events, shape))
            costs = [Cost(base, median(runs[base]), 1.0) for base in BASES]
            for way, (_, base) in WAYS.items():
                ratios = [one / other for one, other in zip(runs[way], runs[base], strict=True)]
                costs.append(Cost(way, median(runs[way]), median(ratios)))
            found[name] = costs
    return found


def imports(rounds: int) -> dict[str, float]:
    """CPU of imports in ms, beyond that of a bare interpreter."""
    runs: dict[str, list[float]] = {name: [] for name in ("bare", *IMPORTS)}
    for _ in range(rounds):
        for name, values in runs.items():
            code = _TIMED.format(IMPORTS.get(name, "pass"))
            done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
            values.append(float(done.stdout))
    bare = median(runs.pop("bare"))
    return {name: median(values) - bare for name, values in runs.items()}


def tables(series: Sequence[str], rounds: int, scale: float, machine: str) -> str:
    """Measure, as Markdown."""
    parts = [machine]
    if "stream" in series:
        for shape, costs in streams(rounds, scale).items():
            rows = [
                f"| {BASES.get(cost.way) or WAYS[cost.way][0]} | {cost.cpu_us:.1f} | {cost.ratio:.2f} |"
                for cost in costs
            ]
            parts.append(f"**{shape}** (goal of the clients: ≤ {GOAL})\n\n| read with | µs CPU an event | of lines |")
            parts[-1] += "\n| --- | ---: | ---: |\n" + "\n".join(rows)
    if "import" in series:
        rows = [f"| `{IMPORTS[name]}` | {value:.0f} |" for name, value in imports(rounds).items()]
        parts.append(f"| statement (goal: ≤ {IMPORT_GOAL_MS}) | ms CPU |\n| --- | ---: |\n" + "\n".join(rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    run_command("sdk", ("stream", "import"), tables, Path(__file__).resolve().parent / "README.md")

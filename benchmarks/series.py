"""The measured series: what is sent to whom, how much of it, and what one run leaves as a record.

Sizes are chosen per target so that a run uses a CPU-second or more: short runs drown in the clock's grain.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import proc, processes, targets
from benchmarks.aborts import AbortPlan
from benchmarks.cases import CASES, Case
from benchmarks.load import Plan, Result
from benchmarks.payloads import surface_url
from benchmarks.processes import Running
from benchmarks.upstream_scripts import events_sent

DIRECT = "direct"
"""The pseudo target: no proxy at all, the baseline of latencies."""

JSON_IN_FLIGHT = (16, 64, 256)
STREAMS = 64
HELD_STREAMS = (500, 2000)
CASE_IN_FLIGHT = 64
ABORT_CYCLES = 10_000
_STREAM_MODEL = "mock-10ms-100"
_SLOW_MODEL = "mock-1000ms-10"
_HOLD_RAMP_PER_S = 250
_SETTLE_LIMIT_S = 15
_WARM_UP_ABORTS = 200
_LAZY_S = 2.0

_JSON_REQUESTS = {"nginx": 60_000, "chatproxy": 10_000, "portkey": 2_000, "litellm": 250}
_WARM_UP_REQUESTS = {"portkey": 4_000, "litellm": 100}
_USUAL_WARM_UP_REQUESTS = 2_000
_STREAM_COUNT = {"nginx": 768, "chatproxy": 512, "portkey": 320, "litellm": 128, DIRECT: 512}
_OPEN_RATE_PER_S = {"litellm": 40.0}
_USUAL_OPEN_RATE_PER_S = 400.0
_OPEN_S = 5
_CASE_REQUESTS = 8_000
_CASE_STREAMS = 256
_CASE_WARM_UP = 300


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run of one series against one target; ``size`` is requests in flight, streams or cycles.

    ``case`` is set in the series ``surfaces`` only.
    """

    series: str
    target: str
    case: str = ""
    size: int = 0
    round: int = 0
    result: Result | None = None
    values: dict[str, float] = {}
    failure: str | None = None


class Bench:
    """Runs series against targets that share one upstream."""

    def __init__(self, upstream_port: int, *, scale: float) -> None:
        self._upstream_port = upstream_port
        self._scale = scale

    @contextmanager
    def started(self, name: str, build: targets.Builder | None = None) -> Iterator[Running]:
        """Start a target on a fresh port, with its files in a folder of its own."""
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            build = build or targets.BUILDERS[name]
            with processes.running(build(Path(folder), processes.free_port(), self._upstream_port)) as state:
                yield state

    def start_up(self, state: Running, number: int) -> Record:
        """Record what starting cost and what an idle process holds."""
        values = {
            "start_cpu_s": state.start_cpu_s,
            "start_wall_s": state.start_wall_s,
            "idle_rss_kib": state.idle_rss_kib,
        }
        return Record(series="start", target=state.target.name, round=number, values=values)

    def warm_up(self, state: Running) -> None:
        """Send what a just-in-time compiler, a pool or a lazy import needs to reach its steady state."""
        requests = _WARM_UP_REQUESTS.get(state.target.name, _USUAL_WARM_UP_REQUESTS)
        processes.run_load(self._plan(state, in_flight=64, requests=requests))

    def json(self, state: Running, in_flight: int, number: int) -> Record:
        """Run buffered exchanges, closed loop."""
        name = state.target.name
        requests = max(self._scaled(_JSON_REQUESTS[name]), in_flight * 2)
        plan = self._plan(state, in_flight=in_flight, requests=requests, warmup=in_flight * 2)
        return self._record("json", name, in_flight, number, plan)

    def stream(self, state: Running | None, number: int) -> Record:
        """Run 64 streams with 10 ms between events; without a target, straight at the upstream."""
        name = state.target.name if state else DIRECT
        streams = max(self._scaled(_STREAM_COUNT[name]), STREAMS)
        plan = self._plan(
            state, in_flight=STREAMS, requests=streams, model=_STREAM_MODEL, stream=True, ramp_s=1, warmup=STREAMS
        )
        return self._record("stream", name, STREAMS, number, plan)

    def surfaces(self, rounds: int, cases: Sequence[Case] = CASES) -> Iterator[Record]:
        """Run the cases in turns, all in one process of the gateway."""
        with self.started("chatproxy", targets.surfaces_gateway) as state:
            for case in cases:
                processes.run_load(self._case_plan(state, case, _CASE_WARM_UP))
            for number in range(rounds):
                for case in cases:
                    yield self.case(state, case, number)

    def case(self, state: Running, case: Case, number: int) -> Record:
        """Run one case: 64 in flight, or 64 streams with 10 ms between events."""
        count = max(self._scaled(_CASE_STREAMS if case.stream else _CASE_REQUESTS), CASE_IN_FLIGHT * 2)
        record = self._record("surfaces", "chatproxy", CASE_IN_FLIGHT, number, self._case_plan(state, case, count))
        record.case = case.name
        return record

    def _case_plan(self, state: Running, case: Case, requests: int) -> Plan:
        return self._plan(
            state,
            url=surface_url(state.target.port, case.surface),
            reference_url=surface_url(self._upstream_port, case.surface),
            surface=case.surface,
            model=case.model,
            stream=case.stream,
            fields=case.fields,
            upstream_events=upstream_events(case) if case.stream else None,
            requests=requests,
            in_flight=CASE_IN_FLIGHT,
            warmup=CASE_IN_FLIGHT,
            ramp_s=1 if case.stream else 0,
        )

    def open_loop(self, state: Running | None, number: int) -> Record:
        """Run buffered exchanges at a fixed rate below saturation, for honest tail latencies."""
        name = state.target.name if state else DIRECT
        rate_per_s = _OPEN_RATE_PER_S.get(name, _USUAL_OPEN_RATE_PER_S)
        plan = self._plan(
            state, in_flight=16, requests=self._scaled(rate_per_s * _OPEN_S), rate_per_s=rate_per_s, warmup=64
        )
        return self._record("open", name, int(rate_per_s), number, plan)

    def hold(self, name: str, streams: int, number: int) -> Iterator[Record]:
        """Hold slow streams open in a fresh process, so that no earlier run has paid for their memory."""
        with self.started(name) as state:
            yield self.start_up(state, number)
            processes.run_load(self._plan(state, in_flight=16, requests=100))
            ramp_s = streams / _HOLD_RAMP_PER_S
            plan = self._plan(state, in_flight=streams, requests=streams, model=_SLOW_MODEL, stream=True, ramp_s=ramp_s)
            yield self._record("hold", name, streams, number, plan)

    def aborts(self, name: str) -> Iterator[Record]:
        """Let clients leave at every moment, then count what the process still holds."""
        counts_tasks = name == "chatproxy"
        plugins = (*targets.NOOP_PLUGINS, targets.TASK_COUNTER)
        cycles = self._scaled(ABORT_CYCLES)
        with self.started(name, partial(targets.gateway_with, plugins) if counts_tasks else None) as state:
            _run_aborts(AbortPlan(url=state.url, cycles=_WARM_UP_ABORTS, headers=state.target.headers))
            time.sleep(_LAZY_S)  # what opens once and for all (a log, say) has opened
            before = self._held(state, counts_tasks=counts_tasks)
            plan = AbortPlan(url=state.url, cycles=cycles, headers=state.target.headers)
            outcome = _run_aborts(plan)
            values = self._leftovers(state, before, counts_tasks=counts_tasks)
            after = self._record("aborts", name, cycles, 0, self._plan(state, in_flight=64, requests=500))
            after.values = {**values, "cycles_that_failed": sum(outcome["errors"].values())}
            yield after

    def _leftovers(self, state: Running, before: dict[str, int], *, counts_tasks: bool) -> dict[str, float]:
        """Wait until everything above ``before`` is gone, for a bounded time, and return what is not.

        An idle connection kept for reuse is the pool's good right, so its descriptor is not a leftover.
        """
        deadline = time.monotonic() + _SETTLE_LIMIT_S
        left: dict[str, float] = {}
        while True:
            now = self._held(state, counts_tasks=counts_tasks)
            left = {key: max(0, now[key] - before[key]) for key in now if key != "kept_alive"}
            pooled = now["kept_alive"] - before["kept_alive"]
            left["descriptors"] = max(0, now["descriptors"] - before["descriptors"] - pooled)
            if not any(left.values()) or time.monotonic() > deadline:
                return {f"left_{key}": value for key, value in left.items()} | {"kept_alive": now["kept_alive"]}
            time.sleep(0.2)

    def _held(self, state: Running, *, counts_tasks: bool) -> dict[str, int]:
        upstream = processes.get_json(self._upstream_port, "/stats")
        held = {
            "upstream_exchanges": upstream["streams_open"] + upstream["waiting"],
            "kept_alive": upstream["connections_open"] - 1,  # the one that asks
            "descriptors": proc.descriptors(state.pid),
        }
        return held | (processes.get_json(state.target.port, targets.TASKS_PATH) if counts_tasks else {})

    def _plan(self, state: Running | None, *, requests: int, in_flight: int, **more: object) -> Plan:
        direct = surface_url(self._upstream_port)
        fields = {
            "url": state.url if state else direct,
            "reference_url": direct,
            "requests": requests,
            "in_flight": in_flight,
            "pid": state.pid if state else None,
            "headers": state.target.headers if state else {},
        }
        return msgspec.convert(fields | more, Plan)

    def _record(self, series: str, name: str, size: int, number: int, plan: Plan) -> Record:
        try:
            result = processes.run_load(plan)
        except (RuntimeError, subprocess.TimeoutExpired) as exc:
            return Record(series=series, target=name, size=size, round=number, failure=str(exc))
        return Record(series=series, target=name, size=size, round=number, result=result)

    def _scaled(self, count: float) -> int:
        return max(1, int(count * self._scale))


def upstream_events(case: Case) -> int:
    """How many events the upstream sends in each stream of a case; chat's where the surface is translated."""
    return events_sent(case.surface if case.way == "native" else "chat", case.model)


def _run_aborts(plan: AbortPlan) -> dict[str, dict[str, int]]:
    output = processes.on_load_core([sys.executable, "-m", "benchmarks.aborts", msgspec.json.encode(plan).decode()])
    return msgspec.json.decode(output, type=dict[str, dict[str, int]])

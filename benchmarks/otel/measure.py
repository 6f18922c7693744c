"""Measuring: all gateways alive at once, in turns, each a process on a core of its own; the collector is another.

Rule: CPU of the gateway's own process, its exporting threads included, until nothing waits for the collector.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import processes
from benchmarks.load import Plan, Result
from benchmarks.mcp.measure import own_cpu_s
from benchmarks.otel import gateways
from benchmarks.otel.cases import RATE_PER_S, RATED_REQUESTS, SPANS, Case
from benchmarks.otel.gateways import Name
from benchmarks.otel.results import Burst, Cost, Counted, InMemory, Rated, Start
from benchmarks.processes import Running

_WARM_UP = 128
_EXPORT_LIMIT_S = 30.0
_POLL_S = 0.1


class Pipe(msgspec.Struct):
    """What ``/readyz`` says of one signal."""

    waiting: int = 0
    exported: int = 0
    dropped: int = 0

    @property
    def total(self) -> int:
        return self.waiting + self.exported + self.dropped


class Bench:
    """What the gateways talk to, and the gateways; processes end with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-otel-")))
        self._sink_ports = [processes.free_port() for _ in range(4)]
        stack.enter_context(
            processes.running(gateways.sink(self._folder, self._sink_ports[:3]), core=processes.LOAD_CORE)
        )
        self._upstream_port = stack.enter_context(processes.upstream())

    @contextmanager
    def started(self, name: Name, *, queue_size: int | None = None) -> Iterator[Running]:
        """A gateway, until the block ends."""
        text = gateways.config(name, self._upstream_port, self._sink_ports, queue_size=queue_size)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            target = gateways.gateway(Path(folder), processes.free_port(), text)
            with processes.running(target) as state:
                yield state

    def costs(self, cases: Sequence[Case], names: Sequence[Name], rounds: int, scale: float) -> Iterator[Cost]:
        """Run cases on gateways in turns, after each has answered a few requests."""
        with ExitStack() as stack:
            size = gateways.HUGE_QUEUE
            states = {name: stack.enter_context(self.started(name, queue_size=size)) for name in names}
            for state in states.values():
                _run(Plan(url=state.url, requests=_WARM_UP, in_flight=8))
            for number in range(rounds):
                for case in cases:
                    for name, state in states.items():
                        yield _cost(name, state, case, number, scale)

    def rated(self, names: Sequence[Name], rounds: int, scale: float) -> Iterator[Rated | Counted]:
        """Send requests at a fixed rate to gateways in turns; in the end each says what became of its spans."""
        requests = round(RATED_REQUESTS * scale)
        with ExitStack() as stack:
            states = {name: stack.enter_context(self.started(name)) for name in names}
            arrived = self._arrived()
            for state in states.values():
                _run(Plan(url=state.url, requests=_WARM_UP, in_flight=8))
            for number in range(rounds):
                for name, state in states.items():
                    yield _rated(name, state, requests, number)
            for name, state in states.items():
                if name != "without":
                    pipe = _settled(state, (_WARM_UP + rounds * requests) * SPANS, until_sent=name == "sampled")
                    yield Counted(
                        gateway=name,
                        produced=(_WARM_UP + rounds * requests) * SPANS,
                        waiting=pipe.waiting,
                        exported=pipe.exported,
                        dropped=pipe.dropped,
                        arrived=self._arrived() - arrived if name == "sampled" else None,
                    )

    def bursts(self) -> Iterator[Burst]:
        """A burst before each collector."""
        for collector, port in zip(("healthy", "errors", "slow", "refused"), self._sink_ports, strict=True):
            command = [sys.executable, "-m", "benchmarks.otel.burst", "--collector", collector, "--port", str(port)]
            yield msgspec.json.decode(processes.on_load_core(command), type=Burst)

    def starts(self, names: Sequence[Name], rounds: int) -> Iterator[Start]:
        """Start gateways in turns, and end them."""
        for number in range(rounds):
            for name in names:
                with self.started(name) as state:
                    rss_mib = state.idle_rss_kib / 1024
                    yield Start(gateway=name, round=number, cpu_s=state.start_cpu_s, rss_mib=rss_mib)

    def _arrived(self) -> int:
        return processes.get_json(self._sink_ports[0], "/stats")["traces"]


def in_memory(rounds: int) -> InMemory:
    """What an exchange costs in memory; see ``path``."""
    command = [sys.executable, "-m", "benchmarks.otel.path", "--rounds", str(rounds)]
    return msgspec.json.decode(processes.on_load_core(command), type=InMemory)


def _cost(name: Name, state: Running, case: Case, number: int, scale: float) -> Cost:
    requests = max(case.in_flight, round(case.requests * scale))
    plan = Plan(
        url=state.url, requests=requests, in_flight=case.in_flight, model=case.model, stream=case.stream,
        ramp_s=case.ramp_s,
    )  # fmt: skip
    before_s, put = own_cpu_s(state.pid), _pipe(state).total
    try:
        _run(plan)
        if name in {"sampled", "content"}:
            _settled(state, put + requests * SPANS, until_sent=True)
    except (RuntimeError, OSError, subprocess.SubprocessError) as exc:
        return Cost(case=case.name, gateway=name, round=number, failure=str(exc))
    cpu_us = (own_cpu_s(state.pid) - before_s) * 1e6 / requests
    return Cost(case=case.name, gateway=name, round=number, cpu_us=cpu_us)


def _rated(name: Name, state: Running, requests: int, number: int) -> Rated:
    try:
        result = _run(Plan(url=state.url, requests=requests, rate_per_s=RATE_PER_S))
    except (RuntimeError, OSError, subprocess.SubprocessError) as exc:
        return Rated(gateway=name, round=number, failure=str(exc))
    return Rated(gateway=name, round=number, latency_ms=result.latency_ms)


def _run(plan: Plan) -> Result:
    """Run a load of which every request must succeed.

    Raises:
        RuntimeError: one did not.
    """
    result = processes.run_load(plan)
    if result.ok != plan.requests:
        raise RuntimeError(f"{result.ok} of {plan.requests} requests succeeded: {result.errors}")
    return result


def _settled(state: Running, produced: int, *, until_sent: bool) -> Pipe:
    """Wait until all spans are accounted for, and where asked for, sent; what is known then, or at the latest."""
    deadline_s = time.monotonic() + _EXPORT_LIMIT_S
    while True:
        pipe = _pipe(state)
        is_done = pipe.total >= produced and not (until_sent and pipe.waiting)
        if is_done or time.monotonic() > deadline_s:
            return pipe
        time.sleep(_POLL_S)


def _pipe(state: Running) -> Pipe:
    """What a gateway says of its spans; nothing where it has not the plugin."""
    connection = http.client.HTTPConnection("127.0.0.1", state.target.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        report = msgspec.json.decode(connection.getresponse().read())
    finally:
        connection.close()
    said: dict[str, Any] = report.get("plugins", {}).get("otel", {}).get("traces", {})
    return msgspec.convert(said, Pipe)

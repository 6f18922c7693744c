"""Measuring: all gateways alive at once, the cases in turns, the gateway's own CPU time for each.

Rule: CPU of the gateway's process alone, user and system; what its children use (a tool's server) is the tool's own.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from benchmarks import processes
from benchmarks.load import Plan
from benchmarks.mcp import gateways
from benchmarks.mcp.cases import STREAM_MODEL, Case
from benchmarks.payloads import surface_url
from benchmarks.processes import Running
from benchmarks.targets import Target
from benchmarks.upstream_scripts import events_sent

_WARM_UP = 200


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One case in one round.

    Attributes:
        cpu_us: for a request, or for an event of the upstream's.
        failure: why there is none.
    """

    series: str
    name: str
    round: int
    cpu_us: float = 0.0
    failure: str = ""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What starting a gateway costs, up to its first answer, and what it holds a second later."""

    name: str
    round: int
    cpu_s: float
    rss_mib: float


class Bench:
    """What the gateways talk to, and the gateways; processes end with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-mcp-")))
        self._tool_ports = [processes.free_port() for _ in range(gateways.SERVERS + 1)]
        self.upstream_port = processes.free_port()
        for target in (
            gateways.upstream(self._folder, self.upstream_port),
            gateways.tool_servers(self._folder, self._tool_ports[:-1]),
            gateways.echo_server(self._folder, self._tool_ports[-1]),
        ):
            stack.enter_context(processes.running(target, core=processes.LOAD_CORE))

    @contextmanager
    def started(self, name: gateways.Name) -> Iterator[Running]:
        """A gateway, until the block ends."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            target = self.target(name, Path(folder), processes.free_port())
            with processes.running(target) as state:
                yield state

    def target(self, name: gateways.Name, folder: Path, port: int) -> Target:
        """A gateway before this upstream and these tools' servers; see `gateways.gateway`."""
        return gateways.gateway(name, folder, port, self.upstream_port, self._tool_ports)

    def starts(self, names: Sequence[gateways.Name], rounds: int) -> Iterator[Start]:
        """Start gateways in turns, and end them."""
        for number in range(rounds):
            for name in names:
                with self.started(name) as state:
                    rss_mib = state.idle_rss_kib / 1024
                    yield Start(name=name, round=number, cpu_s=state.start_cpu_s, rss_mib=rss_mib)

    def costs(self, cases: Sequence[Case], rounds: int, scale: float) -> Iterator[Cost]:
        """Run cases in turns, after each has been run once to connect, list tools and compile what is compiled."""
        names = dict.fromkeys(case.gateway for case in cases)
        with ExitStack() as stack:
            states = {name: stack.enter_context(self.started(name)) for name in names}
            for case in cases:
                self._attempt(states[case.gateway], case, _WARM_UP, 0)
            for number in range(rounds):
                for case in cases:
                    requests = max(round(case.requests * scale), case.in_flight)
                    yield self._attempt(states[case.gateway], case, requests, number)

    def _attempt(self, state: Running, case: Case, requests: int, number: int) -> Cost:
        try:
            cpu_us = self.cpu_us(state, case, requests)
        except (RuntimeError, OSError, subprocess.SubprocessError) as exc:
            return Cost(series=case.series, name=case.name, round=number, failure=str(exc))
        return Cost(series=case.series, name=case.name, round=number, cpu_us=cpu_us)

    def cpu_us(self, state: Running, case: Case, requests: int) -> float:
        """What a case costs a gateway, in µs for each of its units.

        Raises:
            RuntimeError: a request failed, or the upstream did not see what it should.
        """
        before_s = own_cpu_s(state.pid)
        result = processes.run_load(_plan(state, case, requests))
        cpu_s = own_cpu_s(state.pid) - before_s
        if result.ok != requests:
            raise RuntimeError(f"{result.ok} of {requests} requests succeeded: {result.errors}")
        seen = processes.get_json(self.upstream_port, "/seen")
        wanted = {"tools": case.tools, "results": case.results}
        if seen != wanted:
            raise RuntimeError(f"the upstream saw {seen}, wanted {wanted}")
        units = requests * (events_sent(case.surface, case.model) if case.per_event else 1)
        return cpu_s * 1e6 / units


def own_cpu_s(pid: int) -> float:
    """User and system time of a process's living threads, without its children, in seconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _plan(state: Running, case: Case, requests: int) -> Plan:
    return Plan(
        url=surface_url(state.target.port, case.surface),
        requests=requests,
        in_flight=case.in_flight,
        surface=case.surface,
        model=case.model,
        stream=case.stream,
        fields=case.fields,
        ramp_s=1 if case.model == STREAM_MODEL else 0,
    )

"""Measuring: gateways in processes of their own on one core; load, upstream and this program are on another.

Rule: CPU of the gateway's own process, its database threads included; servers of databases are not counted.
"""

from __future__ import annotations

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
from benchmarks.platform import auditing, databases, gateways, listing
from benchmarks.platform.cases import (
    AUDIT_S,
    ENGINES,
    FEW,
    LISTINGS,
    MANY,
    ORGANIZATION,
    STORED,
    WRITERS,
    Case,
    Engine,
)
from benchmarks.platform.gateways import Name
from benchmarks.platform.keys import Administrator, ask
from benchmarks.platform.results import Audited, Calls, Cost, Kept, Listed
from benchmarks.processes import Running

FAILURES = (RuntimeError, OSError, subprocess.SubprocessError)
_WARM_UP = 256
_LIST_REQUESTS = 200
_WRITE_LIMIT_S = 60.0
_POLL_S = 0.05
_PLAIN: tuple[Name, ...] = ("without", "empty hooks")
Started = tuple[Running, str]
"""A gateway, and a key for it."""


class Bench:
    """What the gateways talk to, and the gateways; processes end with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-platform-")))
        self._upstream_port = stack.enter_context(processes.upstream())

    @contextmanager
    def started(self, name: Name, engine: Engine = "SQLite") -> Iterator[tuple[Running, str, str]]:
        """A gateway with a new database and a key of an organization: what runs, the key, the database's URL."""
        with (
            tempfile.TemporaryDirectory(dir=self._folder) as folder,
            databases.made(engine, Path(folder)) as url,
            self.running(name, Path(folder), url) as state,
        ):
            yield state, "" if name in _PLAIN else _new_key(state), url

    @contextmanager
    def running(self, name: Name, folder: Path, url: str) -> Iterator[Running]:
        """A gateway on a database that may be there already."""
        text = gateways.config(name, self._upstream_port, url, databases.REDIS)
        with processes.running(gateways.gateway(folder, processes.free_port(), text)) as state:
            yield state

    def costs(self, cases: Sequence[Case], names: Sequence[Name], rounds: int, scale: float) -> Iterator[Cost]:
        """Run cases on gateways in turns, after each has answered some requests."""
        with ExitStack() as stack:
            states = {name: stack.enter_context(self.started(name))[:2] for name in names}
            for started in states.values():
                run(Case(name="warm-up", requests=_WARM_UP), started)
            for number in range(rounds):
                for case in cases:
                    for name, started in states.items():
                        try:
                            cpu_us = _cpu_us(name, case, started, scale)
                        except FAILURES as exc:
                            yield Cost(case=case.name, gateway=name, round=number, failure=str(exc))
                        else:
                            yield Cost(case=case.name, gateway=name, round=number, cpu_us=cpu_us)

    def kept(self, cases: Sequence[Case], rounds: int, scale: float) -> Iterator[Kept]:
        """Have sessions made as fast as the gateway's core can, and at a rate; each run on a new database."""
        for number in range(rounds):
            for case in cases:
                with self.started("without") as (state, key, _):
                    yield _kept(case, ("", ""), number, scale, (state, key))
                for engine in ENGINES:
                    with self.started("sessions", engine) as (state, key, url):
                        yield _kept(case, (engine, url), number, scale, (state, key))

    def listed(self, scale: float) -> Iterator[Listed]:
        """Ask for pages of many sessions."""
        stored = round(STORED * scale)
        for engine in ENGINES:
            with tempfile.TemporaryDirectory(dir=self._folder) as name, databases.made(engine, Path(name)) as url:
                folder = Path(name)
                with self.running("sessions", folder, url) as state:
                    keys = _new_keys(Administrator(state.target.port, folder))
                databases.fill(url, stored)
                with self.running("sessions", folder, url) as state:
                    for one in LISTINGS:
                        yield _listed(
                            listing.Plan(
                                listing=one.name, engine=engine, port=state.target.port, path=one.path,
                                key=keys[one.key], stored=stored, requests=_LIST_REQUESTS,
                            )
                        )  # fmt: skip

    def audited(self, scale: float) -> Iterator[Audited]:
        """Write rows of the audit log, alone in a process."""
        for engine in ENGINES:
            with tempfile.TemporaryDirectory(dir=self._folder) as folder, databases.made(engine, Path(folder)) as url:
                for writers in WRITERS:
                    yield _audited(auditing.Plan(engine=engine, url=url, writers=writers, run_s=AUDIT_S * scale))


def called() -> list[Calls]:
    """Functions called for an event of a stream; see ``calls``."""
    return msgspec.json.decode(_client("calls"), type=list[Calls])


def run(case: Case, started: Started, scale: float = 1.0) -> Result:
    """Run a load of which every request must succeed.

    Raises:
        RuntimeError: one did not.
    """
    state, key = started
    requests = max(case.in_flight, round(case.requests * scale))
    plan = Plan(
        url=state.url, requests=requests, in_flight=case.in_flight, model=case.model, stream=case.stream,
        ramp_s=case.ramp_s, rate_per_s=case.rate_per_s, fields=case.fields,
        headers={"authorization": f"Bearer {key}"} if key else {},
    )  # fmt: skip
    result = processes.run_load(plan)
    if result.ok != requests:
        raise RuntimeError(f"{result.ok} of {requests} requests succeeded: {result.errors}")
    return result


def _cpu_us(name: Name, case: Case, started: Started, scale: float) -> float:
    """For each exchange; where usage is written, until all of it is."""
    state = started[0]
    before_s = own_cpu_s(state.pid)
    result = run(case, started, scale)
    if name == "written":
        _wait_until_written(state)
    return (own_cpu_s(state.pid) - before_s) * 1e6 / result.ok


def _wait_until_written(state: Running) -> None:
    deadline_s = time.monotonic() + _WRITE_LIMIT_S
    while _usage(state)["waiting"]:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"usage is not written: {_usage(state)}")
        time.sleep(_POLL_S)


def _usage(state: Running) -> dict[str, Any]:
    found: dict[str, Any] = ask(state.target.port, "/readyz", "")[1]["plugins"]["platform"]["usage"]
    return found


def _kept(case: Case, database: tuple[str, str], number: int, scale: float, started: Started) -> Kept:
    engine, url = database
    warm_up = msgspec.structs.replace(case, requests=_WARM_UP)
    try:
        sent = run(warm_up, started).ok
        before_s = own_cpu_s(started[0].pid)
        result = run(case, started, scale)
        cpu_s = own_cpu_s(started[0].pid) - before_s
        turns = databases.stored_turns(url) if url else 0
    except FAILURES as exc:
        return Kept(case=case.name, engine=engine, round=number, failure=str(exc))
    return Kept(
        case=case.name,
        engine=engine,
        round=number,
        rate_per_s=result.ok / result.wall_s,
        cpu_us=cpu_s * 1e6 / result.ok,
        latency_ms=result.latency_ms,
        sent=sent + result.ok,
        turns=turns,
    )


def _listed(plan: listing.Plan) -> Listed:
    try:
        return msgspec.json.decode(_client("listing", plan), type=Listed)
    except FAILURES as exc:
        return Listed(listing=plan.listing, engine=plan.engine, failure=str(exc))


def _audited(plan: auditing.Plan) -> Audited:
    try:
        return msgspec.json.decode(_client("auditing", plan), type=Audited)
    except FAILURES as exc:
        return Audited(engine=plan.engine, writers=plan.writers, failure=str(exc))


def _client(module: str, plan: msgspec.Struct | None = None) -> bytes:
    arguments = [] if plan is None else [msgspec.json.encode(plan).decode()]
    return processes.on_load_core([sys.executable, "-m", f"benchmarks.platform.{module}", *arguments])


def _new_key(state: Running) -> str:
    administrator = Administrator(state.target.port, state.target.folder)
    administrator.new_organization(ORGANIZATION)
    return administrator.new_key(organization_id=ORGANIZATION)


def _new_keys(administrator: Administrator) -> dict[str, str]:
    """By who has them, as `cases.LISTINGS` names them."""
    for name in (MANY, FEW):
        administrator.new_user(name)
    administrator.new_organization("org1")
    administrator.new_user("boss", role="org_admin", organization_id="org1")
    keys = {name: administrator.new_key(user_id=name) for name in (MANY, FEW)}
    boss = administrator.new_key(user_id="boss", role="org_admin", organization_id="org1")
    return {"admin": administrator.key, "boss": boss, **keys}

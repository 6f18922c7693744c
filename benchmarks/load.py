"""Load client: one plan in, one result out, as JSON.

``python -m benchmarks.load '{"url": "http://127.0.0.1:8000/v1/chat/completions", "in_flight": 64, "requests": 5000}'``
Closed loop by default; with ``rate_per_s`` open loop, where latency counts from the time a request was due.
Every body is compared with the reference's, byte for byte.
"""

import asyncio
import collections
import sys
import time
from collections.abc import Coroutine
from typing import Any

import msgspec
import uvloop

from benchmarks import proc
from benchmarks.http1 import Answer, Connection, ExchangeError, connect
from benchmarks.payloads import render_request
from benchmarks.readers import Reader, reader

_WATCH_INTERVAL_S = 0.25
_GIVE_UP_AFTER = 200
"""Errors in one run after which the rest is not worth waiting for."""


class Plan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to send. ``reference_url`` answers what a correct body is; ``pid`` roots the measured process tree.

    ``fields`` are added to each body. ``upstream_events`` is how many events a stream has at the upstream, to count by
    where the client's are others.
    """

    url: str
    requests: int
    in_flight: int = 1
    surface: str = "chat"
    model: str = "mock"
    stream: bool = False
    fields: dict[str, Any] = {}
    upstream_events: int | None = None
    rate_per_s: float = 0
    ramp_s: float = 0
    warmup: int = 0
    timeout_s: float = 120
    headers: dict[str, str] = {}
    reference_url: str | None = None
    pid: int | None = None


class Percentiles(msgspec.Struct):
    """Milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class Result(msgspec.Struct, kw_only=True):
    """One run. Times in ms where named so; CPU and memory only with a ``pid``."""

    ok: int
    errors: dict[str, int]
    exact: int
    same_text: int
    wrong: int
    events: int
    wall_s: float
    client_cpu_share: float
    peak_in_flight: int
    latency_ms: Percentiles | None
    ttft_ms: Percentiles | None
    cpu_s: float | None = None
    cpu_us_per_request: float | None = None
    cpu_us_per_event: float | None = None
    rss_before_kib: float | None = None
    rss_peak_kib: float | None = None


class Tally:
    """What a run saw, added up. Bodies unlike the reference are judged after the run, off the clock."""

    def __init__(self, reference: bytes | None, *, stream: bool, surface: str = "chat") -> None:
        self._reference = reference
        self._is_stream = stream
        self._read: Reader = reader(surface, stream=stream)
        self._unlike: list[bytes] = []
        self.latency_s: list[float] = []
        self.ttft_s: list[float] = []
        self.errors: collections.Counter[str] = collections.Counter()
        self.events = self.exact = 0

    def add(self, answer: Answer, started_s: float) -> None:
        """Count one complete answer."""
        if answer.status != 200:
            self.errors[f"status {answer.status}"] += 1
            return
        self.latency_s.append(answer.last_byte_s - started_s)
        self.ttft_s.append(answer.first_byte_s - started_s)
        if self._is_stream:
            self.events += answer.body.count(b"data:")
        if self._reference is None or answer.body == self._reference:
            self.exact += 1
        else:
            self._unlike.append(answer.body)

    def same_text(self) -> int:
        """Count the bodies whose bytes differ from the reference's and that say the same (see ``readers``)."""
        wanted = self._read(self._reference or b"")
        return sum(self._read(body) == wanted for body in self._unlike)

    def wrong(self) -> int:
        """Count the bodies that do not say what the reference says."""
        return len(self._unlike) - self.same_text()


class Load:
    """A pool of connections and the loops that use it."""

    def __init__(self, plan: Plan, url: str, tally: Tally) -> None:
        self._plan = plan
        self._url = url
        self._payload = render_request(
            url, surface=plan.surface, model=plan.model, stream=plan.stream, fields=plan.fields, headers=plan.headers
        )
        self._idle: list[Connection] = []
        self._in_flight = 0
        self.tally = tally
        self.peak_in_flight = 0

    async def once(self, due_s: float | None = None) -> Answer | None:
        """Run one exchange; None if it failed, which the tally then holds."""
        started_s = due_s or time.perf_counter()
        self._in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        try:
            connection = self._reuse() or await connect(self._url)
            answer = await connection.exchange(self._payload, timeout_s=self._plan.timeout_s)
        except (ExchangeError, OSError) as exc:
            self.tally.errors[f"{type(exc).__name__}: {exc}"] += 1
            return None
        finally:
            self._in_flight -= 1
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.transport.abort()
        self.tally.add(answer, started_s)
        return answer

    async def run(self, requests: int) -> None:
        """Run the plan's loop for that many requests."""
        await (self._open_loop(requests) if self._plan.rate_per_s else self.closed_loop(requests, self._plan.ramp_s))

    async def closed_loop(self, requests: int, ramp_s: float) -> None:
        """Keep ``in_flight`` workers busy, started evenly over ``ramp_s``."""
        remaining = iter(range(requests))

        async def work(delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            for _ in remaining:
                if self.tally.errors.total() > _GIVE_UP_AFTER:
                    return
                await self.once()

        workers = min(self._plan.in_flight, requests)
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(work(ramp_s * number / workers))

    async def _open_loop(self, requests: int) -> None:
        begin_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(requests):
                due_s = begin_s + number / self._plan.rate_per_s
                if (wait_s := due_s - time.perf_counter()) > 0:
                    await asyncio.sleep(wait_s)
                group.create_task(self.once(due_s))

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.transport.abort()

    def _reuse(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return None


async def measure(plan: Plan) -> Result:
    """Warm up, run the plan, report.

    Raises:
        RuntimeError: the reference did not answer.
    """
    reference = await _reference(plan)
    load = Load(plan, plan.url, _tally(plan, reference))
    await load.closed_loop(plan.warmup, 0)
    load.tally = _tally(plan, reference)
    load.peak_in_flight = 0
    watch = Watch(plan.pid)
    begin_s, client_s, cpu_s = time.perf_counter(), time.process_time(), proc.cpu_s(plan.pid or 0)
    await watch.around(load.run(plan.requests))
    cpu_s = proc.cpu_s(plan.pid or 0) - cpu_s
    wall_s, client_s = time.perf_counter() - begin_s, time.process_time() - client_s
    load.close()
    result = _result(load, plan, wall_s, client_s)
    if plan.pid:
        result.cpu_s = round(cpu_s, 4)
        result.cpu_us_per_request = round(cpu_s / max(result.ok, 1) * 1e6, 2)
        result.cpu_us_per_event = round(cpu_s / result.events * 1e6, 2) if result.events else None
        result.rss_before_kib, result.rss_peak_kib = watch.before_kib, watch.peak_kib
    return result


class Watch:
    """Samples the resident size of a process tree."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self.before_kib = self.peak_kib = self._sample()

    async def around(self, work: Coroutine[Any, Any, None]) -> None:
        """Sample until ``work`` is done."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait([task], timeout=_WATCH_INTERVAL_S)
            self.peak_kib = max(self.peak_kib, self._sample())
        await task

    def _sample(self) -> float:
        return proc.rss_bytes(self._pid) / 1024 if self._pid else 0.0


async def _reference(plan: Plan) -> bytes | None:
    if plan.reference_url is None:
        return None
    load = Load(plan, plan.reference_url, _tally(plan, None))
    answer = await load.once()
    load.close()
    if answer is None or answer.status != 200:
        raise RuntimeError(f"reference {plan.reference_url} failed: {dict(load.tally.errors)}")
    return answer.body


def _tally(plan: Plan, reference: bytes | None) -> Tally:
    return Tally(reference, stream=plan.stream, surface=plan.surface)


def _result(load: Load, plan: Plan, wall_s: float, client_s: float) -> Result:
    tally, ok = load.tally, len(load.tally.latency_s)
    return Result(
        ok=ok,
        errors=dict(tally.errors),
        exact=tally.exact,
        same_text=tally.same_text(),
        wrong=tally.wrong(),
        events=tally.events if plan.upstream_events is None else ok * plan.upstream_events,
        wall_s=round(wall_s, 3),
        client_cpu_share=round(client_s / wall_s, 2),
        peak_in_flight=load.peak_in_flight,
        latency_ms=_percentiles(tally.latency_s),
        ttft_ms=_percentiles(tally.ttft_s),
    )


def _percentiles(seconds: list[float]) -> Percentiles | None:
    if not seconds:
        return None
    ranked = sorted(seconds)

    def at(share: float) -> float:
        return round(ranked[min(len(ranked) - 1, int(len(ranked) * share))] * 1000, 3)

    return Percentiles(at(0.5), at(0.95), at(0.99), at(1))


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    print(msgspec.json.encode(uvloop.run(measure(plan))).decode())


if __name__ == "__main__":
    main()

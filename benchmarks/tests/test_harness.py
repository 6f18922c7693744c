"""The harness measures what it says: judged bodies, counted departures, verdicts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from benchmarks import report
from benchmarks.aborts import Aborter, AbortPlan
from benchmarks.http1 import connect
from benchmarks.load import Plan, Result, Tally, measure
from benchmarks.payloads import render_request
from benchmarks.series import Record
from benchmarks.upstream import Stats, UpstreamProtocol

pytestmark = pytest.mark.anyio


class WatchedProtocol(UpstreamProtocol):
    """Sets an event whenever the last connection has gone."""

    def __init__(self, stats: Stats, deserted: asyncio.Event) -> None:
        super().__init__(stats)
        self.stats = stats
        self.deserted = deserted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.deserted.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.stats.connections_open:
            self.deserted.set()


@asynccontextmanager
async def upstream(deserted: asyncio.Event | None = None) -> AsyncIterator[tuple[str, Stats]]:
    stats, event = Stats(), deserted or asyncio.Event()
    server = await asyncio.get_running_loop().create_server(lambda: WatchedProtocol(stats, event), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions", stats


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_unchanged_bodies_are_exact(stream: bool) -> None:
    async with upstream() as (url, stats):
        result = await measure(Plan(url=url, reference_url=url, requests=20, in_flight=4, stream=stream, warmup=2))
    assert (result.ok, result.exact, result.same_text, result.wrong, result.errors) == (20, 20, 0, 0, {})
    assert result.events == (20 * 103 if stream else 0)
    assert stats.requests == 20 + 2 + 1  # the reference too


async def test_open_loop_sends_every_request() -> None:
    async with upstream() as (url, _):
        result = await measure(Plan(url=url, reference_url=url, requests=30, rate_per_s=1000))
    assert (result.ok, result.exact) == (30, 30)


async def test_usage_comes_only_to_who_asks() -> None:
    async with upstream() as (url, _):
        connection = await connect(url)
        plain = await connection.exchange(render_request(url, model="mock", stream=True), timeout_s=5)
        asking = render_request(url, model="mock", stream=True).replace(
            b'"temperature":0.5', b'"stream_options":{"include_usage":true}'
        )
        head, _, body = asking.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
        asking = b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])
        with_usage = await connection.exchange(asking, timeout_s=5)
        connection.transport.abort()
    assert b'"usage"' not in plain.body
    assert with_usage.body.count(b'"usage"') == 1
    assert with_usage.body.count(b"data:") == plain.body.count(b"data:") + 1


@pytest.mark.parametrize(
    ("body", "same", "wrong"),
    [
        (b'data: {"choices": [{"delta": {"content": "hi"}}]}\r\n\r\ndata: [DONE]\n\n', 1, 0),
        (b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n', 0, 1),
        (b'data: {"choices":[{"delta":{"content":"ho"}}]}\n\ndata: [DONE]\n\n', 0, 1),
        (b"data: {broken\n\ndata: [DONE]\n\n", 0, 1),
    ],
    ids=["other bytes", "no DONE", "other text", "broken JSON"],
)
async def test_changed_streams_are_told_apart(body: bytes, same: int, wrong: int) -> None:
    async with upstream() as (url, _):
        connection = await connect(url)
        answer = await connection.exchange(render_request(url, model="mock", stream=True), timeout_s=5)
        connection.transport.abort()
    tally = Tally(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n', stream=True)
    answer.body = body
    tally.add(answer, answer.first_byte_s)
    assert (tally.exact, tally.same_text(), tally.wrong()) == (0, same, wrong)


async def test_an_upstream_that_is_left_counts_it_and_holds_nothing() -> None:
    deserted = asyncio.Event()
    async with upstream(deserted) as (url, stats):
        outcome = await Aborter(AbortPlan(url=url, cycles=40, in_flight=8)).run()
        assert outcome.left == {"connected": 10, "stream_sent": 10, "stream_begun": 10, "json_sent": 10}
        assert outcome.errors == {}
        await asyncio.wait_for(deserted.wait(), 5)
    assert (stats.streams_open, stats.waiting, stats.completed) == (0, 0, 0)
    assert stats.aborted == stats.requests >= 10


def _record(target: str, cpu_us: float, number: int = 0) -> Record:
    result = Result(
        ok=10, errors={}, exact=10, same_text=0, wrong=0, events=0, wall_s=1, client_cpu_share=0.1, peak_in_flight=64,
        latency_ms=None, ttft_ms=None, cpu_us_per_request=cpu_us,
    )  # fmt: skip
    return Record(series="json", target=target, size=64, round=number, result=result)


def _verdict(*records: Record) -> str:
    lines = report.render(records, "here").splitlines()
    return next(line for line in lines if "64 in flight: CPU per request / nginx" in line)


def test_goals_compare_medians_over_the_rounds() -> None:
    ours = [_record("chatproxy", cpu_us, number) for number, cpu_us in enumerate((100.0, 140.0, 900.0))]
    assert _verdict(*ours, _record("nginx", 20)).endswith("| ≤ 7.5 | 7 | yes |")
    assert _verdict(*ours, _record("nginx", 10)).endswith("| ≤ 7.5 | 14 | **no** |")


def test_missing_yardsticks_are_not_met() -> None:
    assert _verdict(_record("chatproxy", 100)).endswith("| not measured | |")

"""The benchmark of the otel plugin measures what it says: the collectors, the differences, the spans accounted for.

Rule: without the plugin and the SDK, which this environment does not have.
"""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, get_args

import pytest
from benchmarks.http1 import connect
from benchmarks.load import Percentiles
from benchmarks.otel import gateways, report
from benchmarks.otel.cases import COLLECTORS, COSTS, PATHS
from benchmarks.otel.results import Burst, Calls, Cost, Counted, Path, Rated
from benchmarks.otel.sink import SinkProtocol, Taken, count_items

from chatproxy.config import ProxyConfig

pytestmark = pytest.mark.anyio

SINKS = (1, 2, 3, 4)


def field(number: int, content: bytes) -> bytes:
    """A protobuf field with a length, of up to 127 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def exported(*spans: bytes) -> bytes:
    """A request as exporters write it: a resource and a scope before the items, numbers and fixed fields between."""
    scope = field(1, field(1, b"chatproxy")) + b"".join(field(2, span) for span in spans)
    return field(1, field(1, b"") + field(2, scope) + field(3, b"https://schema"))


@asynccontextmanager
async def sink(manner: str) -> AsyncIterator[tuple[str, Taken]]:
    taken = Taken()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(SinkProtocol, taken, manner), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken


def _post(body: bytes, signal: str = "traces") -> bytes:
    return b"POST /v1/%b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (signal.encode(), len(body), body)


def test_items_of_an_export_request_are_counted() -> None:
    span = field(1, b"trace") + b"\x39" + bytes(8) + b"\x30\x96\x01" + b"\x85\x01" + bytes(4)
    assert count_items(exported(span, span, b"") + exported(span)) == 4
    assert count_items(b"") == 0
    for broken in (exported(span)[:-1], b"\x0b", b"\x08\xff"):
        with pytest.raises(ValueError, match="no protobuf message"):
            count_items(broken)


@pytest.mark.parametrize(("manner", "status", "taken"), [("healthy", 200, 2), ("errors", 500, 0)])
async def test_a_collector_takes_items_or_fails(manner: str, status: int, taken: int) -> None:
    async with sink(manner) as (url, counts):
        connection = await connect(url)
        answer = await connection.exchange(_post(exported(b"", b"")), timeout_s=5)
        await connection.exchange(_post(exported(b""), "logs"), timeout_s=5)
        connection.transport.abort()
    assert (answer.status, counts.traces, counts.requests) == (status, taken, 2)


async def test_a_slow_collector_has_not_answered_when_its_client_asks_how_it_is() -> None:
    async with sink("slow") as (url, counts):
        slow, other = await connect(url), await connect(url)
        waiting = slow.send(_post(exported(b"")))
        while not counts.requests:
            await other.exchange(b"GET /stats HTTP/1.1\r\nhost: x\r\n\r\n", timeout_s=5)
        assert not waiting.done()
        slow.transport.abort()
        other.transport.abort()
        await asyncio.wait([waiting])
        assert waiting.exception() is not None


@pytest.mark.parametrize("name", get_args(gateways.Name))
def test_every_gateway_has_a_configuration_that_the_gateway_reads(name: gateways.Name) -> None:
    written = tomllib.loads(gateways.config(name, 9, SINKS, queue_size=5))
    settings = written["plugins"].get("otel", {})
    config = ProxyConfig(environ={}, **written)
    assert config.plugins.disabled_all is (name in {"without", "empty hooks"})
    assert bool(settings) is not config.plugins.disabled_all
    wanted = {"errors": 2, "slow": 3, "refused": 4}.get(name, 1)
    assert settings.get("endpoint", f"http://127.0.0.1:{wanted}") == f"http://127.0.0.1:{wanted}"


def _row(results: report.Results, words: str) -> str:
    return next(line for line in report.render(results, "here").splitlines() if words in line)


def _paths(gateway: str, *path_us: float) -> list[Path]:
    return [
        Path(case="JSON", gateway=gateway, round=number, path_us=one, after_us=1, background_us=2)
        for number, one in enumerate(path_us)
    ]


def test_differences_are_taken_round_by_round() -> None:
    paths = [*_paths("without", 100, 900, 110), *_paths("unsampled", 109, 907, 150), *_paths("sampled", 170, 980, 190)]
    results = report.Results(paths=paths)
    assert _row(results, "Request path, JSON, unsampled").endswith("| ≤ 10 µs | 9 µs | yes |")
    assert _row(results, "Request path, JSON, sampled").endswith("| ≤ 60 µs | 80 µs | **no** |")


def test_what_a_failed_run_measured_does_not_count() -> None:
    costs = [Cost(case="JSON", gateway="without", round=0, cpu_us=200.0)]
    costs.append(Cost(case="JSON", gateway="sampled", round=0, failure="63 of 64 requests succeeded"))
    results = report.Results(costs=costs)
    assert "| JSON, sampled: CPU added" not in report.render(results, "here")
    assert _row(results, "Runs that failed").endswith("| 0 | 1 | **no** |")
    assert "63 of 64" in report.render(results, "here")


def test_a_function_more_for_an_event_is_a_goal_missed() -> None:
    calls = [
        Calls(gateway=name, per_event=count) for name, count in (("without", 77), ("unsampled", 77), ("sampled", 78))
    ]
    results = report.Results(calls=calls)
    assert _row(results, "Stream event, unsampled: functions called more").endswith("| 0 | 0 | yes |")
    assert _row(results, "Stream event, sampled: functions called more").endswith("| 0 | 1 | **no** |")


def test_latency_is_compared_with_that_before_a_healthy_collector() -> None:
    p99 = {"without": 3.0, "sampled": 3.5, "refused": 3.25, "errors": 5.0, "slow": 4.5}
    rated = [
        Rated(gateway=name, round=0, latency_ms=Percentiles(p50=1, p95=2, p99=value, max=9))
        for name, value in p99.items()
    ]
    results = report.Results(rated=rated)
    assert _row(results, "collector that is down: more").endswith("| ≤ 1 ms | -0.250 ms | yes |")
    assert _row(results, "collector that answers 500: more").endswith("| ≤ 1 ms | 1.50 ms | **no** |")
    assert _row(results, "collector that takes 30 s: more").endswith("| ≤ 1 ms | 1 ms | yes |")
    assert _row(results, "healthy collector: more than without").endswith("| ≤ 1 ms | 0.500 ms | yes |")


@pytest.mark.parametrize(
    ("waiting", "exported_spans", "dropped", "arrived", "missing"),
    [(1, 5, 4, 5, 0), (0, 5, 4, None, 1), (0, 6, 4, 4, 2), (0, 6, 5, 6, 1)],
    ids=["all", "one lost", "two not arrived", "one twice"],
)
def test_every_span_is_accounted_for(
    waiting: int, exported_spans: int, dropped: int, arrived: int | None, missing: int
) -> None:
    one = Counted(
        gateway="sampled", produced=10, waiting=waiting, exported=exported_spans, dropped=dropped, arrived=arrived
    )
    results = report.Results(counted=[one])
    assert one.missing == missing
    assert f"| 0 | {missing} |" in _row(results, "Spans that are neither")


def test_the_worst_collector_decides_over_a_burst() -> None:
    usual: dict[str, Any] = {"produced": 10, "exported": 4, "dropped": 6, "rate_per_s": 10_000.0}
    bursts = [
        Burst(collector="healthy", growth_mib=8.0, close_s=0.5, **usual),
        Burst(collector="slow", growth_mib=40.0, close_s=5.0, **usual),
    ]
    results = report.Results(bursts=bursts)
    assert _row(results, "Burst: memory").endswith("| ≤ 32 MiB | 40 MiB | **no** |")
    assert _row(results, "Burst: flush").endswith("| 5 s | yes |")
    assert _row(results, "Spans that are neither").endswith("| 0 | 0 | yes |")


def test_cases_have_names_of_their_own_and_are_compared_with_a_gateway_without_the_plugin() -> None:
    assert len({case.name for case in PATHS}) == len(PATHS)
    assert len({case.name for case in COSTS}) == len(COSTS)
    assert COLLECTORS[:2] == ("without", "sampled")

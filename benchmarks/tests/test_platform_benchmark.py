"""The benchmark of the platform measures what it says: its gateways, its sessions, the differences, what was lost.

Rule: without the plugin and the databases' servers, which this environment does not have.
"""

import tomllib
from typing import Any, get_args

import pytest
from benchmarks.load import Percentiles
from benchmarks.platform import gateways, report
from benchmarks.platform.cases import COSTS, ENGINES, KEPT, LISTINGS, MEASURED
from benchmarks.platform.results import Audited, Calls, Cost, Kept, Listed

from chatproxy.config import ProxyConfig

_ONE_MS = Percentiles(p50=1, p95=2, p99=3, max=4)


@pytest.mark.parametrize("name", get_args(gateways.Name))
def test_every_gateway_has_a_configuration_that_the_gateway_reads(name: gateways.Name) -> None:
    written = tomllib.loads(gateways.config(name, 9, "sqlite+aiosqlite:///spool.db", "redis://127.0.0.1:9/0"))
    settings = written["plugins"].get("platform", {})
    config = ProxyConfig(environ={}, **written)
    assert config.plugins.disabled_all is (name in {"without", "empty hooks"})
    assert bool(settings) is not config.plugins.disabled_all
    assert ("redis_url" in settings) is (name == "redis")
    assert set(settings.get("limits", {})) == (
        {"key", "organization"} if name in {"memory", "written", "redis"} else set()
    )
    assert settings.get("sessions", {"enabled": False})["enabled"] is (name == "sessions")
    assert bool(written["plugins"].get("load")) is (name in {"empty hooks", "keys", "memory", "redis"})


def _row(results: report.Results, words: str) -> str:
    return next(line for line in report.render(results, "here").splitlines() if words in line)


def _costs(gateway: str, *cpu_us: float) -> list[Cost]:
    return [Cost(case="JSON", gateway=gateway, round=number, cpu_us=one) for number, one in enumerate(cpu_us)]


def test_differences_are_taken_round_by_round() -> None:
    costs = [*_costs("without", 100, 900, 110), *_costs("memory", 139, 930, 190), *_costs("redis", 251, 1_060, 250)]
    results = report.Results(costs=[*costs, *_costs("written", 159, 950, 200)])
    assert _row(results, "Keys and limits in memory").endswith("| ≤ 40 µs | 39 µs | yes |")
    assert _row(results, "Keys and limits in Redis").endswith("| ≤ 150 µs | 151 µs | **no** |")
    assert _row(results, "JSON, of that for writing usage").endswith("| 20 µs |")


def test_what_a_failed_run_measured_does_not_count() -> None:
    costs = [*_costs("without", 200), Cost(case="JSON", gateway="memory", round=0, failure="63 of 64 succeeded")]
    results = report.Results(costs=costs)
    assert "not measured" in _row(results, "Keys and limits in memory")
    assert _row(results, "Runs that failed").endswith("| 0 | 1 | **no** |")
    assert "63 of 64" in report.render(results, "here")


def test_a_function_more_for_an_event_is_a_goal_missed() -> None:
    calls = [Calls(gateway=name, per_event=count) for name, count in (("without", 77), ("memory", 77), ("redis", 78))]
    results = report.Results(calls=calls)
    assert _row(results, "Stream event, limits in memory").endswith("| 0 | 0 | yes |")
    assert _row(results, "Stream event, limits in Redis").endswith("| 0 | 1 | **no** |")


@pytest.mark.parametrize(
    ("turns", "lost"), [((10, 10), 0), ((9, 10), 1), ((9, 11), 2)], ids=["all", "one lost", "one lost, one twice"]
)
def test_every_exchange_is_stored_once(turns: tuple[int, int], lost: int) -> None:
    kept = [
        Kept(case="buffered", engine=engine, round=0, rate_per_s=250, latency_ms=_ONE_MS, sent=10, turns=stored)
        for engine, stored in zip(ENGINES, turns, strict=True)
    ]
    plain = Kept(case="buffered", engine="", round=0, rate_per_s=2_000, sent=10)
    results = report.Results(kept=[plain, *kept])
    assert _row(results, "Exchanges that are not stored").split("|")[3].strip() == str(lost)
    assert _row(results, "Sessions on SQLite, buffered: exchanges a second").endswith("| ≥ 200 | 250 | yes |")


def test_exchanges_a_second_are_those_of_the_slowest_round() -> None:
    rates = enumerate((250.0, 190.0, 260.0))
    kept = [Kept(case="streamed", engine="SQLite", round=number, rate_per_s=rate) for number, rate in rates]
    results = report.Results(kept=kept)
    assert _row(results, "Sessions on SQLite, streamed: exchanges a second").endswith("| ≥ 200 | 190 | **no** |")


def test_a_page_that_takes_too_long_is_a_goal_missed() -> None:
    slow = Percentiles(p50=21, p95=30, p99=31, max=40)
    listed = [
        Listed(listing="administrator, all", engine="SQLite", stored=10, total=10, latency_ms=_ONE_MS),
        Listed(listing="administrator, all", engine="PostgreSQL", stored=10, total=10, latency_ms=slow),
    ]
    results = report.Results(listed=listed)
    assert _row(results, "Page 1 on SQLite, administrator, all").endswith("| ≤ 20 ms | 1 ms | yes |")
    assert _row(results, "Page 1 on PostgreSQL, administrator, all").endswith("| ≤ 20 ms | 21 ms | **no** |")


@pytest.mark.parametrize(("missing", "fault", "bad"), [(0, "", 0), (2, "", 2), (0, "row 7 was edited", 1)])
def test_an_audit_log_that_is_not_whole_is_a_goal_missed(missing: int, fault: str, bad: int) -> None:
    usual: dict[str, Any] = {"rows_per_s": 500.0, "syncs_per_s": 250.0}
    found = [
        Audited(engine="SQLite", writers=1, **usual),
        Audited(engine="SQLite", writers=64, missing=missing, fault=fault, **usual),
    ]
    results = report.Results(audited=found)
    assert _row(results, "Acknowledged audit rows").split("|")[3].strip() == str(bad)
    assert _row(results, "times the syncs").endswith("| 2 |")


def test_cases_have_names_of_their_own_and_are_compared_with_a_gateway_without_the_plugin() -> None:
    for cases in (COSTS, KEPT, LISTINGS):
        assert len({case.name for case in cases}) == len(cases)
    assert MEASURED[0] == "without"

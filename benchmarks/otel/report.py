"""The tables: goals and figures of a run.

Rule: reads results, writes Markdown. A difference is the median of the rounds' own differences, so that a slow round,
which is slow for both, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from benchmarks.otel.cases import COLLECTORS, COSTS, FLUSH_S, PATHS, STARTED
from benchmarks.otel.results import Burst, Calls, Cost, Counted, Path, Rated, Start
from benchmarks.records import Goal, median, shown

_UNSAMPLED_US = 10
_SAMPLED_US = 60
_P99_MS = 1
_BURST_MIB = 32
_MARGIN_S = 0.5  # for what the end of a process does besides
_BASE = "without"

Row = tuple[str, float | None, str]
Rounds = dict[int, float]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What a run brought."""

    paths: Sequence[Path] = ()
    calls: Sequence[Calls] = ()
    costs: Sequence[Cost] = ()
    rated: Sequence[Rated] = ()
    counted: Sequence[Counted] = ()
    bursts: Sequence[Burst] = ()
    starts: Sequence[Start] = ()

    def path(self, case: str, gateway: str, get: Callable[[Path], float]) -> Rounds:
        """One figure of an exchange in memory, by round."""
        return {one.round: get(one) for one in self.paths if (one.case, one.gateway) == (case, gateway)}

    def cost(self, case: str, gateway: str) -> Rounds:
        """CPU of an exchange over sockets, by round."""
        found = (one for one in self.costs if (one.case, one.gateway) == (case, gateway) and not one.failure)
        return {one.round: one.cpu_us for one in found}

    def p99(self, gateway: str) -> Rounds:
        """In ms, by round."""
        found = (one for one in self.rated if one.gateway == gateway)
        return {one.round: one.latency_ms.p99 for one in found if one.latency_ms is not None}

    def start(self, gateway: str, get: Callable[[Start], float]) -> Rounds:
        """One figure of a start, by round."""
        return {one.round: get(one) for one in self.starts if one.gateway == gateway}

    @property
    def failures(self) -> list[str]:
        """Runs that did not happen."""
        costs = [f"{one.case}, {one.gateway}: {one.failure}" for one in self.costs if one.failure]
        return costs + [f"fixed rate, {one.gateway}: {one.failure}" for one in self.rated if one.failure]


def added(values: Rounds, bases: Rounds) -> float | None:
    """How much more, round by round."""
    return median(value - bases[number] for number, value in values.items() if number in bases)


def times(values: Rounds, bases: Rounds) -> float | None:
    """How many times as much, round by round."""
    return median(value / bases[number] for number, value in values.items() if bases.get(number))


def goals(results: Results) -> Iterator[Goal]:
    """What was promised."""
    for case in PATHS:
        base = results.path(case.name, _BASE, _path_us)
        if case.events > 100:
            continue
        for gateway, limit in (("unsampled", _UNSAMPLED_US), ("sampled", _SAMPLED_US)):
            more = added(results.path(case.name, gateway, _path_us), base)
            yield Goal(f"Request path, {case.name}, {gateway}: CPU added", limit, more, " µs")
    plain = _calls(results, _BASE)
    for gateway in ("unsampled", "sampled"):
        calls, more_calls = _calls(results, gateway), None
        if calls is not None and plain is not None:
            more_calls = max(0.0, calls - plain)
        yield Goal(f"Stream event, {gateway}: functions called more than without the plugin", 0, more_calls)
    for gateway in COLLECTORS[2:]:
        more = added(results.p99(gateway), results.p99("sampled"))
        yield Goal(f"p99 at a fixed rate, {_COLLECTORS[gateway]}: more than with a healthy one", _P99_MS, more, " ms")
    more = added(results.p99("sampled"), results.p99(_BASE))
    yield Goal("p99 at a fixed rate, healthy collector: more than without the plugin", _P99_MS, more, " ms")
    missing = [one.missing for one in results.counted] + [one.missing for one in results.bursts]
    unaccounted = sum(missing) if missing else None
    yield Goal("Spans that are neither waiting nor exported nor counted as dropped", 0, unaccounted)
    yield Goal("Burst: memory at its highest, of all collectors", _BURST_MIB, _highest(results, _growth_mib), " MiB")
    longest = _highest(results, _close_s)
    yield Goal("Burst: flush at the end, of all collectors", FLUSH_S + _MARGIN_S, longest, " s")
    yield Goal("Runs that failed", 0, len(results.failures) if results.costs or results.rated else None)


_COLLECTORS = {
    "sampled": "healthy collector",
    "refused": "collector that is down",
    "errors": "collector that answers 500",
    "slow": "collector that takes 30 s",
}
_GATEWAYS = {
    "empty hooks": "empty hooks",
    "unsampled": "unsampled",
    "sampled": "sampled",
    "content": "with content",
}


def figures(results: Results) -> Iterator[Row]:
    """What is published without a goal: subject, number, unit."""
    yield from _path_figures(results)
    for case in COSTS:
        base = results.cost(case.name, _BASE)
        yield f"{case.name}, 64 in flight, without the plugin: CPU of the process", median(base.values()), " µs"
        for gateway, words in _GATEWAYS.items():
            costs = results.cost(case.name, gateway)
            yield f"{case.name}, {words}: CPU added, background and export included", added(costs, base), " µs"
            yield "The same, times", times(costs, base), ""
    yield from _rate_figures(results)
    for one in results.bursts:
        yield f"Burst, {one.collector} collector: exchanges a second", one.rate_per_s, ""
        yield f"Burst, {one.collector} collector: spans exported", one.exported, f" of {one.produced:,}"
        yield f"Burst, {one.collector} collector: memory at its highest", one.growth_mib, " MiB"
        yield f"Burst, {one.collector} collector: flush at the end", one.close_s, " s"
    for words, get, unit in (("Start: CPU", _cpu_s, " s"), ("Idle memory", _rss_mib, " MiB")):
        base = results.start(_BASE, get)
        yield f"{words} without the plugin", median(base.values()), unit
        for gateway in STARTED[1:]:
            yield f"{words} added, {gateway}", added(results.start(gateway, get), base), unit


def _path_figures(results: Results) -> Iterator[Row]:
    for case in PATHS:
        base = results.path(case.name, _BASE, _path_us)
        yield f"Request path in memory, {case.name}, without the plugin: CPU", median(base.values()), " µs"
        for gateway, words in _GATEWAYS.items():
            path = results.path(case.name, gateway, _path_us)
            yield f"Request path, {case.name}, {words}: CPU added", added(path, base), " µs"
        for words, get in (("after the last byte", _after_us), ("in the background", _background_us)):
            more = added(results.path(case.name, "sampled", get), results.path(case.name, _BASE, get))
            yield f"{case.name}, sampled, {words}: CPU added", more, " µs"
    for one in results.calls:
        yield f"Stream event, {one.gateway}: functions called", one.per_event, ""


def _rate_figures(results: Results) -> Iterator[Row]:
    for gateway in COLLECTORS:
        found = [one.latency_ms for one in results.rated if one.gateway == gateway and one.latency_ms is not None]
        words = "without the plugin" if gateway == _BASE else _COLLECTORS[gateway]
        yield f"Fixed rate, {words}: p50", median(one.p50 for one in found), " ms"
        yield f"Fixed rate, {words}: p99", median(one.p99 for one in found), " ms"
    for one in results.counted:
        words = f"exported, {one.dropped:,} dropped, {one.waiting:,} waiting of {one.produced:,}"
        yield f"Fixed rate, {_COLLECTORS[one.gateway]}: spans", one.exported, f" {words}"


def render(results: Results, machine: str) -> str:
    """Write the tables in Markdown."""
    lines = [machine, "", "| Goal | Wanted | Measured | Met |", "| --- | --- | --- | --- |"]
    lines += [goal.row() for goal in goals(results)]
    lines += ["", "| Figure without a goal | Measured |", "| --- | --- |"]
    lines += [f"| {what} | {shown(value)}{unit} |" for what, value, unit in figures(results) if value is not None]
    lines += ["", *(f"- {failure}" for failure in results.failures)]
    return "\n".join(lines).rstrip() + "\n"


def _calls(results: Results, gateway: str) -> float | None:
    return median(one.per_event for one in results.calls if one.gateway == gateway)


def _highest(results: Results, get: Callable[[Burst], float]) -> float | None:
    return max((get(one) for one in results.bursts), default=None)


def _path_us(one: Path) -> float:
    return one.path_us


def _after_us(one: Path) -> float:
    return one.after_us


def _background_us(one: Path) -> float:
    return one.background_us


def _growth_mib(one: Burst) -> float:
    return one.growth_mib


def _close_s(one: Burst) -> float:
    return one.close_s


def _cpu_s(one: Start) -> float:
    return one.cpu_s


def _rss_mib(one: Start) -> float:
    return one.rss_mib

"""The tables: goals and figures of a run.

Rule: reads results, writes Markdown. A difference is the median of the rounds' own differences, so that a slow round,
which is slow for both, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from benchmarks.platform.cases import COSTS, ENGINES, KEPT, LISTINGS
from benchmarks.platform.results import Audited, Calls, Cost, Kept, Listed
from benchmarks.records import Goal, median, shown

_MEMORY_US = 40
_REDIS_US = 150
_KEPT_PER_S = 200
_PAGE_MS = 20
_BASE = "without"
_ENGINE = "SQLite"

Row = tuple[str, float | None, str]
Rounds = dict[int, float]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What a run brought."""

    costs: Sequence[Cost] = ()
    calls: Sequence[Calls] = ()
    kept: Sequence[Kept] = ()
    listed: Sequence[Listed] = ()
    audited: Sequence[Audited] = ()

    def cost(self, case: str, gateway: str) -> Rounds:
        """CPU of an exchange, by round."""
        found = (one for one in self.costs if (one.case, one.gateway) == (case, gateway) and not one.failure)
        return {one.round: one.cpu_us for one in found}

    def keeping(self, case: str, engine: str, get: Callable[[Kept], float]) -> Rounds:
        """One figure of exchanges that are kept, by round."""
        found = (one for one in self.kept if (one.case, one.engine) == (case, engine) and not one.failure)
        return {one.round: get(one) for one in found}

    def page(self, listing: str, engine: str) -> Listed | None:
        """The figures of one page."""
        found = (one for one in self.listed if (one.listing, one.engine) == (listing, engine) and not one.failure)
        return next(found, None)

    @property
    def failures(self) -> list[str]:
        """Runs that did not happen."""
        costs = [f"{one.case}, {one.gateway}: {one.failure}" for one in self.costs if one.failure]
        kept = [f"{one.case}, {one.engine or _BASE}: {one.failure}" for one in self.kept if one.failure]
        listed = [f"{one.listing}, {one.engine}: {one.failure}" for one in self.listed if one.failure]
        audited = [f"audit rows, {one.engine}: {one.failure}" for one in self.audited if one.failure]
        return costs + kept + listed + audited


def added(values: Rounds, bases: Rounds) -> float | None:
    """How much more, round by round."""
    return median(value - bases[number] for number, value in values.items() if number in bases)


def times(values: Rounds, bases: Rounds) -> float | None:
    """How many times as much, round by round."""
    return median(value / bases[number] for number, value in values.items() if bases.get(number))


def goals(results: Results) -> Iterator[Goal]:
    """What was promised."""
    base = results.cost("JSON", _BASE)
    in_memory, in_redis = (added(results.cost("JSON", name), base) for name in ("memory", "redis"))
    yield Goal("Keys and limits in memory, usage not written yet: CPU added to a request", _MEMORY_US, in_memory, " µs")
    yield Goal("Keys and limits in Redis, usage not written yet: CPU added to a request", _REDIS_US, in_redis, " µs")
    plain = _calls(results, _BASE)
    for gateway in ("memory", "redis"):
        calls = _calls(results, gateway)
        more = None if calls is None or plain is None else max(0.0, calls - plain)
        yield Goal(f"Stream event, limits in {_WHERE[gateway]}: functions called more than without", 0, more)
    for case in KEPT:
        if not case.rate_per_s:
            lowest = min(results.keeping(case.name, _ENGINE, _rate).values(), default=None)
            subject = f"Sessions on {_ENGINE}, {case.name}: exchanges a second, lowest round"
            yield Goal(subject, _KEPT_PER_S, lowest, at_least=True)
    lost = [one.lost for one in results.kept if one.engine and not one.failure]
    yield Goal("Exchanges that are not stored, or twice, on both databases", 0, sum(lost) if lost else None)
    for engine in ENGINES:
        for listing in LISTINGS:
            if listing.is_first:
                page = results.page(listing.name, engine)
                p50 = None if page is None or page.latency_ms is None else page.latency_ms.p50
                yield Goal(f"Page 1 on {engine}, {listing.name}: p50", _PAGE_MS, p50, " ms")
    bad = [one.missing + bool(one.fault) for one in results.audited if not one.failure]
    yield Goal("Acknowledged audit rows that are missing, or chains that do not hold", 0, sum(bad) if bad else None)
    is_any = results.costs or results.kept or results.listed or results.audited
    yield Goal("Runs that failed", 0, len(results.failures) if is_any else None)


_WHERE = {"memory": "memory", "redis": "Redis"}
_GATEWAYS = {
    "empty hooks": "empty hooks",
    "keys": "keys without limits",
    "memory": "limits in memory",
    "written": "limits in memory, usage written",
    "redis": "limits in Redis",
}


def figures(results: Results) -> Iterator[Row]:
    """What is published without a goal: subject, number, unit."""
    yield from _cost_figures(results)
    yield from _kept_figures(results)
    for engine in ENGINES:
        for listing in LISTINGS:
            page = results.page(listing.name, engine)
            if page is not None and page.latency_ms is not None:
                words = f"Page on {engine}, {listing.name}, of {page.total:,}"
                yield f"{words}: p50", page.latency_ms.p50, " ms"
                yield f"{words}: p95", page.latency_ms.p95, " ms"
    for one in results.audited:
        if one.failure:
            continue
        words = f"Audit rows on {one.engine}, {one.writers} {'writer' if one.writers == 1 else 'writers'}"
        yield f"{words}: acknowledged a second", one.rows_per_s, ""
        yield f"{words}: CPU each", one.cpu_us, " µs"
        yield "The same, times the syncs of a small file a second", one.rows_per_s / one.syncs_per_s, ""


def _cost_figures(results: Results) -> Iterator[Row]:
    for case in COSTS:
        base = results.cost(case.name, _BASE)
        yield f"{case.name}, 64 in flight, without the plugin: CPU of a request", median(base.values()), " µs"
        for gateway, words in _GATEWAYS.items():
            costs = results.cost(case.name, gateway)
            yield f"{case.name}, {words}: CPU added", added(costs, base), " µs"
            yield "The same, times", times(costs, base), ""
        writing = added(results.cost(case.name, "written"), results.cost(case.name, "memory"))
        yield f"{case.name}, of that for writing usage in the background", writing, " µs"
    for one in results.calls:
        yield f"Stream event, {one.gateway}: functions called", one.per_event, ""


def _kept_figures(results: Results) -> Iterator[Row]:
    for case in KEPT:
        for engine in ("", *ENGINES):
            words = f"Sessions, {case.name}, {engine or 'without the plugin'}"
            yield f"{words}: exchanges a second", median(results.keeping(case.name, engine, _rate).values()), ""
            yield f"{words}: p50", median(results.keeping(case.name, engine, _p50).values()), " ms"
            yield f"{words}: p99", median(results.keeping(case.name, engine, _p99).values()), " ms"
            cpu, base = (results.keeping(case.name, one, _cpu_us) for one in (engine, ""))
            yield f"{words}: CPU {'added' if engine else 'each'}", added(cpu, base if engine else _zero(cpu)), " µs"


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


def _zero(values: Rounds) -> Rounds:
    return dict.fromkeys(values, 0.0)


def _rate(one: Kept) -> float:
    return one.rate_per_s


def _cpu_us(one: Kept) -> float:
    return one.cpu_us


def _p50(one: Kept) -> float:
    return one.latency_ms.p50 if one.latency_ms else 0.0


def _p99(one: Kept) -> float:
    return one.latency_ms.p99 if one.latency_ms else 0.0

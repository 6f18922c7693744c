"""The tables: goals and figures of a run.

Rule: reads results, writes Markdown. A difference is the median of the rounds' own differences, so that a slow round,
which is slow for both, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from benchmarks.mcp.cases import BESIDE, REPEATED, SURFACES
from benchmarks.mcp.measure import Cost, Start
from benchmarks.records import Goal, median, shown

_INJECTION_US = 150
_ROUND_US = 1_000
_TRANSPORTS = ("http", "stdio")


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What a run brought.

    Attributes:
        calls: functions called for each event of a stream, by gateway.
    """

    costs: Sequence[Cost] = ()
    starts: Sequence[Start] = ()
    calls: Mapping[str, float] = {}

    def cost(self, series: str, name: str) -> float | None:
        """The median over the rounds, in µs."""
        return median(self._rounds(series, name).values())

    def added(self, series: str, name: str, base: str, beside: tuple[str, str] | None = None) -> float | None:
        """What a case costs more than another, in µs.

        Args:
            beside: two more cases, of which the first costs more; that is taken off as well.
        """
        costs, bases = self._rounds(series, name), self._rounds(series, base)
        more, less = ({}, {}) if beside is None else (self._rounds(series, one) for one in beside)
        numbers = [number for number in costs if number in bases and (beside is None or number in more.keys() & less)]
        return median(costs[n] - bases[n] - (more.get(n, 0.0) - less.get(n, 0.0)) for n in numbers)

    def ratio(self, series: str, name: str, base: str) -> float | None:
        """How many times as much as another a case costs."""
        bases = self._rounds(series, base)
        return median(cost / bases[number] for number, cost in self._rounds(series, name).items() if number in bases)

    def start(self, name: str, get: Callable[[Start], float]) -> float | None:
        """The median over the starts of a gateway."""
        return median(get(start) for start in self.starts if start.name == name)

    def _rounds(self, series: str, name: str) -> dict[int, float]:
        costs = (cost for cost in self.costs if (cost.series, cost.name) == (series, name) and not cost.failure)
        return {cost.round: cost.cpu_us for cost in costs}


def goals(results: Results) -> list[Goal]:
    """What was promised."""
    found = [
        Goal(
            f"50 tools put into a request, {subject}: CPU",
            _INJECTION_US,
            results.added("injection", f"{subject}, 50 tools", f"{subject}, without"),
            " µs",
        )
        for subject in (*SURFACES, BESIDE)
    ]
    found += [
        Goal(
            f"One tool round over {transport}, beside the second request to the upstream: CPU",
            _ROUND_US,
            _round_us(results, transport),
            " µs",
        )
        for transport in _TRANSPORTS
    ]
    for name in ("no servers", "off"):
        calls = _difference(results.calls.get(name), results.calls.get("without"))
        found.append(Goal(f"Stream event, {_WORDS[name]}: functions called more than without the plugin", 0, calls))
    failed = sum(bool(cost.failure) for cost in results.costs)
    return [*found, Goal("Runs that failed, or whose upstream did not see what it should", 0, failed)]


_WORDS = {
    "no servers": "plugin without servers",
    "off": "plugin with servers, mode off",
    "50 tools": "50 tools offered, none called",
}


def figures(results: Results) -> Iterator[tuple[str, float | None, str]]:
    """What is published without a goal: subject, number, unit."""
    for subject in (*SURFACES, BESIDE, REPEATED):
        name, base = f"{subject}, 50 tools", f"{subject}, without"
        yield f"{subject}: CPU of a request, without", results.cost("injection", base), " µs"
        yield f"{subject}: the same with 50 tools put into it, times", results.ratio("injection", name, base), ""
    repeated = results.added("injection", f"{REPEATED}, 50 tools", f"{REPEATED}, without")
    yield f"50 tools put into a request, {REPEATED}: CPU", repeated, " µs"
    for idle in ("no servers", "off"):
        added = results.added("injection", f"chat, {idle}", "chat, without")
        yield f"chat: CPU added to a request, {_WORDS[idle]}", added, " µs"
    yield "Second request to the upstream: CPU", results.added("rounds", "asked twice", "plain chat"), " µs"
    for transport in _TRANSPORTS:
        name, base = f"{transport}, called", f"{transport}, not called"
        yield f"One tool round over {transport}, all of it: CPU", results.added("rounds", name, base), " µs"
        yield "The same, beside a plain chat request, times", results.ratio("rounds", name, "plain chat"), ""
    streamed = results.added("rounds", "http, called, streamed", "http, not called, streamed")
    yield "One tool round over http, all of it, streamed: CPU", streamed, " µs"
    yield "Stream event without the plugin: CPU", results.cost("streams", "without"), " µs"
    for name, words in _WORDS.items():
        yield f"Stream event, {words}: CPU added", results.added("streams", name, "without"), " µs"
        yield "The same, times", results.ratio("streams", name, "without"), ""
    burst = results.added("streams", "50 tools, burst", "without, burst")
    yield "Event of a burst without the plugin: CPU", results.cost("streams", "without, burst"), " µs"
    yield f"Event of a burst, {_WORDS['50 tools']}: CPU added", burst, " µs"
    for words, get, unit in (("Start: CPU", _cpu_s, " s"), ("Idle memory", _rss_mib, " MiB")):
        without = results.start("without", get)
        yield f"{words} without the plugin", without, unit
        for name in ("no servers", "50 tools"):
            yield f"{words} added, {_WORDS[name]}", _difference(results.start(name, get), without), unit


def render(results: Results, machine: str) -> str:
    """Write the tables in Markdown."""
    lines = [machine, "", "| Goal | Wanted | Measured | Met |", "| --- | --- | --- | --- |"]
    lines += [goal.row() for goal in goals(results)]
    lines += ["", "| Figure without a goal | Measured |", "| --- | --- |"]
    lines += [f"| {what} | {shown(value)}{unit} |" for what, value, unit in figures(results) if value is not None]
    failures = [cost for cost in results.costs if cost.failure]
    lines += ["", *(f"- {cost.series}, {cost.name}, round {cost.round}: {cost.failure}" for cost in failures)]
    return "\n".join(lines).rstrip() + "\n"


def _round_us(results: Results, transport: str) -> float | None:
    base = f"{transport}, not called"
    return results.added("rounds", f"{transport}, called", base, ("asked twice", "plain chat"))


def _difference(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _cpu_s(start: Start) -> float:
    return start.cpu_s


def _rss_mib(start: Start) -> float:
    return start.rss_mib

"""The series ``surfaces`` in the report: goals and a table, each case beside chat in the same rounds.

Rule: reads records, writes Markdown. A comparison is the median of the rounds' own comparisons, so that a slow round,
which is slow for both, changes nothing.
"""

from collections.abc import Callable, Iterable

import msgspec

from benchmarks.cases import CASES, SURFACES, Case, Way
from benchmarks.load import Result
from benchmarks.records import Goal, Records, median, shown

_SERIES, _TARGET = "surfaces", "chatproxy"
_NATIVE_RATIO = 1.10
_TRANSLATED_US = {False: 60, True: 14}
"""By whether it is streamed: µs more than chat, per request or per event of the upstream."""

_UNITS = {False: "request", True: "upstream event"}


class Comparison(msgspec.Struct, frozen=True):
    """A case's CPU in µs per request or per event of the upstream, and beside chat's; None where runs are missing."""

    cost_us: float | None = None
    ratio: float | None = None
    added_us: float | None = None

    def cells(self) -> str:
        """Render as two cells of a Markdown table."""
        if self.cost_us is None:
            return " | "
        beside = "" if self.ratio is None or self.added_us is None else f"× {self.ratio:.2f}, {self.added_us:+.1f}"
        return f"{shown(self.cost_us)} | {beside}"


def compared(records: Records, case: Case) -> Comparison:
    """Compare a case with chat, round by round."""
    costs, chats = _costs(records, case), _costs(records, Case("chat", "native", case.stream))
    pairs = [(cost, chats[number]) for number, cost in costs.items() if number in chats]
    return Comparison(
        cost_us=median(costs.values()),
        ratio=median(cost / chat for cost, chat in pairs),
        added_us=median(cost - chat for cost, chat in pairs),
    )


def goals(records: Records) -> list[Goal]:
    """What may be added by a surface, and by its translation."""
    found = []
    for surface in SURFACES:
        for stream in (False, True):
            subject = f"{surface}, {'64 streams' if stream else 'JSON'}: CPU per {_UNITS[stream]}"
            native = compared(records, Case(surface, "native", stream)).ratio
            added = compared(records, Case(surface, "translated", stream)).added_us
            found.append(Goal(f"{subject}, native / chat", _NATIVE_RATIO, native))
            found.append(Goal(f"{subject}, translated - chat", _TRANSLATED_US[stream], added, " µs"))
    differ = _faults(records, "native", lambda result: result.ok - result.exact)
    wrong = _faults(records, "translated", lambda result: result.wrong)
    return [
        *found,
        Goal("Surfaces, native: errors, bodies that differ from the upstream's", 0, differ),
        Goal("Surfaces, translated: errors, answers with another text or incomplete", 0, wrong),
    ]


def table(records: Records) -> list[str]:
    """Render the lines of the table; none where the series was not run."""
    if not records.all(_SERIES, _TARGET):
        return []
    head = "| Surfaces, CPU µs | a request | beside chat | an upstream event | beside chat |"
    lines = [head, "| --- |" + " --- |" * 4]
    for json, stream in _pairs():
        lines.append(f"| {json.kind} | {compared(records, json).cells()} | {compared(records, stream).cells()} |")
    return lines


def _pairs() -> Iterable[tuple[Case, Case]]:
    """Each kind of case, buffered and streamed."""
    return [(case, msgspec.structs.replace(case, stream=True)) for case in CASES if not case.stream]


def _costs(records: Records, case: Case) -> dict[int, float]:
    """µs by round; a round in which nothing succeeded is left out."""
    costs = {}
    for record in records.all(_SERIES, _TARGET):
        if record.case == case.name and record.result is not None:
            cost = record.result.cpu_us_per_event if case.stream else record.result.cpu_us_per_request
            if cost:
                costs[record.round] = cost
    return costs


def _faults(records: Records, way: Way, count: Callable[[Result], int]) -> float | None:
    names = {case.name for case in CASES if case.way == way and case.surface in SURFACES}
    results = [r.result for r in records.all(_SERIES, _TARGET) if r.case in names and r.result is not None]
    return sum(count(result) + sum(result.errors.values()) for result in results) if results else None

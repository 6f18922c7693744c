"""The tables: medians over the rounds, ratios to the yardsticks, goals met or missed.

Rule: reads records, writes Markdown; starts nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks import report_surfaces
from benchmarks.load import Result
from benchmarks.records import Getter, Goal, Records, ratio, row
from benchmarks.series import DIRECT, HELD_STREAMS, STREAMS, Record

_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"
_OURS = "chatproxy"


def _latency(quantile: Literal["p50", "p99"]) -> Getter:
    """Return a reader of a latency quantile in ms."""
    return lambda result: getattr(result.latency_ms, quantile, None)


def _first_byte(quantile: Literal["p50", "p99"]) -> Getter:
    """Return a reader of a quantile of the time to first byte in ms."""
    return lambda result: getattr(result.ttft_ms, quantile, None)


def _p99_to_p50(result: Result) -> float | None:
    return result.latency_ms.p99 / result.latency_ms.p50 if result.latency_ms else None


def _rss_each(result: Result) -> float | None:
    if result.rss_peak_kib is None or result.rss_before_kib is None:
        return None
    return (result.rss_peak_kib - result.rss_before_kib) / max(result.peak_in_flight, 1)


def _errors(result: Result) -> float:
    return sum(result.errors.values())


def goals(records: Records) -> list[Goal]:
    """Compare the gateway with every goal of speed and size."""
    return [
        *_json_goals(records),
        *_stream_goals(records),
        *report_surfaces.goals(records),
        *_hold_goals(records),
        *_process_goals(records),
    ]


def _json_goals(records: Records) -> list[Goal]:
    def cost(target: str, in_flight: int = 64) -> float | None:
        return records.median("json", target, in_flight, lambda result: result.cpu_us_per_request)

    subject = "JSON, 64 in flight: CPU per request"
    spread = records.median("json", _OURS, 64, _p99_to_p50)
    return [
        Goal(f"{subject} / nginx", 7.5, ratio(cost(_OURS), cost("nginx"))),
        Goal(f"{subject}, LiteLLM / ours", 60, ratio(cost("litellm"), cost(_OURS)), at_least=True),
        Goal(f"{subject}, Portkey / ours", 6, ratio(cost("portkey"), cost(_OURS)), at_least=True),
        Goal("JSON: CPU per request at 256 / at 16 in flight", 1.10, ratio(cost(_OURS, 256), cost(_OURS, 16))),
        Goal("JSON, 64 in flight: p99 / p50", 2, spread),
        Goal("JSON: bodies that differ from the upstream's", 0, _inexact(records, "json")),
    ]


def _stream_goals(records: Records) -> list[Goal]:
    def cost(target: str) -> float | None:
        return records.median("stream", target, STREAMS, lambda result: result.cpu_us_per_event)

    def first_byte(target: str) -> float | None:
        return records.median("stream", target, STREAMS, _first_byte("p99"))

    subject = f"{STREAMS} streams, 10 ms between events"
    ours, direct = first_byte(_OURS), first_byte(DIRECT)
    added = None if ours is None or direct is None else ours - direct
    return [
        Goal(f"{subject}: CPU per event / nginx", 2.7, ratio(cost(_OURS), cost("nginx"))),
        Goal(f"{subject}: CPU per event, LiteLLM / ours", 22, ratio(cost("litellm"), cost(_OURS)), at_least=True),
        Goal(f"{subject}: added time to first byte, p99", 1.5, added, " ms"),
        Goal(f"{subject}: bodies that differ from the upstream's", 0, _inexact(records, "stream")),
    ]


def _hold_goals(records: Records) -> list[Goal]:
    few, many = HELD_STREAMS

    def cost(streams: int) -> float | None:
        return records.median("hold", _OURS, streams, lambda result: result.cpu_us_per_request)

    subject = f"{many} open slow streams"
    return [
        Goal(
            f"{subject}: errors",
            0,
            records.worst("hold", _OURS, many, _errors),
        ),
        Goal(f"{subject}: memory each", 30, records.median("hold", _OURS, many, _rss_each), " KiB"),
        Goal(f"{subject}: CPU per stream / at {few}", 1.10, ratio(cost(many), cost(few))),
    ]


def _process_goals(records: Records) -> list[Goal]:
    idle_kib = records.value("start", _OURS, "idle_rss_kib")
    lefts = [value for r in records.all("aborts", _OURS) for key, value in r.values.items() if key.startswith("left_")]
    return [
        Goal("Idle memory", 60, idle_kib and idle_kib / 1024, " MiB"),
        Goal("Aborts: connections, tasks, descriptors left", 0, sum(lefts) if lefts else None),
        Goal("Start to first answer: CPU", 0.6, records.value("start", _OURS, "start_cpu_s"), " s"),
        Goal(
            "Distributions the core installs, itself included",
            32,
            records.value("install", _OURS, "distributions"),
        ),
    ]


_COLUMNS: tuple[tuple[str, str, int | None, Getter], ...] = (
    ("JSON, 16 in flight: CPU µs per request", "json", 16, lambda result: result.cpu_us_per_request),
    ("JSON, 64 in flight: CPU µs per request", "json", 64, lambda result: result.cpu_us_per_request),
    ("JSON, 256 in flight: CPU µs per request", "json", 256, lambda result: result.cpu_us_per_request),
    ("JSON, 64 in flight: p50 ms", "json", 64, _latency("p50")),
    ("JSON, 64 in flight: p99 ms", "json", 64, _latency("p99")),
    ("JSON, 256 in flight: p99 ms", "json", 256, _latency("p99")),
    ("Fixed rate: p50 ms", "open", None, _latency("p50")),
    ("Fixed rate: p99 ms", "open", None, _latency("p99")),
    ("64 streams: CPU µs per event", "stream", STREAMS, lambda result: result.cpu_us_per_event),
    ("64 streams: first byte p50 ms", "stream", STREAMS, _first_byte("p50")),
    ("64 streams: first byte p99 ms", "stream", STREAMS, _first_byte("p99")),
    ("64 streams: exact bodies, %", "stream", STREAMS, lambda result: 100 * result.exact / max(result.ok, 1)),
    ("500 held streams: CPU µs each", "hold", 500, lambda result: result.cpu_us_per_request),
    ("2,000 held streams: CPU µs each", "hold", 2000, lambda result: result.cpu_us_per_request),
    ("500 held streams: memory KiB each", "hold", 500, _rss_each),
    ("2,000 held streams: memory KiB each", "hold", 2000, _rss_each),
    ("2,000 held streams: errors", "hold", 2000, _errors),
)


def render(records: Sequence[Record], machine: str) -> str:
    """Render the tables and what failed."""
    table = Records(records)
    lines = [machine, "", "| Goal | Wanted | Measured | Met |", "| --- | --- | --- | --- |"]
    lines += [goal.row() for goal in goals(table)]
    names = list(dict.fromkeys(r.target for r in records))
    lines += ["", "| Median | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for title, series, size, get in _COLUMNS:
        lines.append(row(title, [table.median(series, name, size, get) for name in names]))
    for title, key, factor in (("Start: CPU s", "start_cpu_s", 1.0), ("Idle memory MiB", "idle_rss_kib", 1 / 1024)):
        cells = [table.value("start", name, key) for name in names]
        lines.append(row(title, [cell and cell * factor for cell in cells]))
    lines += ["", *report_surfaces.table(table)]
    lines += ["", *(f"- {_what(r)}: failed: {_one_line(r.failure)}" for r in table.failures())]
    return "\n".join(lines).rstrip() + "\n"


def write_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers of a Markdown file.

    Raises:
        ValueError: the file has no markers.
    """
    old = path.read_text()
    head, begin, rest = old.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{path} has no {_BEGIN} … {_END}")
    path.write_text(f"{head}{begin}\n{text}{end}{tail}")


def _inexact(records: Records, series: str) -> float | None:
    results = [r.result for r in records.all(series, _OURS) if r.result]
    return sum(result.ok - result.exact for result in results) if results else None


def _what(record: Record) -> str:
    return ", ".join(filter(None, (record.series, record.target, record.case, str(record.size or ""))))


def _one_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[-1][:200] if lines else ""

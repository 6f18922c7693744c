"""The oracle's metrics of the same calls: our instruments, their buckets and their attributes are the same.

What is measured on both sides differs where `DIFFERENCES` says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import Metric

from .oracle import Meters, Place, consulted
from .oracle_cases import CASES

DURATION = "gen_ai.client.operation.duration"
TOKENS = "gen_ai.client.token.usage"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
STREAMED = len([case for case in CASES if case.is_streamed])
DIFFERENCES = {
    TOKENS: "the gateway asks for counts that its client did not ask for: streamed-uncounted",
    FIRST_CHUNK: "we measure streams that came to their end: streamed-broken",
    OUTPUT_CHUNK: "a mean for each stream that came to its end, where the oracle measures each chunk",
}
ONLY_THEIRS = {"openai.response.service_tier", "openai.response.system_fingerprint"}
"""Attributes that only the oracle has in metrics; they tell apart what nobody needs apart."""

Data = dict[str, Metric]


@pytest.fixture(scope="module")
def measured() -> tuple[Data, Data]:
    """Our metrics and the oracle's, of all cases."""
    ours, theirs = Meters(), Meters()
    with consulted(theirs) as spans, Place(spans, ours, metrics=None) as place:
        asyncio.run(asked(place))
    return ours.read(), theirs.read()


async def asked(place: Place) -> None:
    """Every case, once."""
    for case in CASES:
        await place.spans(case)


def test_instruments_have_the_oracles_names_units_and_buckets(measured: tuple[Data, Data]) -> None:
    ours, theirs = measured
    assert set(theirs) == {DURATION, TOKENS, FIRST_CHUNK, OUTPUT_CHUNK}
    assert set(theirs) <= set(ours)
    assert {name: shape(ours[name]) for name in theirs} == {name: shape(metric) for name, metric in theirs.items()}


def test_attributes_are_the_oracles(measured: tuple[Data, Data]) -> None:
    ours, theirs = measured
    for name, metric in theirs.items():
        wanted = {key for point in metric.data.data_points for key in point.attributes or {}}
        assert {key for point in ours[name].data.data_points for key in point.attributes or {}} == wanted - ONLY_THEIRS


def test_durations_are_counted_as_the_oracle_counts_them(measured: tuple[Data, Data]) -> None:
    ours, theirs = measured
    assert counts(ours[DURATION]) == counts(theirs[DURATION])
    assert sum(counts(ours[DURATION]).values()) == len(CASES)


def test_tokens_are_the_oracles_and_those_that_only_we_are_told(measured: tuple[Data, Data]) -> None:
    ours, theirs = measured
    only_we = Counter({("chat", "input"): 20, ("chat", "output"): 9})
    assert tokens(ours[TOKENS]) == tokens(theirs[TOKENS]) + only_we
    assert tokens(ours[TOKENS])[("chat", "input")] > only_we[("chat", "input")]


def test_streams_are_measured_once_each(measured: tuple[Data, Data]) -> None:
    ours, theirs = measured
    for name in (FIRST_CHUNK, OUTPUT_CHUNK):
        assert sum(counts(ours[name]).values()) == STREAMED - 1
        assert name in DIFFERENCES
    assert sum(counts(theirs[FIRST_CHUNK]).values()) == STREAMED


def shape(metric: Metric) -> tuple[str, str, list[float]]:
    """Unit, kind and buckets."""
    point: Any = next(iter(metric.data.data_points))
    return metric.unit, type(metric.data).__name__, list(point.explicit_bounds)


def counts(metric: Metric) -> Counter[tuple[Any, bool]]:
    """How often something was measured, by operation and whether it failed."""
    found: Counter[tuple[Any, bool]] = Counter()
    for point in metric.data.data_points:
        attributes, measured = point.attributes or {}, point
        found[attributes["gen_ai.operation.name"], "error.type" in attributes] += getattr(measured, "count", 0)
    return found


def tokens(metric: Metric) -> Counter[tuple[Any, Any]]:
    """Tokens, by operation and type."""
    found: Counter[tuple[Any, Any]] = Counter()
    for point in metric.data.data_points:
        attributes = point.attributes or {}
        found[attributes["gen_ai.operation.name"], attributes["gen_ai.token.type"]] += getattr(point, "sum", 0)
    return found

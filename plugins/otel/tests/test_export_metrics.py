"""Metrics are collected periodically, with the temporality that is asked for, and end within a limit."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from opentelemetry.metrics import Observation

from chatproxy.errors import ConfigError

from .exporting import exporting, opened, spans, stats
from .sink import running_sink

PROTOCOLS = ("http/protobuf", "grpc")
PREFERENCE = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
DELTA: dict[str, Any] = {"environ": {PREFERENCE: "delta"}}


def counter(providers: Any, name: str = "asked") -> Any:
    return providers.meter_provider.get_meter("test").create_counter(name)


async def test_metrics_come_at_intervals() -> None:
    with running_sink() as sink:
        async with exporting(sink, metrics="otlp", metrics_interval_s=0.05) as providers:
            asked = counter(providers)
            asked.add(1)
            sink.wait_metrics("asked")
            asked.add(1)
            sink.wait(lambda: any(point["value"] == 2 for point in sink.metrics), "the second reading")
    values = [point["value"] for point in sink.metrics]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("preference", "count", "up_down", "histogram"),
    [
        (None, "cumulative", "cumulative", "cumulative"),
        ("cumulative", "cumulative", "cumulative", "cumulative"),
        ("delta", "delta", "cumulative", "delta"),
        ("LowMemory", "delta", "cumulative", "delta"),
    ],
)
async def test_temporality_is_as_preferred(preference: str | None, count: str, up_down: str, histogram: str) -> None:
    with running_sink() as sink:
        environ = {PREFERENCE: preference} if preference else {}
        async with exporting(sink, environ=environ, metrics="otlp") as providers:
            assert providers.meter_provider is not None
            meter = providers.meter_provider.get_meter("test")
            meter.create_counter("count").add(1)
            meter.create_up_down_counter("up_down").add(1)
            meter.create_histogram("histogram").record(1)
    found = {point["name"]: point["temporality"] for point in sink.metrics}
    assert found == {"count": count, "up_down": up_down, "histogram": histogram}


async def test_histograms_may_be_exponential() -> None:
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    with running_sink() as sink:
        environ = {name: "base2_exponential_bucket_histogram"}
        async with exporting(sink, environ=environ, metrics="otlp") as providers:
            assert providers.meter_provider is not None
            providers.meter_provider.get_meter("test").create_histogram("histogram").record(1)
    assert [point["kind"] for point in sink.metrics] == ["exponential_histogram"]


@pytest.mark.parametrize(("filtered", "count"), [("always_on", 1), ("always_off", 0), ("trace_based", 0)])
async def test_exemplars_are_filtered(filtered: str, count: int) -> None:
    with running_sink() as sink:
        async with exporting(sink, environ={"OTEL_METRICS_EXEMPLAR_FILTER": filtered}, metrics="otlp") as providers:
            counter(providers).add(1)
    (point,) = sink.metrics
    assert len(point["exemplars"]) == count


async def test_many_points_of_one_metric_arrive() -> None:
    with running_sink() as sink:
        async with exporting(sink, metrics="otlp") as providers:
            asked = counter(providers)
            for number in range(500):
                asked.add(number, {"number": number})
    assert {point["attributes"]["number"]: point["value"] for point in sink.metrics} == {n: n for n in range(500)}
    assert len(sink.metrics) == 500


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_reading_that_fails_is_tried_again(protocol: str) -> None:
    with running_sink() as sink:
        sink.answer(status=503, code=grpc.StatusCode.UNAVAILABLE)
        async with exporting(sink, protocol, metrics="otlp", metrics_interval_s=0.05, **DELTA) as providers:
            counter(providers).add(7)
            sink.wait_requests(1)
            sink.release()
            sink.wait_metrics("asked")
    assert sum(point["value"] for point in sink.metrics) == 7


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_closing_does_not_wait_for_a_collector_that_is_not_there(protocol: str) -> None:
    with running_sink() as sink:
        providers = opened(endpoint=sink.url(protocol), protocol=protocol, traces="none", logs="none")
        counter(providers).add(1)
        sink.stop()
        await providers.aclose(3600.0)
    assert sink.metrics == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_closing_cuts_off_a_collector_that_does_not_answer(protocol: str) -> None:
    with running_sink() as sink:
        sink.answer(is_silent=True)
        settings = {"traces": "none", "logs": "none", "timeout_s": 3600.0, "metrics_interval_s": 0.05}
        providers = opened(endpoint=sink.url(protocol), protocol=protocol, **settings)
        counter(providers).add(1)
        sink.wait_requests(1)
        readers = [thread for thread in threading.enumerate() if "MetricReader" in thread.name]
        await providers.aclose(0.2)
        for reader in readers:
            reader.join(10)
        assert not any(reader.is_alive() for reader in readers)


async def test_closing_tries_only_once() -> None:
    with running_sink() as sink:
        sink.answer(status=503)
        providers = opened(endpoint=sink.http_url, traces="none", logs="none")
        counter(providers).add(1)
        await providers.aclose(3600.0)
        assert len(sink.requests) == 1


@pytest.mark.parametrize(
    "name", [PREFERENCE, "OTEL_METRICS_EXEMPLAR_FILTER", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"]
)
def test_an_unknown_word_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}: wanted .* found 'sometimes'$"):
        opened({name: "sometimes"})


async def test_the_last_metrics_know_what_was_lost_at_the_end() -> None:
    with running_sink() as sink:
        sink.answer("traces", is_silent=True)
        providers = opened(endpoint=sink.http_url, logs="none", delay_s=0.01)
        assert providers.meter_provider is not None
        providers.meter_provider.get_meter("test").create_observable_counter(
            "lost", [lambda _: [Observation(stats(providers).dropped)]]
        )
        spans(providers, 7)
        sink.wait_requests(1)
        await providers.aclose(0.5)
        await providers.aclose(0.5)
    assert [point["value"] for point in sink.metrics] == [7]

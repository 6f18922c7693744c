"""All signals reach a collector by OTLP, and say who sends them."""

from __future__ import annotations

import gc
import os
import weakref

import pytest
from opentelemetry.context import Context, set_value
from opentelemetry.sdk.trace.sampling import Decision, StaticSampler

from .exporting import exporting, logs, numbers, opened, spans, stats
from .sink import Sink, running_sink

PROTOCOLS = ("http/protobuf", "grpc")


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_all_signals_arrive(protocol: str, compression: str) -> None:
    with running_sink() as sink:
        async with exporting(sink, protocol, compression=compression, metrics="otlp") as providers:
            spans(providers, 600)
            logs(providers, 30)
            assert providers.meter_provider is not None
            counter = providers.meter_provider.get_meter("test").create_counter("asked")
            for number in range(30):
                counter.add(number, {"number": number})
    assert numbers(sink.spans) == list(range(600))
    assert numbers(sink.logs) == list(range(30))
    assert [(one["attributes"]["number"], one["value"]) for one in sink.metrics] == [(n, n) for n in range(30)]
    assert stats(providers)[1:] == (0, 2048, 600, 0)
    assert stats(providers, "logs")[1:] == (0, 2048, 30, 0)


async def test_gzip_is_said_and_makes_requests_small() -> None:
    with running_sink() as sink:
        async with exporting(sink, compression="gzip") as providers:
            spans(providers, 100, text="again and again")
    (request,) = {request.headers["content-encoding"] for request in sink.requests}
    assert request == "gzip"
    assert all(
        int(one.headers["content-length"]) < one.size_bytes / 3 for one in sink.requests if one.size_bytes > 5000
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_headers_go_along(protocol: str) -> None:
    with running_sink() as sink:
        async with exporting(sink, protocol, headers={"X-Api-Key": "key", "x-team": "a b"}) as providers:
            spans(providers, 1)
    (request,) = sink.requests
    assert request.headers["x-api-key"] == "key"
    assert request.headers["x-team"] == "a b"
    assert request.headers["user-agent"].startswith("chatproxy/1.2.3")


async def test_batches_are_no_larger_than_asked() -> None:
    with running_sink() as sink:
        async with exporting(sink, batch_size=10, delay_s=30.0) as providers:
            spans(providers, 100)
    assert len(sink.requests) == 10
    assert numbers(sink.spans) == list(range(100))


async def test_a_request_stays_below_what_collectors_take() -> None:
    with running_sink() as sink:
        async with exporting(sink, "grpc", delay_s=30.0) as providers:
            spans(providers, 40, text="x" * 200_000)
    assert len(sink.spans) == 40
    assert max(request.size_bytes for request in sink.requests) <= 4 * 1024 * 1024
    assert {len(span["attributes"]["text"]) for span in sink.spans} == {65_536}


async def test_connections_are_kept() -> None:
    with running_sink() as sink:
        async with exporting(sink, batch_size=5) as providers:
            for _ in range(10):
                spans(providers, 5)
                assert providers.tracer_provider is not None
                assert providers.tracer_provider.force_flush(20_000)
        assert len(sink.requests) == 10
        assert sink.connections == 1


async def test_an_unsampled_span_is_not_exported() -> None:
    with running_sink() as sink:
        async with exporting(sink, sampler="always_off") as providers:
            spans(providers, 10)
            logs(providers, 1)
    assert sink.spans == []
    assert stats(providers)[1:] == (0, 2048, 0, 0)


async def test_a_span_that_is_only_recorded_is_not_exported() -> None:
    with running_sink() as sink:
        async with exporting(sink) as providers:
            assert providers.tracer_provider is not None
            providers.tracer_provider.sampler = StaticSampler(Decision.RECORD_ONLY)
            spans(providers, 10)
    assert sink.spans == []
    assert stats(providers)[1:] == (0, 2048, 0, 0)


async def test_the_resource_says_who_sends() -> None:
    with running_sink() as sink:
        async with exporting(sink, metrics="otlp", resource={"deployment.environment.name": "test"}) as providers:
            spans(providers, 1)
            logs(providers, 1)
            assert providers.meter_provider is not None
            providers.meter_provider.get_meter("test").create_counter("asked").add(1)
    (resource,) = [span["resource"] for span in sink.spans]
    assert sink.logs[0]["resource"] == resource
    assert sink.metrics[0]["resource"] == resource
    assert len(resource.pop("service.instance.id")) == 36
    assert resource.pop("telemetry.sdk.version")
    assert resource == {
        "service.name": "chatproxy",
        "service.version": "1.2.3",
        "deployment.environment.name": "test",
        "process.pid": os.getpid(),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
    }


def test_two_openings_are_two_instances() -> None:
    def instance() -> object:
        provider = opened(metrics="none").tracer_provider
        assert provider is not None
        return provider.resource.attributes["service.instance.id"]

    assert instance() != instance()


async def test_what_cannot_be_encoded_is_dropped_and_the_rest_arrives() -> None:
    with running_sink() as sink:
        async with exporting(sink) as providers:
            assert providers.logger_provider is not None
            logger = providers.logger_provider.get_logger("test")
            logs(providers, 3)
            logger.emit(body=object())  # type: ignore[arg-type]  # what a careless caller does
            logs(providers, 3)
    assert numbers(sink.logs) == [0, 1, 2, 0, 1, 2]
    assert stats(providers, "logs")[3:] == (6, 1)


async def test_the_sdks_own_flush_and_shutdown_export_too() -> None:
    with Sink() as sink:
        async with exporting(sink, delay_s=30.0) as providers:
            assert providers.tracer_provider is not None
            assert providers.logger_provider is not None
            spans(providers, 3)
            assert providers.tracer_provider.force_flush()
            assert len(sink.spans) == 3
            logs(providers, 3)
            providers.logger_provider.shutdown()
            assert len(sink.logs) == 3
            logs(providers, 2)
    assert stats(providers, "logs")[3:] == (3, 2)


async def test_a_record_that_waits_does_not_hold_its_context() -> None:
    class Held:
        """Something of an exchange."""

    with running_sink() as sink:
        async with exporting(sink, delay_s=30.0) as providers:
            assert providers.logger_provider is not None
            held = Held()
            gone = weakref.ref(held)
            context = set_value("held", held, Context())
            providers.logger_provider.get_logger("test").emit(body="text", context=context)
            del held, context
            gc.collect()
            assert gone() is None
            assert stats(providers, "logs").waiting == 1

"""A collector that fails: nothing is waited for, what can be kept is kept, what is lost is counted exactly."""

from __future__ import annotations

import logging
import threading
from typing import Any

import grpc
import pytest
from chatproxy_otel.export.outcome import Sender
from chatproxy_otel.export.pipe import Limits, Pipe

from .exporting import exporting, logs, numbers, opened, spans, stats
from .sink import Sink, running_sink

PROTOCOLS = ("http/protobuf", "grpc")
UNAVAILABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "http-429": ("http/protobuf", {"status": 429}),
    "http-502": ("http/protobuf", {"status": 502}),
    "http-503": ("http/protobuf", {"status": 503}),
    "http-504": ("http/protobuf", {"status": 504}),
    "http-503-asks": ("http/protobuf", {"status": 503, "retry_after_s": 1}),
    "http-429-date": ("http/protobuf", {"status": 429, "headers": {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}}),
    "http-503-odd": ("http/protobuf", {"status": 503, "headers": {"retry-after": "soon"}}),
    "grpc-unavailable": ("grpc", {"code": grpc.StatusCode.UNAVAILABLE}),
    "grpc-unavailable-asks": ("grpc", {"code": grpc.StatusCode.UNAVAILABLE, "retry_after_s": 0.01}),
    "grpc-deadline": ("grpc", {"code": grpc.StatusCode.DEADLINE_EXCEEDED}),
    "grpc-aborted": ("grpc", {"code": grpc.StatusCode.ABORTED}),
    "grpc-exhausted-asks": ("grpc", {"code": grpc.StatusCode.RESOURCE_EXHAUSTED, "retry_after_s": 0.01}),
}
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "http-302": ("http/protobuf", {"status": 302, "headers": {"location": "/login"}}),
    "http-400": ("http/protobuf", {"status": 400}),
    "http-401": ("http/protobuf", {"status": 401}),
    "http-404": ("http/protobuf", {"status": 404}),
    "http-500": ("http/protobuf", {"status": 500}),
    "grpc-invalid": ("grpc", {"code": grpc.StatusCode.INVALID_ARGUMENT}),
    "grpc-internal": ("grpc", {"code": grpc.StatusCode.INTERNAL}),
    "grpc-unimplemented": ("grpc", {"code": grpc.StatusCode.UNIMPLEMENTED}),
    "grpc-exhausted": ("grpc", {"code": grpc.StatusCode.RESOURCE_EXHAUSTED}),
}


@pytest.mark.parametrize(("protocol", "how"), UNAVAILABLE.values(), ids=UNAVAILABLE.keys())
async def test_a_batch_that_may_be_taken_later_arrives_later(protocol: str, how: dict[str, Any]) -> None:
    with running_sink() as sink:
        sink.answer(**how)
        async with exporting(sink, protocol, logs="none") as providers:
            spans(providers, 20)
            sink.wait_requests(1)
            spans(providers, 20)
            assert stats(providers)[1:] == (40, 2048, 0, 0)
            sink.release()
            assert providers.tracer_provider is not None
            assert providers.tracer_provider.force_flush()
    assert numbers(sink.spans) == [*range(20), *range(20)]
    assert stats(providers)[1:] == (0, 2048, 40, 0)


@pytest.mark.parametrize(("protocol", "how"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_batch_refused_for_good_is_dropped_and_the_next_arrives(protocol: str, how: dict[str, Any]) -> None:
    with running_sink() as sink:
        async with exporting(sink, protocol, batch_size=10, queue_size=100, logs="none") as providers:
            assert providers.tracer_provider is not None
            sink.answer(**how)
            spans(providers, 25)
            assert providers.tracer_provider.force_flush()
            assert stats(providers)[1:] == (0, 100, 0, 25)
            refused = len(sink.requests)
            sink.release()
            spans(providers, 5)
    assert refused <= 25
    assert len(sink.requests) > refused
    assert numbers(sink.spans) == list(range(5))
    assert stats(providers)[1:] == (0, 100, 5, 25)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_collector_that_is_down_gets_all_that_fits_when_it_comes_back(protocol: str) -> None:
    with running_sink() as sink:
        async with exporting(sink, protocol, queue_size=100, batch_size=10, logs="none") as providers:
            sink.stop()
            spans(providers, 130)
            assert stats(providers)[1:] == (100, 100, 0, 30)
            sink.start()
            sink.wait_spans(100)
            assert providers.tracer_provider is not None
            assert providers.tracer_provider.force_flush()
            spans(providers, 10)
    assert numbers(sink.spans) == [*range(100), *range(10)]
    assert stats(providers)[1:] == (0, 100, 110, 30)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_collector_may_go_and_come_back_between_batches(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running_sink() as sink:
        async with exporting(sink, protocol, logs="none") as providers:
            assert providers.tracer_provider is not None
            for _ in range(3):
                spans(providers, 10)
                assert providers.tracer_provider.force_flush()
                sink.stop()
                sink.start()
    assert numbers(sink.spans) == [*range(10)] * 3
    assert stats(providers)[1:] == (0, 2048, 30, 0)
    if protocol != "grpc":  # whose channel may learn of it by a call that fails
        assert said(caplog) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_rejected_items_count_as_dropped(protocol: str) -> None:
    with running_sink() as sink:
        sink.answer("traces", rejected=3)
        sink.answer("logs", rejected=50)
        async with exporting(sink, protocol, batch_size=10, delay_s=30.0) as providers:
            spans(providers, 10)
            logs(providers, 10)
            sink.wait_requests(2)
            assert providers.tracer_provider is not None
            assert providers.logger_provider is not None
            assert providers.tracer_provider.force_flush()
            assert providers.logger_provider.force_flush()
    assert stats(providers)[3:] == (7, 3)
    assert stats(providers, "logs")[3:] == (0, 10)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "text/html"}, b"<html>"),
        ({}, b"\xff\xff\xff"),
        ({}, b""),
        ({"content-length": "1000000000"}, b"\x00" * 100_000),
    ],
    ids=["html", "broken", "empty", "endless"],
)
async def test_an_answer_that_says_nothing_counts_as_taken(headers: dict[str, str], body: bytes) -> None:
    with running_sink() as sink:
        sink.answer(headers=headers, body=body)
        async with exporting(sink, logs="none") as providers:
            assert providers.tracer_provider is not None
            for _ in range(2):
                spans(providers, 10)
                assert providers.tracer_provider.force_flush()
    assert stats(providers)[3:] == (20, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_collector_that_does_not_answer_holds_up_nobody(protocol: str) -> None:
    with running_sink() as sink:
        sink.answer(is_silent=True)
        settings = {"queue_size": 50, "batch_size": 10, "metrics": "otlp", "timeout_s": 3600.0}
        async with exporting(sink, protocol, **settings) as providers:
            spans(providers, 80)
            logs(providers, 80)
            sink.wait_requests(2)
            await providers.aclose(0.2)
            assert stats(providers)[1:] == (0, 50, 0, 80)
            assert stats(providers, "logs")[1:] == (0, 50, 0, 80)
            spans(providers, 5)
            assert stats(providers)[1:] == (0, 50, 0, 85)
            threads = [thread for thread in threading.enumerate() if "otel" in thread.name.lower()]
            for thread in threads:
                thread.join(10)
            assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_request_without_an_answer_is_given_up_and_tried_again(protocol: str) -> None:
    with running_sink() as sink:
        sink.answer(is_silent=True)
        async with exporting(sink, protocol, timeout_s=0.2, logs="none") as providers:
            spans(providers, 10)
            sink.wait_requests(2)
            assert stats(providers)[1:] == (10, 2048, 0, 0)
            sink.release()
            assert providers.tracer_provider is not None
            assert providers.tracer_provider.force_flush()
    assert stats(providers)[1:] == (0, 2048, 10, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_closing_does_not_wait_for_a_collector_that_is_not_there(protocol: str) -> None:
    with running_sink() as sink:
        providers = opened(endpoint=sink.url(protocol), protocol=protocol, delay_s=30.0)
        sink.stop()
        spans(providers, 700)
        logs(providers, 7)
        await providers.aclose(3600.0)
    assert stats(providers)[1:] == (0, 2048, 0, 700)
    assert stats(providers, "logs")[1:] == (0, 2048, 0, 7)


async def test_closing_tries_again_where_the_collector_asks_for_it() -> None:
    with running_sink() as sink:
        sink.answer("traces", status=503)
        async with exporting(sink, logs="none", delay_s=30.0) as providers:
            spans(providers, 10)
            sink.release_at(2)
            await providers.aclose(30.0)
    assert numbers(sink.spans) == list(range(10))
    assert stats(providers)[1:] == (0, 2048, 10, 0)


async def test_closing_gives_up_at_once_where_the_collector_asks_for_more_time_than_there_is() -> None:
    with running_sink() as sink:
        sink.answer(status=503, retry_after_s=3600)
        providers = opened(endpoint=sink.http_url, metrics="none", logs="none", batch_size=10)
        spans(providers, 50)
        sink.wait_requests(1)
        await providers.aclose(30.0)
    assert len(sink.requests) <= 3
    assert stats(providers)[1:] == (0, 2048, 0, 50)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_outage_is_said_once_and_its_end_once(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    with running_sink() as sink:
        sink.answer(status=503, code=grpc.StatusCode.UNAVAILABLE)
        async with exporting(sink, protocol, queue_size=20, batch_size=10, logs="none") as providers:
            spans(providers, 25)
            sink.wait_requests(2)
            sink.release()
            assert providers.tracer_provider is not None
            assert providers.tracer_provider.force_flush()
            sink.answer(status=503, code=grpc.StatusCode.UNAVAILABLE)
            spans(providers, 5)
            sink.wait_requests(6)
    begin, end = said(caplog)
    assert begin.startswith("traces cannot be exported, trying again until they can: ")
    assert "503" in begin or "UNAVAILABLE" in begin
    assert end == "traces are exported again; 5 were dropped meanwhile"


async def test_what_is_lost_at_the_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with Sink() as sink:
        sink.answer(is_silent=True)
        async with exporting(sink, logs="none") as providers:
            spans(providers, 12)
            sink.wait_requests(1)
            await providers.aclose(0.1)
    assert said(caplog) == ["traces: 12 were not exported before the end and are lost"]


async def test_a_sender_that_breaks_is_said_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    def connect() -> Sender:
        raise KeyError("a mistake of ours")

    pipe = Pipe("traces", Limits(100, 10, 0.01, 1.0), bytes, connect)
    pipe.put(1)
    assert not pipe.flush(20.0)
    pipe.put(2)
    assert pipe.stats[1:] == (0, 100, 0, 2)
    assert said(caplog) == ["traces: exporting has failed for good; all is dropped from now on"]

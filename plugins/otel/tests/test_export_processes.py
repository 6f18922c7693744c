"""Processes: a fork inherits no telemetry, workers are told apart, and nothing keeps a process from ending."""

from __future__ import annotations

import pytest

from .exporting import exporting, numbers, spans, stats
from .processes import counted, ran
from .sink import running_sink

PROTOCOLS = ("http/protobuf", "grpc")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_child_exports_its_own_spans_only(protocol: str) -> None:
    with running_sink() as sink:
        child, parent = ran(
            """
            spans_before = 5 if settings["protocol"] != "grpc" else 0  # gRPC itself may not be in use before a fork
            spans(spans_before)
            if (child := os.fork()) == 0:
                spans(3)
                close(10)
                os._exit(0)
            os.waitpid(child, 0)
            spans(2)
            close(10)
            """,
            endpoint=sink.url(protocol),
            protocol=protocol,
            delay_s=60,
            metrics="none",
        )
    before = 0 if protocol == "grpc" else 5
    assert counted(child) == (3, 0)
    assert counted(parent) == (before + 2, 0)
    by_pid: dict[int, list[int]] = {}
    for span in sink.spans:
        by_pid.setdefault(span["attributes"]["pid"], []).append(span["attributes"]["number"])
    assert sorted(by_pid.values()) == sorted([[0, 1, 2], [*range(before), 0, 1]])
    instances = {span["attributes"]["pid"]: span["resource"]["service.instance.id"] for span in sink.spans}
    assert len(set(instances.values())) == 2


async def test_a_child_of_a_parent_that_is_exporting_does_so_too() -> None:
    with running_sink() as sink:
        sink.answer(is_silent=True)
        program = """
            import threading
            spans(10)
            while not any(thread.name == "otel-traces" for thread in threading.enumerate()):
                pass
            if (child := os.fork()) == 0:
                spans(4)
                close(0.2)
                os._exit(0)
            os.waitpid(child, 0)
            close(0.2)
        """
        child, parent = ran(program, endpoint=sink.http_url, delay_s=0.001, metrics="none")
    assert counted(child) == (0, 4)
    assert counted(parent) == (0, 10)


async def test_a_child_does_not_use_its_parents_connection() -> None:
    with running_sink() as sink:
        ran(
            """
            meters = providers.meter_provider
            meters.get_meter("test").create_counter("asked").add(1)
            meters.force_flush()
            if (child := os.fork()) == 0:
                meters.force_flush()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            meters.force_flush()
            """,
            endpoint=sink.http_url,
            traces="none",
            logs="none",
            metrics_interval_s=3600.0,
        )
        assert len(sink.requests) == 3
        assert sink.connections == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_process_ends_while_a_collector_does_not_answer(protocol: str) -> None:
    with running_sink() as sink:
        sink.answer(is_silent=True)
        (stats,) = ran(
            """
            spans(1000)
            meter = providers.meter_provider.get_meter("test")
            meter.create_counter("asked").add(1)
            providers.logger_provider.get_logger("test").emit(body="text")
            close(0.5)
            """,
            endpoint=sink.url(protocol),
            protocol=protocol,
            delay_s=0.01,
            metrics_interval_s=0.05,
            timeout_s=600.0,
        )
    assert counted(stats) == (0, 1000)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_process_ends_without_closing(protocol: str) -> None:
    with running_sink() as sink:
        sink.answer(is_silent=True)
        assert ran("spans(1000)", endpoint=sink.url(protocol), protocol=protocol, delay_s=0.01, timeout_s=600.0) == []


async def test_workers_are_told_apart() -> None:
    with running_sink() as sink:
        for _ in range(2):
            ran("spans(1); close(10)", endpoint=sink.http_url, metrics="none")
    assert len({span["resource"]["service.instance.id"] for span in sink.spans}) == 2
    assert len({span["resource"]["process.pid"] for span in sink.spans}) == 2


async def test_grpc_and_requests_are_not_loaded_for_http() -> None:
    with running_sink() as sink:
        program = """
            spans(1)
            close(10)
            assert not {"grpc", "requests", "urllib3"} & set(sys.modules), sorted(sys.modules)
        """
        (stats,) = ran(program, endpoint=sink.http_url)
    assert counted(stats) == (1, 0)


async def test_a_pipe_that_is_forgotten_is_no_burden_to_a_fork() -> None:
    with running_sink() as sink:
        async with exporting(sink, logs="none") as providers:
            spans(providers, 2)
        assert stats(providers).exported == 2
        (stats_,) = ran(
            "import gc; spans(1); close(10); providers = None; gc.collect(); os.fork() or os._exit(0); os.wait()",
            endpoint=sink.http_url,
            metrics="none",
        )
    assert counted(stats_) == (1, 0)
    assert len(numbers(sink.spans)) == 3

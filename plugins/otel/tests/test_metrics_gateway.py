"""What is read when a collector asks: the gateway, its plugins, and the way to the collector."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_otel.metrics.gateway import GatewayMetrics
from chatproxy_otel.names import STABLE_NAMES
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from chatproxy import ChatRequest, hookimpl
from chatproxy.testing import Fault, ScriptedUpstream, make_app, raw_reply, stream_reply
from chatproxy.types import GatewayStats, PluginStats

from .metering import Metering, Pipe, found_in
from .test_metrics_models import gateway_of

PLUGIN = "chatproxy.plugin"
STATS = GatewayStats(
    in_flight=3,
    max_in_flight=10,
    draining=True,
    plugins={
        "a": PluginStats(calls=9, failures=2, skipped=4, abandoned=1, quarantined=True),
        "b": PluginStats(telemetry_waiting=7, telemetry_dropped=5),
    },
    loop_blocked={"a": 2, "": 1},
)
PIPES = [
    Pipe("traces", waiting=5, capacity=2048, exported=100, dropped=7),
    Pipe("logs", waiting=0, capacity=512, exported=1, dropped=0),
]


class Failing:
    """Fails each time, and is left out for it."""

    chatproxy_name = "failing"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        raise ZeroDivisionError


def read(stats: Any = lambda: STATS, pipes: Any = lambda: PIPES) -> tuple[GatewayMetrics, InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    return GatewayMetrics(meter, STABLE_NAMES, stats, pipes), reader


@pytest.mark.parametrize(
    ("name", "unit", "is_monotonic", "values"),
    [
        ("chatproxy.exchanges.in_flight", "{exchange}", False, {(): 3}),
        ("chatproxy.exchanges.limit", "{exchange}", False, {(): 10}),
        ("chatproxy.draining", "1", None, {(): 1}),
        ("chatproxy.loop.blocked", "{block}", True, {("a",): 2, ("chatproxy",): 1}),
        ("chatproxy.plugin.calls", "{call}", True, {("a",): 9, ("b",): 0}),
        ("chatproxy.plugin.failures", "{call}", True, {("a",): 2, ("b",): 0}),
        ("chatproxy.plugin.skipped", "{call}", True, {("a",): 4, ("b",): 0}),
        ("chatproxy.plugin.abandoned", "{call}", True, {("a",): 1, ("b",): 0}),
        ("chatproxy.plugin.quarantined", "1", None, {("a",): 1, ("b",): 0}),
        ("chatproxy.background.waiting", "{call}", False, {("a",): 0, ("b",): 7}),
        ("chatproxy.background.dropped", "{call}", True, {("a",): 0, ("b",): 5}),
        ("chatproxy.telemetry.queue.length", "{item}", False, {("traces",): 5, ("logs",): 0}),
        ("chatproxy.telemetry.queue.capacity", "{item}", False, {("traces",): 2048, ("logs",): 512}),
        ("chatproxy.telemetry.exported", "{item}", True, {("traces",): 100, ("logs",): 1}),
        ("chatproxy.telemetry.dropped", "{item}", True, {("traces",): 7, ("logs",): 0}),
    ],
)
def test_what_is_read(name: str, unit: str, is_monotonic: bool | None, values: dict[tuple[str, ...], int]) -> None:
    _, reader = read()
    metric: Any = found_in(reader.get_metrics_data())[name]
    found = {tuple((point.attributes or {}).values()): point.value for point in metric.data.data_points}
    assert (metric.unit, getattr(metric.data, "is_monotonic", None), found) == (unit, is_monotonic, values)
    keys = {key for point in metric.data.data_points for key in point.attributes or {}}
    assert keys <= {PLUGIN, "chatproxy.telemetry.signal"}


def test_a_provider_that_lives_on_reads_nothing_of_a_closed_application() -> None:
    asked = []

    def stats() -> GatewayStats:
        asked.append(True)
        return STATS

    metrics, reader = read(stats)
    assert found_in(reader.get_metrics_data())
    before = len(asked)
    metrics.close()
    assert found_in(reader.get_metrics_data()) == {}
    assert len(asked) == before


async def test_a_running_exchange_is_in_flight() -> None:
    metering = Metering()
    upstream = ScriptedUpstream(stream_reply(finish_reason=None, fault=Fault.STALL))
    async with gateway_of(metering, upstream, max_concurrency=7) as gateway:
        assert metering.points("chatproxy.exchanges.in_flight") == [{"value": 0}]
        body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            await anext(answer.aiter_bytes())
            assert metering.points("chatproxy.exchanges.in_flight") == [{"value": 1}]
            assert metering.points("chatproxy.exchanges.limit") == [{"value": 7}]
        await metering.wait()
        assert metering.points("chatproxy.exchanges.in_flight") == [{"value": 0}]


async def test_a_plugin_in_quarantine_is_seen() -> None:
    metering = Metering()
    settings = {"on_error": "quarantine", "quarantine_after": 1, "quarantine_for_s": 60}
    async with make_app(
        plugins=[metering, Failing()], upstream=ScriptedUpstream(), plugin_settings={"failing": settings}
    ) as gateway:
        assert metering.counts("chatproxy.plugin.quarantined", PLUGIN) == {"failing": 0, "metering": 0}
        for _ in range(3):
            await gateway.chat("hi")
        await metering.wait(3)
        assert metering.counts("chatproxy.plugin.quarantined", PLUGIN) == {"failing": 1, "metering": 0}
        assert metering.counts("chatproxy.plugin.failures", PLUGIN)["failing"] == 1
        assert metering.counts("chatproxy.plugin.skipped", PLUGIN)["failing"] == 2
        hooks = metering.counts("chatproxy.hook.duration", PLUGIN, "chatproxy.hook.outcome")
        assert hooks == {("failing", "error"): 1, ("failing", "skipped"): 2}


async def test_the_way_to_the_collector_is_asked_each_time() -> None:
    pipes = [Pipe("traces", waiting=1, capacity=4)]
    metering = Metering(pipes=pipes)
    async with make_app(plugins=[metering], upstream=ScriptedUpstream(raw_reply())):
        assert metering.counts("chatproxy.telemetry.queue.length", "chatproxy.telemetry.signal") == {"traces": 1}
        pipes[0] = Pipe("traces", waiting=3, capacity=4, dropped=2)
        assert metering.counts("chatproxy.telemetry.queue.length", "chatproxy.telemetry.signal") == {"traces": 3}
        assert metering.counts("chatproxy.telemetry.dropped", "chatproxy.telemetry.signal") == {"traces": 2}

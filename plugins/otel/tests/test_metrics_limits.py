"""Series are bounded, whatever clients and upstreams say, and hold no secrets."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from chatproxy_otel.labels import OTHER
from chatproxy_otel.metrics.instruments import MAX_SERIES, Counts, Series
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from chatproxy import Principal, hookimpl
from chatproxy.testing import Fault, Scripted, ScriptedUpstream, SeenRequest, error_reply, raw_reply, reply

from .metering import Metering, found_in
from .test_metrics_models import gateway_of

DURATION, SERVED = "gen_ai.client.operation.duration", "gen_ai.server.request.duration"
MODEL, ANSWERED = "gen_ai.request.model", "gen_ai.response.model"


def echo(seen: SeenRequest) -> Scripted:
    """Answers every model as itself."""
    return reply(model=seen.json["model"])


def refuse(seen: SeenRequest) -> Scripted:
    """Knows the model ``gpt`` alone."""
    return reply(model="gpt") if seen.json["model"] == "gpt" else error_reply(404, code="model_not_found")


async def test_models_that_nobody_answers_take_no_place() -> None:
    metering = Metering(max_models=2)
    async with gateway_of(metering, ScriptedUpstream(refuse)) as gateway:
        for number in range(5):
            await gateway.chat("hi", model=f"junk-{number}")
        await gateway.chat("hi", model="gpt")
        await gateway.chat("hi", model="junk-1")
        await metering.wait(7)
        for name in (DURATION, SERVED):
            assert metering.counts(name, MODEL, "error.type") == {(OTHER, "model_not_found"): 6, ("gpt", None): 1}


async def test_an_upstream_that_answers_everything_costs_as_many_series_as_are_allowed() -> None:
    metering = Metering(max_models=3)
    async with gateway_of(metering, ScriptedUpstream(echo)) as gateway:
        for number in range(10):
            await gateway.chat("hi", model=f"junk-{number}")
        await gateway.chat("hi", model="junk-1")
        await metering.wait(11)
        wanted = {("junk-0", "junk-0"): 1, ("junk-1", "junk-1"): 2, ("junk-2", "junk-2"): 1, (OTHER, OTHER): 7}
        assert metering.counts(DURATION, MODEL, ANSWERED) == wanted
        assert metering.counts(SERVED, MODEL, ANSWERED) == wanted


async def test_configured_models_are_told_apart_after_any_flood() -> None:
    metering = Metering(max_models=1)
    models = {"gpt": {"upstream_model": "gpt-5"}, "junk-*": {}, "claude": {}}
    async with gateway_of(metering, ScriptedUpstream(echo), models=models) as gateway:
        for name in ("junk-1", "junk-2", "junk-3", "gpt", "claude"):
            await gateway.chat("hi", model=name)
        await metering.wait(5)
        assert metering.counts(DURATION, MODEL) == {"junk-1": 1, OTHER: 2, "gpt-5": 1, "claude": 1}
        assert metering.counts(SERVED, MODEL) == {"junk-1": 1, OTHER: 2, "gpt": 1, "claude": 1}


async def test_a_client_that_leaves_at_once_cannot_bring_models_in() -> None:
    metering = Metering(max_models=5)
    upstream = ScriptedUpstream(raw_reply(fault=Fault.STALL_BEFORE))
    async with gateway_of(metering, upstream) as gateway:
        asking = asyncio.ensure_future(gateway.chat("hi", model="junk"))
        await upstream.wait_asked()
        asking.cancel()
        await asyncio.wait([asking])
        await metering.wait()
        assert metering.counts(DURATION, MODEL) == {OTHER: 1}


async def test_users_are_bounded_as_models_are() -> None:
    class Keys:
        chatproxy_name = "keys"

        @hookimpl
        async def authenticate(self, headers: Any) -> Principal:
            return Principal(id=headers["authorization"])

    metering = Metering(max_models=2, user_metrics=True)
    async with gateway_of(metering, ScriptedUpstream(), Keys()) as gateway:
        for number in range(4):
            body = {"model": "scripted", "messages": []}
            await gateway.client.post("/v1/chat/completions", json=body, headers={"authorization": f"user-{number}"})
        await metering.wait(4)
        assert metering.counts(SERVED, "user.id") == {"user-0": 1, "user-1": 1, OTHER: 2}


async def test_no_secret_stands_in_a_series() -> None:
    metering = Metering()
    secret = "sk-live-0123456789abcdefghijklmnopqrstuvwxyz"
    upstream = ScriptedUpstream(reply(model=secret), error_reply(400, secret, code=secret))
    async with gateway_of(metering, upstream, upstream_api_key=secret) as gateway:
        headers = {"authorization": f"Bearer {secret}", "x-note": secret}
        for _ in range(2):
            body = {"model": secret, "messages": [{"role": "user", "content": secret}]}
            await gateway.client.post(f"/v1/chat/completions?key={secret}", json=body, headers=headers)
        await metering.wait(2)
        shown = msgspec.json.encode({name: metering.points(name) for name in metering.names()}).decode()
        assert "chat" in shown
        assert secret not in shown


def test_a_counter_with_too_many_keys_counts_the_rest_together() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    counts = Counts(meter, "n", "{thing}", "Things.", names=("kind", "rare"))
    for number in range(MAX_SERIES + 50):
        counts.add((str(number), None), 2)
    counts.add(("0", None))
    points = found_in(reader.get_metrics_data())["n"].data.data_points
    values = {tuple((point.attributes or {}).items()): point.value for point in points}
    assert len(values) == MAX_SERIES + 1
    assert values[("kind", "0"),] == 3
    assert values[("kind", OTHER), ("rare", OTHER)] == 100


def test_a_counter_can_be_exported_as_differences() -> None:
    delta: dict[type, AggregationTemporality] = {ObservableCounter: AggregationTemporality.DELTA}
    reader = InMemoryMetricReader(preferred_temporality=delta)
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    counts = Counts(meter, "n", "{thing}", "Things.", names=("kind",))
    found = []
    for amount in (5, 0, 2):
        counts.add(("a",), amount)
        found += [point.value for point in found_in(reader.get_metrics_data())["n"].data.data_points]
    assert found == [5, 0, 2]


def test_a_counter_is_read_by_another_thread_while_it_is_added_to() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    counts = Counts(meter, "n", "{thing}", "Things.", names=("kind",))
    total, sums = 20_000, [0]
    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(lambda: [counts.add((str(number % 500),)) for number in range(total)])
        while not adding.done():
            found = found_in(reader.get_metrics_data())
            sums += [sum(point.value for point in found["n"].data.data_points) if found else 0]
    assert sums == sorted(sums)
    assert sum(point.value for point in found_in(reader.get_metrics_data())["n"].data.data_points) == total


def test_series_beyond_the_limit_lose_what_came_from_outside() -> None:
    made: list[tuple[str, str]] = []
    series: Series[tuple[str, str], str] = Series(
        lambda key: made.append(key) or ":".join(key), lambda key: (key[0], "*")
    )
    for number in range(MAX_SERIES):
        series.of(("own", str(number)))
    assert [series.of(("own", "late")), series.of(("own", "later")), series.of(("own", "5"))] == [
        "own:*",
        "own:*",
        "own:5",
    ]
    assert len(made) == MAX_SERIES + 1


@pytest.mark.parametrize("count", [1 << 62, -5, 1 << 33], ids=str)
async def test_counts_that_no_export_could_hold_are_left_out(count: int) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(reply(usage=(count, 1)))) as gateway:
        await gateway.chat("hi")
        await metering.wait()
        sums = [point["sum"] for point in metering.points("gen_ai.client.token.usage")]
        assert max(sums, default=0) <= 1

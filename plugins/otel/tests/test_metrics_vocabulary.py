"""The newer draft's metrics, and exemplars."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from chatproxy_otel.names import LATEST_NAMES, STABLE_NAMES, Names, names_of

from chatproxy.testing import ScriptedUpstream, error_reply, make_app, raw_reply, reply, stream_reply
from chatproxy.testing.replies import tool_calls_reply

from .metering import Metering
from .test_metrics_models import CHAT, DURATION_BUCKETS, TOKEN_BUCKETS, UPSTREAM, Dice, gateway_of

INFERENCE, EMBEDDINGS = "gen_ai.client.inference", "gen_ai.client.embeddings"
OLD = ("gen_ai.client.operation.", "gen_ai.client.token.")
USED = f"{INFERENCE}.usage"


def answer(**usage: Any) -> Any:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
    body = {"id": "c1", "object": "chat.completion", "model": "scripted", "choices": [choice], "usage": usage}
    return raw_reply(msgspec.json.encode(body))


async def test_the_draft_has_a_histogram_and_a_counter_for_each_kind_of_tokens() -> None:
    metering = Metering(names=LATEST_NAMES)
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    async with gateway_of(metering, ScriptedUpstream(answer(**usage))) as gateway:
        await gateway.chat("hi")
        [attempt] = (await metering.wait()).attempts
        assert metering.points(f"{INFERENCE}.duration") == [{**CHAT, "count": 1, "sum": attempt.duration_s}]
        assert metering.points(f"{INFERENCE}.operation.input_tokens") == [{**CHAT, "count": 1, "sum": 100}]
        assert metering.points(f"{INFERENCE}.operation.output_tokens") == [{**CHAT, "count": 1, "sum": 50}]
        used = {**CHAT, "gen_ai.token.modality": "unknown"}
        assert {name: metering.points(name) for name in metering.names() if name.startswith(USED)} == {
            f"{USED}.input_tokens": [{**used, "value": 100}],
            f"{USED}.output_tokens": [{**used, "value": 50}],
            f"{USED}.cache_read.input_tokens": [{**used, "value": 64}],
            f"{USED}.cache_write.input_tokens": [{**used, "value": 8}],
            f"{USED}.reasoning.output_tokens": [{**used, "value": 20}],
        }
        assert not [name for name in metering.names() if name.startswith(OLD)]


@pytest.mark.parametrize(
    ("name", "unit", "buckets"),
    [
        ("duration", "s", DURATION_BUCKETS),
        ("time_to_first_chunk", "s", DURATION_BUCKETS),
        ("time_per_output_chunk", "s", DURATION_BUCKETS),
        ("operation.input_tokens", "{token}", TOKEN_BUCKETS),
        ("operation.output_tokens", "{token}", TOKEN_BUCKETS),
    ],
)
async def test_units_and_buckets_are_those_of_the_draft(name: str, unit: str, buckets: tuple[float, ...]) -> None:
    metering = Metering(names=LATEST_NAMES)
    async with gateway_of(metering, ScriptedUpstream(stream_reply())) as gateway:
        await gateway.chat("hi", stream=True)
        await metering.wait()
        metric: Any = metering.metric(f"{INFERENCE}.{name}")
        assert (metric.unit, [point.explicit_bounds for point in metric.data.data_points]) == (unit, [buckets])


async def test_the_draft_wants_tokens_of_a_failed_call_too_as_nought() -> None:
    metering = Metering(names=LATEST_NAMES)
    upstream = ScriptedUpstream(error_reply(500, code="boom"))
    async with gateway_of(metering, upstream, models={"scripted": {}}) as gateway:
        await gateway.chat("hi")
        await metering.wait()
        call = {key: value for key, value in CHAT.items() if key != "gen_ai.response.model"}
        failed = {**call, "error.type": "boom", "count": 1, "sum": 0}
        assert metering.points(f"{INFERENCE}.operation.input_tokens") == [failed]
        assert metering.points(f"{INFERENCE}.operation.output_tokens") == [failed]
        used = {**call, "gen_ai.token.modality": "unknown", "value": 0}
        assert metering.points(f"{USED}.input_tokens") == [used]
        assert metering.counts(f"{INFERENCE}.duration", "error.type") == {"boom": 1}


async def test_rounds_of_a_tool_loop_are_summed_in_the_drafts_counters() -> None:
    metering = Metering(names=LATEST_NAMES)
    async with gateway_of(
        metering, ScriptedUpstream(tool_calls_reply(("roll", "{}")), reply(usage=(30, 7))), Dice()
    ) as gateway:
        await gateway.chat("hi")
        await metering.wait()
        assert metering.counts(f"{USED}.input_tokens", "gen_ai.request.model")["scripted"] == 39


async def test_the_draft_has_metrics_of_its_own_for_embeddings() -> None:
    metering = Metering(names=LATEST_NAMES)
    embedding = {"object": "embedding", "index": 0, "embedding": [0.5]}
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    body = {"object": "list", "model": "scripted", "data": [embedding], "usage": usage}
    async with gateway_of(metering, ScriptedUpstream(raw_reply(msgspec.json.encode(body)))) as gateway:
        await gateway.client.post("/v1/embeddings", json={"model": "scripted", "input": "hi"})
        [attempt] = (await metering.wait()).attempts
        call = {**CHAT, "gen_ai.operation.name": "embeddings"}
        assert metering.points(f"{EMBEDDINGS}.duration") == [{**call, "count": 1, "sum": attempt.duration_s}]
        assert metering.points(f"{EMBEDDINGS}.operation.input_tokens") == [{**call, "count": 1, "sum": 5}]
        assert not [name for name in metering.names() if name.startswith(INFERENCE)]


@pytest.mark.parametrize(("names", "operations"), [(STABLE_NAMES, {"images": 1}), (LATEST_NAMES, {})])
async def test_the_draft_has_no_metric_for_an_operation_that_is_no_inference(
    names: Names, operations: dict[str, int]
) -> None:
    metering = Metering(names=names)
    upstreams = {"default": {"base_url": "http://127.0.0.1:9000/v1", "surfaces": ["images"]}}
    upstream = ScriptedUpstream(raw_reply(b'{"created":1,"data":[]}'))
    async with make_app(plugins=[metering], upstream=upstream, upstreams=upstreams) as gateway:
        await gateway.client.post("/v1/images/generations", json={"model": "painter", "prompt": "a boat"})
        await metering.wait()
        assert metering.counts("gen_ai.client.operation.duration", "gen_ai.operation.name") == operations
        assert metering.counts("gen_ai.server.request.duration", "gen_ai.operation.name") == {"images": 1}
        request = {"http.request.method": "POST", "http.response.status_code": 200, **UPSTREAM}
        assert [{**point, "sum": 0} for point in metering.points("http.client.request.duration")] == [
            {**request, "count": 1, "sum": 0}
        ]


@pytest.mark.parametrize(("is_sampled", "found"), [(True, 1), (False, 0)], ids=["sampled", "not sampled"])
async def test_a_duration_of_a_sampled_exchange_leads_to_its_span(is_sampled: bool, found: int) -> None:
    metering = Metering(is_sampled=is_sampled)
    async with gateway_of(metering, ScriptedUpstream(stream_reply())) as gateway:
        await gateway.chat("hi", stream=True)
        await metering.wait()
        trace, metrics = metering.contexts[0].trace, metering.read()
        for name in (
            "gen_ai.client.operation.duration",
            "gen_ai.client.operation.time_to_first_chunk",
            "gen_ai.server.request.duration",
            "gen_ai.server.time_to_first_token",
            "http.server.request.duration",
            "http.client.request.duration",
        ):
            [point] = metrics[name].data.data_points
            ids = {(f"{exemplar.trace_id:032x}", f"{exemplar.span_id:016x}") for exemplar in point.exemplars}
            assert ids == ({(trace.trace_id, trace.span_id)} if found else set()), name


def test_the_environment_chooses_the_vocabulary() -> None:
    assert names_of(None, {}) is STABLE_NAMES
    assert names_of(None, {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,gen_ai_latest_experimental"}) is LATEST_NAMES

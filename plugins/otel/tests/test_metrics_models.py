"""What calls of models are measured by: durations, tokens, chunks, and the HTTP requests behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from chatproxy import ApiError, ChatRequest, Reply, RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.testing import Fault, ScriptedUpstream, error_reply, make_app, raw_reply, reply, stream_reply
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.testing.replies import tool_calls_reply
from chatproxy.types import Completed, Rounds

from .metering import Metering

DURATION, TOKENS = "gen_ai.client.operation.duration", "gen_ai.client.token.usage"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
PER_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
REQUESTS = "http.client.request.duration"
STREAMS = {FIRST_CHUNK, PER_CHUNK}
DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
UPSTREAM = {"server.address": "127.0.0.1", "server.port": 9000}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "scripted",
    "gen_ai.response.model": "scripted",
    **UPSTREAM,
}
CallNext = Callable[[ChatRequest], Awaitable[Reply]]


def gateway_of(metering: Metering, upstream: ScriptedUpstream, *plugins: object, **settings: Any) -> Any:
    settings.setdefault("upstream_url", "http://127.0.0.1:9000/v1")
    return make_app(plugins=[metering, *plugins], upstream=upstream, **settings)


class Retry:
    """Asks once more where the first time fails."""

    chatproxy_name = "retry"

    @hookimpl
    async def around_execute(self, request: ChatRequest, call_next: CallNext) -> Reply:
        try:
            return await call_next(request)
        except ApiError:
            return await call_next(request)


class Dice:
    """Runs the calls of the model's first answer and asks again."""

    chatproxy_name = "dice"

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: CallNext) -> Reply:
        async def roll(call: ToolCall) -> ToolResult:
            return ToolResult(content="4", is_error=call.name == "broken")

        rounds = Rounds(ctx.layout, hides=lambda _: True)
        first = await call_next(request)
        assert isinstance(first, Completed)
        rounds.add(first.body)
        turn = rounds.turn()
        request.answer_calls(turn, {call.id: await ctx.call_tool(call, roll) for call in turn.tool_calls})
        rounds.go_on()
        second = await call_next(request)
        assert isinstance(second, Completed)
        rounds.add(second.body)
        return Completed(rounds.result())


async def test_a_buffered_call_has_a_duration_tokens_and_a_request() -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(reply(usage=(9, 12)))) as gateway:
        await gateway.chat("hi")
        exchange = await metering.wait()
        [attempt] = exchange.attempts
        assert metering.points(DURATION) == [{**CHAT, "count": 1, "sum": attempt.duration_s}]
        assert metering.points(TOKENS) == [
            {**CHAT, "gen_ai.token.type": "input", "count": 1, "sum": 9},
            {**CHAT, "gen_ai.token.type": "output", "count": 1, "sum": 12},
        ]
        request = {**UPSTREAM, "http.request.method": "POST", "http.response.status_code": 200}
        assert metering.points(REQUESTS) == [{**request, "count": 1, "sum": attempt.duration_s}]
        assert not metering.names() & STREAMS


@pytest.mark.parametrize(
    ("name", "unit", "buckets"),
    [
        (DURATION, "s", DURATION_BUCKETS),
        (FIRST_CHUNK, "s", DURATION_BUCKETS),
        (PER_CHUNK, "s", DURATION_BUCKETS),
        (TOKENS, "{token}", TOKEN_BUCKETS),
        (REQUESTS, "s", (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)),
    ],
)
async def test_units_and_buckets_are_those_of_the_conventions(name: str, unit: str, buckets: tuple[float, ...]) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(stream_reply())) as gateway:
        await gateway.chat("hi", stream=True)
        await metering.wait()
        metric: Any = metering.metric(name)
        assert metric.unit == unit
        assert metric.description
        assert {point.explicit_bounds for point in metric.data.data_points} == {buckets}


async def test_a_stream_has_the_time_of_its_first_chunk_and_the_mean_of_the_others() -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(stream_reply(["a", "b", "c"]))) as gateway:
        await gateway.chat("hi", stream=True)
        [attempt] = (await metering.wait()).attempts
        assert attempt.first_chunk_s is not None
        assert attempt.duration_s is not None
        assert attempt.events == 6
        mean = (attempt.duration_s - attempt.first_chunk_s) / 5
        assert metering.points(FIRST_CHUNK) == [{**CHAT, "count": 1, "sum": attempt.first_chunk_s}]
        assert metering.points(PER_CHUNK) == [{**CHAT, "count": 1, "sum": pytest.approx(mean)}]
        assert metering.counts(DURATION, "error.type") == {None: 1}


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_every_surface_is_measured_alike(cell: Cell) -> None:
    metering = Metering()
    upstreams = {"default": {"base_url": "http://127.0.0.1:9000/v1", "surfaces": [cell.spoken]}}
    upstream = cell.upstream(Said(content="Good day to you.", usage=(9, 12)))
    async with make_app(plugins=[metering], upstream=upstream, upstreams=upstreams) as gateway:
        await cell.ask(gateway, "hi")
        await metering.wait()
        operation = "text_completion" if cell.spoken == "completions" else "chat"
        provider = "anthropic" if cell.spoken == "messages" else "openai"
        call = {**CHAT, "gen_ai.operation.name": operation, "gen_ai.provider.name": provider}
        [duration] = metering.points(DURATION)
        assert {**duration, "sum": 0} == {**call, "count": 1, "sum": 0}
        assert metering.points(TOKENS) == [
            {**call, "gen_ai.token.type": "input", "count": 1, "sum": 9},
            {**call, "gen_ai.token.type": "output", "count": 1, "sum": 12},
        ]
        assert metering.names() & STREAMS == (STREAMS if cell.is_streamed else set())


async def test_embeddings_have_input_tokens_alone() -> None:
    metering = Metering()
    embedding = {"object": "embedding", "index": 0, "embedding": [0.5]}
    body = {"object": "list", "model": "e", "data": [embedding], "usage": {"prompt_tokens": 5, "total_tokens": 5}}
    async with gateway_of(metering, ScriptedUpstream(raw_reply(msgspec.json.encode(body)))) as gateway:
        await gateway.client.post("/v1/embeddings", json={"model": "scripted", "input": "hi"})
        await metering.wait()
        call = {**CHAT, "gen_ai.operation.name": "embeddings", "gen_ai.response.model": "e"}
        assert metering.points(TOKENS) == [{**call, "gen_ai.token.type": "input", "count": 1, "sum": 5}]
        assert metering.counts(DURATION, "gen_ai.operation.name") == {"embeddings": 1}


@pytest.mark.parametrize(
    ("script", "status", "error", "request_error"),
    [
        (error_reply(500, code="boom"), 500, "boom", "500"),
        (error_reply(429, code=None), 429, "429", "429"),
        (error_reply(400, code="no code at all"), 400, "_OTHER", "400"),
        (raw_reply(fault=Fault.REFUSE), None, "upstream_unreachable", "upstream_unreachable"),
    ],
    ids=["its own code", "no code", "a sentence as code", "refused"],
)
async def test_a_failed_call_has_an_error_type_and_no_tokens(
    script: Any, status: int | None, error: str, request_error: str
) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(script), models={"scripted": {}}) as gateway:
        await gateway.chat("hi")
        [attempt] = (await metering.wait()).attempts
        call = {key: value for key, value in CHAT.items() if key != "gen_ai.response.model"}
        assert metering.points(DURATION) == [{**call, "error.type": error, "count": 1, "sum": attempt.duration_s}]
        assert metering.points(TOKENS) == []
        request = {**UPSTREAM, "http.request.method": "POST", "error.type": request_error}
        if status is not None:
            request["http.response.status_code"] = status
        assert metering.points(REQUESTS) == [{**request, "count": 1, "sum": attempt.duration_s}]


async def test_a_retried_call_is_one_operation_and_two_requests() -> None:
    metering = Metering()
    upstream = ScriptedUpstream(error_reply(503, code="busy"), stream_reply())
    async with gateway_of(metering, upstream, Retry()) as gateway:
        await gateway.chat("hi", stream=True)
        first, second = (await metering.wait()).attempts
        assert second.duration_s is not None
        assert second.first_chunk_s is not None
        whole = second.started_s + second.duration_s - first.started_s
        waited = second.started_s + second.first_chunk_s - first.started_s
        assert metering.points(DURATION) == [{**CHAT, "count": 1, "sum": pytest.approx(whole)}]
        assert metering.points(FIRST_CHUNK) == [{**CHAT, "count": 1, "sum": pytest.approx(waited)}]
        assert metering.counts(REQUESTS, "http.response.status_code", "error.type") == {(503, "503"): 1, (200, None): 1}


async def test_each_round_of_a_tool_loop_is_an_operation_with_its_own_tokens() -> None:
    metering = Metering()
    upstream = ScriptedUpstream(tool_calls_reply(("roll", "{}"), ("broken", "{}")), reply(usage=(30, 7)))
    async with gateway_of(metering, upstream, Dice()) as gateway:
        await gateway.chat("hi")
        exchange = await metering.wait()
        sums = {point["gen_ai.token.type"]: (point["count"], point["sum"]) for point in metering.points(TOKENS)}
        assert sums == {"input": (2, 39), "output": (2, 19)}
        assert metering.counts(DURATION, "gen_ai.request.model") == {"scripted": 2}
        well, badly = exchange.tool_calls
        assert metering.points("gen_ai.execute_tool.duration") == [
            {"gen_ai.tool.name": "roll", "count": 1, "sum": well.duration_s},
            {"gen_ai.tool.name": "broken", "error.type": "tool_error", "count": 1, "sum": badly.duration_s},
        ]


@pytest.mark.parametrize("finish", [None, "stop"], ids=["before its counts", "after its counts"])
async def test_a_stream_that_breaks_off_is_a_failed_call_without_tokens_and_chunks(finish: str | None) -> None:
    metering = Metering()
    upstream = ScriptedUpstream(stream_reply(finish_reason=finish, done=False, fault=Fault.RESET))
    async with gateway_of(metering, upstream) as gateway:
        await gateway.chat("hi", stream=True)
        await metering.wait()
        assert metering.counts(DURATION, "error.type") == {"upstream_disconnected": 1}
        assert metering.points(TOKENS) == []
        assert not metering.names() & STREAMS
        assert metering.counts(REQUESTS, "http.response.status_code", "error.type") == {
            (200, "upstream_disconnected"): 1
        }


async def test_a_client_that_leaves_is_no_error_of_the_call() -> None:
    metering = Metering()
    upstream = ScriptedUpstream(stream_reply(finish_reason=None, fault=Fault.STALL))
    async with gateway_of(metering, upstream) as gateway:
        body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            await anext(answer.aiter_bytes())
        exchange = await metering.wait()
        assert exchange.outcome == "client_disconnected"
        assert metering.counts(DURATION, "error.type") == {None: 1}
        assert metering.points(TOKENS) == []  # nobody counted them
        assert metering.counts(FIRST_CHUNK, "gen_ai.request.model") == {"scripted": 1}


@pytest.mark.parametrize(
    "answer", [reply(usage=None), reply(usage=(1 << 70, 1))], ids=["only estimated", "more than there can be"]
)
async def test_tokens_that_nobody_counted_are_not_recorded(answer: Any) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(answer)) as gateway:
        await gateway.chat("hi")
        exchange = await metering.wait()
        assert exchange.usage is not None
        assert metering.points(TOKENS) == []
        assert metering.counts(DURATION, "error.type") == {None: 1}


async def test_a_model_in_the_process_has_no_requests() -> None:
    metering = Metering()
    async with make_app(plugins=[metering], demo=True) as gateway:
        await gateway.chat("hi", model="demo")
        await metering.wait()
        assert metering.counts(DURATION, "gen_ai.provider.name", "server.address") == {("chatproxy.demo", None): 1}
        assert metering.points(REQUESTS) == []


async def test_a_configured_provider_names_the_series() -> None:
    metering = Metering(providers={"default": "acme"})
    async with gateway_of(metering, ScriptedUpstream()) as gateway:
        await gateway.chat("hi")
        await metering.wait()
        assert metering.counts(DURATION, "gen_ai.provider.name") == {"acme": 1}

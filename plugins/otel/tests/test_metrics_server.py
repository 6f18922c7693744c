"""What exchanges are measured by, as clients see them: by GenAI's conventions for servers, and by HTTP's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from chatproxy import (
    ChatRequest,
    Principal,
    Reject,
    Reply,
    RequestContext,
    Stream,
    StreamEvent,
    ToolCall,
    ToolResult,
    hookimpl,
)
from chatproxy.testing import Fault, ScriptedUpstream, error_reply, make_app, raw_reply, reply, stream_reply
from chatproxy.testing.replies import tool_calls_reply
from chatproxy.types import Rounds

from .metering import Metering
from .test_metrics_models import CHAT, DURATION_BUCKETS, UPSTREAM, CallNext, Dice, gateway_of

DURATION = "gen_ai.server.request.duration"
FIRST_TOKEN, PER_TOKEN = "gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"
HTTP = "http.server.request.duration"
TOLD = {key: value for key, value in CHAT.items() if key not in UPSTREAM}
ROUTE = {"http.request.method": "POST", "url.scheme": "http", "http.route": "/v1/chat/completions"}
ASKED = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


class Guard:
    """Refuses everything."""

    chatproxy_name = "guard"

    @hookimpl
    async def before_request(self) -> None:
        raise Reject("no", code="refused_by_guard")


class Broken:
    """Fails."""

    chatproxy_name = "broken"

    @hookimpl
    async def before_request(self) -> None:
        raise ZeroDivisionError


async def test_a_whole_answer_has_a_duration_and_no_times_of_tokens() -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream()) as gateway:
        await gateway.chat("hi")
        exchange = await metering.wait()
        assert metering.points(DURATION) == [{**TOLD, "count": 1, "sum": exchange.duration_s}]
        http = {**ROUTE, "http.response.status_code": 200}
        assert metering.points(HTTP) == [{**http, "count": 1, "sum": exchange.duration_s}]
        assert not metering.names() & {FIRST_TOKEN, PER_TOKEN}


async def test_a_stream_has_the_times_of_its_tokens() -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(stream_reply(usage=(9, 12)))) as gateway:
        await gateway.chat("hi", stream=True)
        exchange = await metering.wait()
        assert exchange.first_byte_s is not None
        mean = (exchange.duration_s - exchange.first_byte_s) / 11
        assert metering.points(FIRST_TOKEN) == [{**TOLD, "count": 1, "sum": exchange.first_byte_s}]
        assert metering.points(PER_TOKEN) == [{**TOLD, "count": 1, "sum": pytest.approx(mean)}]
        assert metering.points(DURATION) == [{**TOLD, "count": 1, "sum": exchange.duration_s}]


@pytest.mark.parametrize(
    ("name", "buckets"),
    [
        (DURATION, DURATION_BUCKETS),
        (FIRST_TOKEN, (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)),
        (PER_TOKEN, (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)),
        (HTTP, (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)),
    ],
)
async def test_units_and_buckets_are_those_of_the_conventions(name: str, buckets: tuple[float, ...]) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(stream_reply())) as gateway:
        await gateway.chat("hi", stream=True)
        await metering.wait()
        metric: Any = metering.metric(name)
        assert metric.unit == "s"
        assert [point.explicit_bounds for point in metric.data.data_points] == [buckets]


@pytest.mark.parametrize(
    "answer", [stream_reply(usage=None), stream_reply(usage=(9, 1))], ids=["only estimated", "a single token"]
)
async def test_tokens_that_cannot_be_timed_are_not(answer: Any) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(answer)) as gateway:
        await gateway.chat("hi", stream=True)
        await metering.wait()
        assert metering.counts(FIRST_TOKEN, "gen_ai.operation.name") == {"chat": 1}
        assert metering.points(PER_TOKEN) == []


class StreamedDice:
    """Asks twice, with a tool between, and streams both answers as one."""

    chatproxy_name = "dice"

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: CallNext) -> Reply:
        return Stream.of(self._rounds(ctx, request, call_next), layout=ctx.layout)

    async def _rounds(
        self, ctx: RequestContext, request: ChatRequest, call_next: CallNext
    ) -> AsyncIterator[StreamEvent]:
        async def roll(call: ToolCall) -> ToolResult:
            return ToolResult(content="4")

        rounds = Rounds(ctx.layout, hides=lambda _: True)
        for _ in range(2):
            async for event in rounds.streamed(await call_next(request)):
                yield event
            await ctx.call_tool(ToolCall(id="1", name="roll", arguments={}), roll)
            rounds.go_on()
        for event in rounds.end():
            yield event


async def test_tokens_of_several_rounds_are_not_timed_since_tools_ran_between_them() -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(stream_reply()), StreamedDice()) as gateway:
        await gateway.chat("hi", stream=True)
        exchange = await metering.wait()
        assert exchange.outcome == "completed"
        assert metering.counts("gen_ai.client.operation.time_per_output_chunk", "gen_ai.operation.name") == {"chat": 2}
        assert metering.points(FIRST_TOKEN) == [{**TOLD, "count": 1, "sum": exchange.first_byte_s}]
        assert metering.points(PER_TOKEN) == []


async def test_a_loop_of_tools_is_one_answer() -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(tool_calls_reply(("roll", "{}")), reply()), Dice()) as gateway:
        await gateway.chat("hi")
        exchange = await metering.wait()
        assert len(exchange.attempts) == 2
        assert metering.points(DURATION) == [{**TOLD, "count": 1, "sum": exchange.duration_s}]


@pytest.mark.parametrize(
    ("script", "plugin", "status", "error", "http_error"),
    [
        (error_reply(500, code="boom"), None, 500, "boom", "500"),
        (error_reply(429, code=None), None, 429, "429", None),
        (error_reply(404, code="model_not_found"), None, 404, "model_not_found", None),
        (raw_reply(fault=Fault.REFUSE), None, 502, "upstream_unreachable", "502"),
        (reply(), Guard(), 400, "refused_by_guard", None),
        (reply(), Broken(), 500, "plugin_failed", "500"),
    ],
    ids=["upstream fails", "upstream is busy", "upstream refuses", "upstream is gone", "guard refuses", "plugin fails"],
)
async def test_what_failed_has_an_error_type_and_http_only_where_it_is_the_servers_fault(
    script: Any, plugin: object | None, status: int, error: str, http_error: str | None
) -> None:
    metering = Metering()
    plugins = [] if plugin is None else [plugin]
    async with gateway_of(metering, ScriptedUpstream(script), *plugins, models={"scripted": {}}) as gateway:
        await gateway.chat("hi")
        exchange = await metering.wait()
        provider = "openai" if plugin is None else "chatproxy"
        told = {**TOLD, "gen_ai.provider.name": provider, "error.type": error}
        del told["gen_ai.response.model"]
        assert metering.points(DURATION) == [{**told, "count": 1, "sum": exchange.duration_s}]
        http = {**ROUTE, "http.response.status_code": status}
        if http_error is not None:
            http["error.type"] = http_error
        assert metering.points(HTTP) == [{**http, "count": 1, "sum": exchange.duration_s}]


async def test_a_stream_that_breaks_off_failed_although_its_status_was_good() -> None:
    metering = Metering()
    upstream = ScriptedUpstream(stream_reply(finish_reason=None, fault=Fault.RESET))
    async with gateway_of(metering, upstream) as gateway:
        await gateway.chat("hi", stream=True)
        await metering.wait()
        assert metering.counts(DURATION, "error.type") == {"upstream_disconnected": 1}
        assert metering.counts(HTTP, "http.response.status_code", "error.type") == {(200, "upstream_disconnected"): 1}
        assert metering.points(FIRST_TOKEN) == []


async def test_a_client_that_leaves_in_mid_stream_is_no_error() -> None:
    metering = Metering()
    upstream = ScriptedUpstream(stream_reply(finish_reason=None, fault=Fault.STALL))
    async with gateway_of(metering, upstream) as gateway:
        async with gateway.client.stream("POST", "/v1/chat/completions", json={**ASKED, "stream": True}) as answer:
            await anext(answer.aiter_bytes())
        await metering.wait()
        assert metering.counts(DURATION, "error.type") == {None: 1}
        assert metering.counts(HTTP, "http.response.status_code", "error.type") == {(200, None): 1}
        assert metering.points(FIRST_TOKEN) == []


async def test_a_client_that_leaves_before_the_answer_has_no_status() -> None:
    metering = Metering()
    upstream = ScriptedUpstream(raw_reply(fault=Fault.STALL_BEFORE))
    async with gateway_of(metering, upstream) as gateway:
        asking = asyncio.ensure_future(gateway.chat("hi"))
        await upstream.wait_asked()
        asking.cancel()
        await asyncio.wait([asking])
        exchange = await metering.wait()
        assert (exchange.outcome, exchange.status) == ("client_disconnected", 499)
        assert metering.counts(DURATION, "error.type") == {None: 1}
        assert metering.counts(HTTP, "http.response.status_code", "error.type") == {(None, None): 1}


async def test_a_route_is_measured_by_its_template() -> None:
    metering = Metering()
    body = msgspec.json.encode({"id": "file-1", "object": "file"})
    upstreams = {"default": {"base_url": "http://127.0.0.1:9000/v1", "surfaces": ["files"]}}
    async with make_app(plugins=[metering], upstream=ScriptedUpstream(raw_reply(body)), upstreams=upstreams) as gateway:
        for name in ("file-1", "file-2"):
            await gateway.client.get(f"/v1/files/{name}")
        await metering.wait(2)
        assert metering.counts(HTTP, "http.request.method", "http.route") == {("GET", "/v1/files/{file_id}"): 2}
        assert not [name for name in metering.names() if name.startswith("gen_ai.")]  # no model is asked
        assert metering.counts("http.client.request.duration", "http.request.method") == {"GET": 2}


class Keys:
    """Knows everybody by name."""

    chatproxy_name = "keys"

    @hookimpl
    async def authenticate(self, headers: Any) -> Principal:
        return Principal(id=headers["authorization"].removeprefix("Bearer "))


@pytest.mark.parametrize("tells", [True, False], ids=["told apart", "not told apart"])
async def test_users_are_told_apart_where_that_is_asked_for(tells: bool) -> None:
    metering = Metering(user_metrics=tells)
    async with gateway_of(metering, ScriptedUpstream(), Keys()) as gateway:
        for user in ("ada", "bob", "ada"):
            headers = {"authorization": f"Bearer {user}"}
            await gateway.client.post("/v1/chat/completions", json=ASKED, headers=headers)
        await metering.wait(3)
        wanted = {"ada": 2, "bob": 1} if tells else {None: 3}
        assert metering.counts(DURATION, "user.id") == wanted
        assert metering.counts("gen_ai.client.operation.duration", "user.id") == wanted
        tokens = metering.counts("gen_ai.client.token.usage", "user.id", "gen_ai.token.type")
        assert tokens == {(user, kind): count for user, count in wanted.items() for kind in ("input", "output")}

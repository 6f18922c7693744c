"""`after_response` and `on_error`: AFTER."""

from __future__ import annotations

import asyncio
from typing import Any

from chatproxy import Reject
from chatproxy.testing import Fault, Recorder, ScriptedUpstream, error_reply, reply, stream_reply
from tests.hooks.cases import Plugin, gateway, hang, policy


async def test_hook_after_response() -> None:
    recorder = Recorder()
    async with gateway(recorder, upstream=ScriptedUpstream(reply("hi", usage=(3, 4)))) as app:
        await app.chat("x")
        exchange = await recorder.wait()
    assert recorder.calls[-1] == "after_response"
    assert (exchange.outcome, exchange.status, exchange.model) == ("completed", 200, "scripted")
    assert exchange.usage is not None
    assert (exchange.usage.prompt_tokens, exchange.usage.completion_tokens) == (3, 4)
    assert exchange.usage.source == "provider"
    assert exchange.finish_reasons == ["stop"]
    assert exchange.upstream == "default"


async def test_stream_is_accounted_as_a_buffered_reply() -> None:
    recorder = Recorder()
    async with gateway(recorder, upstream=ScriptedUpstream(reply("Hello."), stream_reply())) as app:
        await app.chat("x")
        await app.chat("x", stream=True)
        buffered, streamed = await recorder.wait(1), await recorder.wait(2)
    assert streamed.usage == buffered.usage
    assert streamed.finish_reasons == buffered.finish_reasons
    assert (streamed.outcome, streamed.status) == (buffered.outcome, buffered.status)
    assert streamed.events == 5


async def test_usage_is_estimated_where_the_upstream_gives_none() -> None:
    recorder = Recorder()
    upstream = ScriptedUpstream(reply("x" * 40, usage=None), stream_reply(["x" * 20, "x" * 20], usage=None))
    async with gateway(recorder, upstream=upstream) as app:
        await app.chat("y" * 8)
        await app.chat("y" * 8, stream=True)
        usages = [(await recorder.wait(n)).usage for n in (1, 2)]
    assert usages[0] == usages[1]
    assert usages[0] is not None
    assert (usages[0].source, usages[0].prompt_tokens, usages[0].completion_tokens) == ("estimated", 2, 10)


async def test_client_that_leaves_is_billed_what_had_come() -> None:
    recorder = Recorder()
    upstream = ScriptedUpstream(stream_reply(["x" * 40], fault=Fault.STALL, finish_reason=None))
    async with gateway(recorder, upstream=upstream) as app:
        body = {"model": "m", "stream": True, "messages": []}
        async with app.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            seen = b""
            async for chunk in answer.aiter_bytes():
                seen += chunk
                if b"xxxx" in seen:
                    break
        exchange = await recorder.wait()
        await upstream.wait_closed()
    assert exchange.outcome == "client_disconnected"
    assert exchange.usage is not None
    assert (exchange.usage.source, exchange.usage.completion_tokens) == ("estimated", 10)
    assert len(recorder.exchanges) == 1


async def test_hook_on_error() -> None:
    recorder = Recorder()
    async with gateway(recorder, upstream=ScriptedUpstream(error_reply(429, code="rate_limited"))) as app:
        answer = await app.chat("x")
        exchange = await recorder.wait()
    assert answer.status_code == 429
    assert recorder.calls[-1] == "on_error"
    assert (exchange.outcome, exchange.status, exchange.error_code) == ("failed", 429, "rate_limited")
    assert recorder.errors[0].status == 429


async def test_error_inside_a_stream_reaches_on_error_once() -> None:
    recorder = Recorder()
    upstream = ScriptedUpstream(stream_reply(["x"], fault=Fault.RESET, finish_reason=None))
    async with gateway(recorder, upstream=upstream) as app:
        await app.chat("x", stream=True)
        exchange = await recorder.wait()
    assert recorder.calls.count("on_error") == 1
    assert "after_response" not in recorder.calls
    assert (exchange.status, exchange.error_code) == (200, "upstream_disconnected")


async def test_slow_telemetry_does_not_hold_the_answer_nor_another_plugin() -> None:
    recorder = Recorder()
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()

    async with gateway(Plugin("slow", after_response=slow), recorder) as app:
        for _ in range(3):
            assert (await app.chat("x")).status_code == 200
        await recorder.wait(3)
        gate.set()


async def test_raising_does_not_stop_the_next_call_nor_another_plugin() -> None:
    calls = []
    recorder = Recorder()

    async def broken() -> None:
        calls.append(1)
        raise ValueError("no")

    async with gateway(Plugin("a", after_response=broken), recorder) as app:
        await app.chat("x")
        await app.chat("x")
        await recorder.wait(2)
    assert calls == [1, 1]


async def test_hanging_is_ended_at_its_deadline() -> None:
    ended = asyncio.Event()

    async def after_response(exchange: Any) -> None:
        try:
            await hang()
        finally:
            ended.set()

    settings = policy("a", hooks={"after_response": {"deadline_s": 0.05}})
    async with gateway(Plugin("a", after_response=after_response), **settings) as app:
        await app.chat("x")
        await ended.wait()


async def test_queue_is_drained_at_shutdown() -> None:
    recorder = Recorder()
    async with gateway(recorder) as app:
        for _ in range(5):
            await app.chat("x")
    assert len(recorder.exchanges) == 5


async def test_full_queue_drops_and_counts(monkeypatch: Any) -> None:
    monkeypatch.setattr("chatproxy.plugins.background.QUEUE_LENGTH", 2)
    gate = asyncio.Event()
    handled = []

    async def slow() -> None:
        await gate.wait()
        handled.append(1)

    async with gateway(Plugin("slow", after_response=slow)) as app:
        for _ in range(6):
            await app.chat("x")
        report = (await app.client.get("/readyz")).json()
        gate.set()
    assert report["dropped_telemetry"] == {"slow": 4}
    assert len(handled) == 2


async def test_request_is_at_hand_as_the_plugins_left_it() -> None:
    seen: asyncio.Queue[Any] = asyncio.Queue()

    async def before_request(request: Any) -> Any:
        return {**request, "temperature": 0.5}

    async def refuse(ctx: Any) -> None:
        if ctx.headers.get("x-refused"):
            raise Reject("no")

    async def told(ctx: Any) -> None:
        seen.put_nowait(None if ctx.request is None else ctx.request["temperature"])

    plugins = [Plugin("a", before_request=before_request, after_response=told, on_error=told)]
    async with gateway(*plugins, Plugin("b", before_request=refuse)) as app:
        await app.chat("x")
        assert await seen.get() == 0.5
        body = {"model": "scripted", "messages": [{"role": "user", "content": "x"}]}
        await app.client.post("/v1/chat/completions", json=body, headers={"x-refused": "1"})
        assert await seen.get() is None

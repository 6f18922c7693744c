"""What is on record of each time that a handler was asked: how it went, how long it took, and what it said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatproxy import Completed, Reject, RequestContext, Stream, hookimpl
from chatproxy.testing import (
    Fault,
    Recorder,
    Scripted,
    ScriptedUpstream,
    error_reply,
    make_app,
    raw_reply,
    reply,
    stream_reply,
)
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.testing.matrix.said import scripted
from tests.engine.tracing import STREAMED, TRACED, Tracing, check_times, counted, handler_of, recorded

BASE = "https://up.example:8443/v1/"


# ── one attempt ──


@TRACED
@STREAMED
async def test_attempt_says_where_it_went_without_secrets(stream: bool, is_traced: bool) -> None:
    answer = stream_reply() if stream else reply()
    upstream = ScriptedUpstream(
        raw_reply(*answer.parts, content_type=answer.headers["content-type"], headers={"x-request-id": "up-1"})
    )
    settings = {"upstreams": {"default": {"base_url": BASE}}}
    exchange = await recorded(upstream=upstream, is_traced=is_traced, stream=stream, **settings)
    (attempt,) = exchange.attempts
    assert (attempt.handler, attempt.upstream, attempt.surface) == ("upstream:default", "default", "chat")
    assert (attempt.method, attempt.url) == ("POST", "https://up.example:8443/v1/chat/completions")
    assert (attempt.address, attempt.port) == ("up.example", 8443)
    assert (attempt.status, attempt.error_type, attempt.model) == (200, None, "scripted")
    assert (attempt.is_stream, attempt.upstream_request_id) == (stream, "up-1")
    assert (counted(attempt), attempt.finish_reasons) == ((9, 12), ["stop"])
    check_times(exchange)


@pytest.mark.parametrize(
    ("base_url", "url", "address", "port"),
    [
        ("http://up.example/v1", "http://up.example/v1/chat/completions", "up.example", 80),
        ("https://up.example", "https://up.example/chat/completions", "up.example", 443),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1/chat/completions", "::1", 8080),
    ],
)
async def test_attempt_names_host_and_port(base_url: str, url: str, address: str, port: int) -> None:
    exchange = await recorded(upstreams={"default": {"base_url": base_url}})
    (attempt,) = exchange.attempts
    assert (attempt.url, attempt.address, attempt.port) == (url, address, port)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.surface != "completions"], ids=str)
async def test_attempt_says_what_the_upstream_said(cell: Cell) -> None:
    """In the upstream's own words also where the client gets a translation."""
    recorder = Recorder()
    said = Said(content="Hello there.", usage=(7, 5))
    answer = scripted(cell.upstream_dialect, said, is_streamed=cell.is_streamed)
    upstream = ScriptedUpstream(answer)
    async with make_app(plugins=[Tracing(), recorder], upstream=upstream, upstreams=cell.upstreams) as app:
        heard = await cell.ask(app, "Hi")
        exchange = await recorder.wait()
    (attempt,) = exchange.attempts
    assert (attempt.surface, attempt.is_stream, attempt.status) == (cell.spoken, cell.is_streamed, 200)
    assert (counted(attempt), attempt.finish_reasons) == ((7, 5), ["stop"])
    assert attempt.response_id is not None
    assert attempt.response_id.encode() in b"".join(answer.parts)
    assert attempt.response_model is not None
    assert attempt.response_model.encode() in b"".join(answer.parts)
    assert (attempt.first_chunk_s is not None) is cell.is_streamed
    assert (attempt.events > 0) is cell.is_streamed
    assert heard.is_complete
    check_times(exchange)


# ── failures ──


FAILURES = [
    (Scripted(fault=Fault.REFUSE), None, "upstream_unreachable"),
    (error_reply(429, code="rate_limited"), 429, "rate_limited"),
    (raw_reply(b"oops", status=503, content_type="text/plain"), 503, "upstream_status"),
    (raw_reply(b"<html>", content_type="text/html"), 200, "upstream_invalid_response"),
    (raw_reply(b'{"a":', fault=Fault.RESET), 200, "upstream_disconnected"),
]


@TRACED
@pytest.mark.parametrize(("script", "status", "code"), FAILURES, ids=[code for _, _, code in FAILURES])
async def test_failed_attempt_says_how(script: Scripted, status: int | None, code: str, is_traced: bool) -> None:
    exchange = await recorded(upstream=ScriptedUpstream(script), is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert (attempt.status, attempt.error_type, attempt.usage) == (status, code, None)
    assert attempt.url is not None
    check_times(exchange)


@TRACED
async def test_stream_that_fails_before_its_first_byte(is_traced: bool) -> None:
    upstream = ScriptedUpstream(raw_reply(content_type="text/event-stream", fault=Fault.RESET))
    exchange = await recorded(upstream=upstream, stream=True, is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert (attempt.status, attempt.error_type, attempt.first_chunk_s) == (200, "upstream_disconnected", None)
    check_times(exchange)


BEGUN = stream_reply(["Hel"], finish_reason=None).parts
ERROR_EVENT = b'data: {"error": {"message": "no"}}\n\n'
MID = [
    (stream_reply(["Hel"], finish_reason=None, fault=Fault.RESET), "upstream_disconnected"),
    (stream_reply(["Hel"], finish_reason=None), "upstream_incomplete"),
    (stream_reply(["Hel"], finish_reason=None, fault=Fault.STALL), "upstream_idle_timeout"),
    (raw_reply(*BEGUN, ERROR_EVENT, content_type="text/event-stream"), None),
]


@TRACED
@pytest.mark.parametrize(("script", "code"), MID, ids=["reset", "cut off", "silent", "error event"])
async def test_stream_that_fails_in_the_middle(script: Scripted, code: str | None, is_traced: bool) -> None:
    settings: dict[str, Any] = {"idle_timeout_s": 0.05}
    exchange = await recorded(upstream=ScriptedUpstream(script), stream=True, is_traced=is_traced, **settings)
    (attempt,) = exchange.attempts
    assert attempt.error_type == exchange.error_code
    assert attempt.error_type is not None
    assert code in {None, attempt.error_type}
    assert (attempt.status, attempt.is_stream) == (200, True)
    assert attempt.first_chunk_s is not None
    assert attempt.events > 0
    check_times(exchange)


@TRACED
@STREAMED
async def test_client_that_leaves_is_no_failure_of_the_upstream(stream: bool, is_traced: bool) -> None:
    recorder = Recorder()
    stalled = (
        stream_reply(["Hel"], finish_reason=None, fault=Fault.STALL) if stream else Scripted(fault=Fault.STALL_BEFORE)
    )
    upstream = ScriptedUpstream(stalled)
    async with make_app(plugins=[recorder, *([Tracing()] if is_traced else [])], upstream=upstream) as app:
        if stream:
            body = {"model": "m", "stream": True, "messages": []}
            async with app.client.stream("POST", "/v1/chat/completions", json=body) as answer:
                async for chunk in answer.aiter_bytes():
                    if b"Hel" in chunk:
                        break
        else:
            asked = asyncio.ensure_future(app.chat("hi"))
            await upstream.wait_asked()
            asked.cancel()
        exchange = await recorder.wait()
    (attempt,) = exchange.attempts
    assert exchange.outcome == "client_disconnected"
    assert (attempt.error_type, attempt.duration_s is None) == (None, False)
    assert attempt.status == (200 if stream else None)
    check_times(exchange)


class Blocker:
    """Refuses a reply at the first text that has a word in it, buffered or in mid-stream."""

    chatproxy_name = "blocker"

    @hookimpl
    async def before_response(self) -> None:
        raise Reject("blocked", status=403, code="blocked")

    @hookimpl
    async def transform_stream(self) -> Any:
        async def blocked(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for event in events:
                if any("lo" in text.value for text in event.texts()):
                    raise Reject("blocked", status=403, code="blocked")
                yield event

        return blocked


@TRACED
@STREAMED
async def test_guard_that_blocks_is_no_failure_of_the_upstream(stream: bool, is_traced: bool) -> None:
    upstream = ScriptedUpstream(stream_reply(["Hel", "lo."]) if stream else reply("Hello."))
    exchange = await recorded(Blocker(), upstream=upstream, stream=stream, is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert exchange.error_code == "blocked"
    assert (attempt.error_type, attempt.status) == (None, 200)
    check_times(exchange)


# ── handlers of plugins ──


@TRACED
async def test_handler_that_raises_is_on_record_by_its_exception(is_traced: bool) -> None:
    async def execute(ctx: Any, request: Any) -> Any:
        raise ValueError("canary")

    exchange = await recorded(handler_of(execute), is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert (attempt.handler, attempt.error_type, exchange.error_code) == ("own", "ValueError", "handler_failed")
    assert (attempt.url, attempt.upstream, attempt.status) == (None, None, None)


@TRACED
async def test_handler_that_answers_nonsense_has_failed(is_traced: bool) -> None:
    async def execute(ctx: Any, request: Any) -> Any:
        return {"choices": []}

    (attempt,) = (await recorded(handler_of(execute), is_traced=is_traced)).attempts
    assert (attempt.handler, attempt.error_type) == ("own", "handler_failed")


@TRACED
async def test_answer_that_is_no_json_fails_the_same_way_with_a_tracer(is_traced: bool) -> None:
    async def execute(ctx: Any, request: Any) -> Any:
        return Completed({"id": "x", "choices": [], "odd": object()})

    exchange = await recorded(handler_of(execute), is_traced=is_traced)
    assert (exchange.status, exchange.error_code) == (500, "plugin_failed")


@TRACED
@STREAMED
async def test_handler_without_an_upstream_is_named_and_counted(stream: bool, is_traced: bool) -> None:
    message = {"role": "assistant", "content": "Hi"}

    async def said() -> AsyncIterator[Any]:
        yield {"id": "own-1", "model": "own", "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
        yield {"id": "own-1", "model": "own", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

    async def execute(ctx: Any, request: Any) -> Any:
        if request.stream:
            return Stream.of(said())
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return Completed({"id": "own-1", "model": "own", "choices": choices})

    exchange = await recorded(handler_of(execute), stream=stream, is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert (attempt.handler, attempt.surface, attempt.url, attempt.status) == ("own", "chat", None, None)
    assert (attempt.response_id, attempt.response_model) == (("own-1", "own") if is_traced else (None, None))
    assert (attempt.is_stream, attempt.error_type, attempt.finish_reasons) == (stream, None, ["stop"])
    assert (attempt.first_chunk_s is not None) is stream
    assert attempt.usage is not None
    assert attempt.usage.source == "estimated"
    check_times(exchange)


@TRACED
async def test_handler_fills_in_what_it_knows(is_traced: bool) -> None:
    async def execute(ctx: RequestContext, request: Any) -> Any:
        attempt = ctx.attempt
        assert attempt is not None
        await asyncio.sleep(0)
        attempt.upstream, attempt.url, attempt.address, attempt.status = "far", "wss://far/v1", "far", 101
        again = ctx.begin_attempt("own:second")
        again.end("timeout")
        return Completed({"choices": []})

    first, second = (await recorded(handler_of(execute), is_traced=is_traced)).attempts
    assert (first.upstream, first.url, first.address, first.status) == ("far", "wss://far/v1", "far", 101)
    assert (second.handler, second.error_type) == ("own:second", "timeout")
    assert (first.span_id != second.span_id) is is_traced

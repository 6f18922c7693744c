"""Several attempts in one exchange: retries, rounds of tools, and streams that a plugin makes anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatproxy import ChatRequest, Completed, RequestContext, Stream, UpstreamError, hookimpl
from chatproxy.testing import Fault, Recorder, ScriptedUpstream, error_reply, make_app, reply, stream_reply
from chatproxy.testing.matrix import Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted
from chatproxy.types import Rounds
from tests.engine.tracing import STREAMED, TRACED, Tracing, check_times, counted, handler_of, recorded
from tests.hooks.cases import Plugin


@TRACED
@STREAMED
async def test_retries_are_attempts(stream: bool, is_traced: bool) -> None:
    async def retry(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except UpstreamError:
            return await call_next(request)

    upstream = ScriptedUpstream(error_reply(503, code="busy"), stream_reply() if stream else reply())
    exchange = await recorded(Plugin("p", around_execute=retry), upstream=upstream, stream=stream, is_traced=is_traced)
    failed, answered = exchange.attempts
    assert (failed.status, failed.error_type, counted(failed)) == (503, "busy", None)
    assert (answered.status, answered.error_type, counted(answered)) == (200, None, (9, 12))
    assert exchange.outcome == "completed"
    check_times(exchange)


class Looper:
    """A tool loop of two rounds, as plugins write them."""

    chatproxy_name = "looper"

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: Any) -> Any:
        rounds = Rounds(ctx.layout, hides=lambda name: True)
        first = await call_next(request)
        if isinstance(first, Stream):
            return Stream.of(self._streamed(rounds, request, first, call_next), layout=first.layout)
        rounds.add(first.body)
        rounds.go_on()
        rounds.add((await call_next(request)).body)
        return Completed(rounds.result())

    async def _streamed(self, rounds: Rounds, request: ChatRequest, reply: Any, call_next: Any) -> AsyncIterator[Any]:
        async for event in rounds.streamed(reply):
            yield event
        rounds.go_on()
        async for event in rounds.streamed(await call_next(request)):
            yield event
        for event in rounds.end():
            yield event


@pytest.mark.parametrize("cell", cells_with(calls=True), ids=str)
async def test_each_round_has_its_own_usage_and_end(cell: Cell) -> None:
    asks = Said(content="Looking.", calls=(("look", "{}"),), usage=(3, 2))
    said = [asks, Said(content="There.", usage=(5, 4))]
    answers = [scripted(cell.upstream_dialect, one, is_streamed=cell.is_streamed) for one in said]
    recorder = Recorder()
    async with make_app(
        plugins=[Tracing(), Looper(), recorder], upstream=ScriptedUpstream(*answers), upstreams=cell.upstreams
    ) as app:
        heard = await cell.ask(app, "Hi")
        exchange = await recorder.wait()
    first, second = exchange.attempts
    assert (counted(first), counted(second), heard.usage) == ((3, 2), (5, 4), (8, 6))
    assert (first.finish_reasons, second.finish_reasons) == (["tool_calls"], ["stop"])
    for attempt, answer in zip(exchange.attempts, answers, strict=True):
        assert (attempt.surface, attempt.error_type, attempt.status) == (cell.spoken, None, 200)
        assert attempt.response_id is not None
        assert attempt.response_id.encode() in b"".join(answer.parts)
        assert (attempt.first_chunk_s is not None) is cell.is_streamed
    assert first.duration_s is not None
    assert first.started_s + first.duration_s <= second.started_s
    check_times(exchange)


@TRACED
async def test_round_that_breaks_off_is_the_one_that_failed(is_traced: bool) -> None:
    upstream = ScriptedUpstream(stream_reply(["one"]), stream_reply(["two"], finish_reason=None, fault=Fault.RESET))
    exchange = await recorded(Looper(), upstream=upstream, stream=True, is_traced=is_traced)
    first, second = exchange.attempts
    assert (first.error_type, counted(first)) == (None, (9, 12))
    assert (second.error_type, second.status) == ("upstream_disconnected", 200)
    check_times(exchange)


@TRACED
async def test_handlers_own_stream_that_raises_in_a_round_has_failed(is_traced: bool) -> None:
    async def said() -> AsyncIterator[Any]:
        yield {"id": "own-1", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
        raise ValueError("canary")

    async def execute(ctx: Any, request: Any) -> Any:
        return Stream.of(said())

    exchange = await recorded(handler_of(execute), Looper(), stream=True, is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert attempt.error_type == "ValueError"
    assert (attempt.events, attempt.first_chunk_s is not None) == (1, True)
    check_times(exchange)


class Rewrapper:
    """Makes a stream of its own out of the handler's, event by event."""

    chatproxy_name = "rewrapper"

    @hookimpl
    async def around_execute(self, request: Any, call_next: Any) -> Any:
        given = await call_next(request)

        async def again() -> AsyncIterator[Any]:
            async for event in given.events():
                yield event

        return Stream.of(again(), layout=given.layout)


@TRACED
async def test_stream_that_a_plugin_made_anew_counts_for_its_last_attempt(is_traced: bool) -> None:
    exchange = await recorded(Rewrapper(), upstream=ScriptedUpstream(stream_reply()), stream=True, is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert (counted(attempt), attempt.finish_reasons, attempt.error_type) == ((9, 12), ["stop"], None)
    check_times(exchange)


@TRACED
async def test_stream_that_a_plugin_made_anew_and_that_breaks_off_has_failed(is_traced: bool) -> None:
    upstream = ScriptedUpstream(stream_reply(["Hel"], finish_reason=None, fault=Fault.RESET))
    exchange = await recorded(Rewrapper(), upstream=upstream, stream=True, is_traced=is_traced)
    (attempt,) = exchange.attempts
    assert attempt.error_type == exchange.error_code == "upstream_disconnected"
    check_times(exchange)

"""What plugins have called at the end of an exchange, and the headers that they add to its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatproxy import Exchange, Principal, Reject, RequestContext, hookimpl
from chatproxy.testing import Fault, Recorder, ScriptedUpstream, error_reply, make_app, raw_reply, reply, stream_reply
from chatproxy.testing.matrix import CELLS, Cell, Said
from tests.hooks.cases import Plugin


class Endings:
    """Registers one call for each exchange, and adds a header."""

    def __init__(self) -> None:
        self.ended: list[Exchange] = []
        self.is_over = asyncio.Event()

    @hookimpl
    async def authenticate(self, ctx: RequestContext) -> Principal:
        if ctx.is_exchange:
            ctx.at_end(self.end)
            ctx.reply_headers["x-left"] = "9"
        return Principal(id="me")

    def end(self, exchange: Exchange) -> None:
        self.ended.append(exchange)
        self.is_over.set()


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_end_is_told_once_with_usage_on_every_surface(cell: Cell) -> None:
    plugin = Endings()
    said = Said(content="Hello there.", usage=(7, 5))
    async with make_app(plugins=[plugin], upstream=cell.upstream(said), upstreams=cell.upstreams) as app:
        heard = await cell.ask(app, "Hi")
    (exchange,) = plugin.ended
    assert (heard.status, exchange.outcome) == (200, "completed")
    assert exchange.usage is not None
    assert (exchange.usage.prompt_tokens, exchange.usage.completion_tokens) == (7, 5)


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "stream"])
async def test_end_is_told_of_a_failed_upstream_and_the_error_has_the_header(stream: bool) -> None:
    plugin = Endings()
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream(error_reply(500))) as app:
        answer = await app.chat("Hello", stream=stream)
    assert answer.headers["x-left"] == "9"
    (exchange,) = plugin.ended
    assert (exchange.outcome, exchange.status) == ("failed", answer.status_code)


async def test_end_is_told_of_a_stream_that_broke_off() -> None:
    plugin = Endings()
    broken = raw_reply(*stream_reply().parts[:2], content_type="text/event-stream", fault=Fault.RESET)
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream(broken)) as app:
        answer = await app.chat("Hello", stream=True)
    assert "error" in answer.text
    assert answer.headers["x-left"] == "9"
    assert [exchange.outcome for exchange in plugin.ended] == ["failed"]


async def test_end_is_told_of_what_a_plugin_refused() -> None:
    plugin, refusing = Endings(), Plugin("refusing", before_request=_refuse)
    async with make_app(plugins=[plugin, refusing]) as app:
        await app.chat("Hello")
    assert [(exchange.outcome, exchange.error_code) for exchange in plugin.ended] == [("rejected", "no")]


async def test_end_is_told_of_a_client_that_left() -> None:
    plugin = Endings()
    upstream = ScriptedUpstream(stream_reply(fault=Fault.STALL))
    async with make_app(plugins=[plugin], upstream=upstream) as app:
        body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        async with app.client.stream("POST", "/v1/chat/completions", json=body):
            assert not plugin.ended
        async with asyncio.timeout(5):
            await plugin.is_over.wait()
    assert [exchange.outcome for exchange in plugin.ended] == ["client_disconnected"]


async def test_what_passes_through_has_an_end_and_the_header_too() -> None:
    plugin = Endings()
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream(reply())) as app:
        answer = await app.client.get("/v1/files")
    assert [exchange.surface for exchange in plugin.ended] == ["files"]
    assert answer.headers["x-left"] == "9"


async def test_failing_end_costs_no_other_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    plugin = Endings()

    def fail(exchange: Exchange) -> None:
        raise LookupError(exchange.surface)

    class First:
        @hookimpl
        async def before_request(self, ctx: RequestContext) -> None:
            ctx.endings.insert(0, fail)

    async with make_app(plugins=[plugin, First()]) as app:
        answer = await app.chat("Hello")
    assert answer.status_code == 200
    assert len(plugin.ended) == 1
    assert any(record.exc_info and record.exc_info[0] is LookupError for record in caplog.records)


async def test_listing_of_models_is_no_exchange_and_has_no_end() -> None:
    seen: list[RequestContext] = []

    class Watching:
        @hookimpl
        async def authenticate(self, ctx: RequestContext) -> Principal:
            seen.append(ctx)
            return Principal(id="me")

    async with make_app(plugins=[Watching()], demo=True) as app:
        await app.client.get("/v1/models")
    assert not seen[0].is_exchange
    with pytest.raises(RuntimeError, match="no exchange"):
        seen[0].at_end(print)


async def test_end_comes_before_the_background_hooks_and_its_notes_are_on_record() -> None:
    recorder = Recorder()

    class Noting:
        @hookimpl
        async def before_request(self, ctx: RequestContext) -> None:
            ctx.at_end(lambda exchange: ctx.note("noting", outcome=exchange.outcome))

    async with make_app(plugins=[Noting(), recorder]) as app:
        await app.chat("Hello")
        record = await recorder.wait()
    assert record.notes["noting"] == {"outcome": "completed"}


async def _refuse(ctx: RequestContext, request: Any) -> None:
    raise Reject("No.", status=403, code="no")

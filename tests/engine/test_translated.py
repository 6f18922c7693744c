"""A handler that speaks another surface than the client: what is sent, what comes back, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from chatproxy import ChatRequest, Completed, Reply, RequestContext, Stream
from chatproxy.errors import InvalidRequest
from chatproxy.testing import (
    Fault,
    Recorder,
    Scripted,
    ScriptedUpstream,
    error_reply,
    make_app,
    raw_reply,
    stream_reply,
)
from chatproxy.testing.matrix import CELLS, DIALECTS, Cell, Said
from chatproxy.testing.matrix.said import Heard, events_in

TRANSLATED = [cell for cell in CELLS if not cell.is_native]
BY_CHAT = [cell for cell in TRANSLATED if cell.spoken == "chat"]
STREAMED = [cell for cell in CELLS if cell.is_streamed]


async def asked(cell: Cell, upstream: ScriptedUpstream, **settings: Any) -> tuple[Heard, Recorder]:
    recorder = Recorder()
    async with make_app(plugins=[recorder], upstream=upstream, upstreams=cell.upstreams, **settings) as gateway:
        heard = await cell.ask(gateway, "Hello")
        await recorder.wait()
    return heard, recorder


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_an_upstreams_refusal_keeps_status_code_and_message(cell: Cell) -> None:
    upstream = ScriptedUpstream(error_reply(429, "slow down", code="too_fast", headers={"retry-after": "7"}))
    heard, recorder = await asked(cell, upstream)
    assert (heard.status, heard.error, heard.is_complete) == (429, ("too_fast", "slow down"), False)
    assert recorder.errors[0].headers["retry-after"] == "7"


@pytest.mark.parametrize("cell", TRANSLATED, ids=str)
async def test_a_refusal_comes_in_the_clients_envelope(cell: Cell) -> None:
    async with make_app(upstream=ScriptedUpstream(error_reply(500)), upstreams=cell.upstreams) as gateway:
        body = {"model": "scripted", **cell.dialect.question("Hello", earlier=None, result=None)}
        answer = await gateway.client.post(cell.dialect.path, json=body)
    keys = {"type", "error", "request_id"} if cell.surface == "messages" else {"error"}
    assert answer.json().keys() == keys


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_a_stream_that_breaks_off_ends_with_one_error(cell: Cell) -> None:
    events = DIALECTS[cell.spoken].events(Said(content="one two three"))
    whole = [event for event in events if event != "[DONE]"]
    cut = whole[: len(whole) // 2]
    for fault in (Fault.TRUNCATE, Fault.RESET):
        script = _stream(cut, fault=fault)
        heard, recorder = await asked(cell, ScriptedUpstream(script))
        assert heard.error is not None
        code = "upstream_incomplete" if fault is Fault.TRUNCATE else "upstream_disconnected"
        assert (heard.error[0], heard.is_complete) == (code, False)
        assert heard.content
        assert "one two three".startswith(heard.content.rstrip())
        assert recorder.exchanges[0].error_code == code


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_an_error_in_the_stream_becomes_the_surfaces_own(cell: Cell) -> None:
    begun = DIALECTS[cell.spoken].events(Said(content="one two three"))[:-3]
    error = {"message": "out of memory", "type": "server_error", "code": "oom"}
    failed: dict[str, dict[str, Any]] = {
        "responses": {"type": "error", "sequence_number": len(begun), "message": "out of memory", "code": "oom"},
        "messages": {"type": "error", "error": {"type": "oom", "message": "out of memory"}},
    }
    script = _stream([*begun, failed.get(cell.spoken, {"error": error})])
    async with make_app(upstream=ScriptedUpstream(script), upstreams=cell.upstreams) as gateway:
        body = {"model": "scripted", "stream": True, **cell.dialect.question("Hello", earlier=None, result=None)}
        answer = await gateway.client.post(cell.dialect.path, json=body)
    events = events_in(answer.content)
    last = events[-1]
    assert isinstance(last, dict)
    assert last["error"]["message"] == "out of memory"
    assert sum("error" in event for event in events if isinstance(event, dict) and "response" not in event) == 1
    if cell.surface == "responses":
        numbers = [event["sequence_number"] for event in events if isinstance(event, dict)]
        assert last["type"] == "error"
        assert last["sequence_number"] == numbers[-2] + 1


@pytest.mark.parametrize("cell", [cell for cell in STREAMED if cell.spoken == "chat"], ids=str)
async def test_a_stream_that_never_begins_is_an_ordinary_error(cell: Cell) -> None:
    heard, _ = await asked(cell, ScriptedUpstream(_stream([])))
    assert (heard.status, heard.error and heard.error[0]) == (502, "upstream_incomplete")


async def test_what_is_lost_is_on_record_and_in_a_header_if_wanted() -> None:
    cell = next(cell for cell in TRANSLATED if (cell.surface, cell.spoken) == ("chat", "messages"))
    for wanted in (False, True):
        recorder = Recorder()
        async with make_app(
            plugins=[recorder],
            upstream=cell.upstream(Said(content="Hi")),
            upstreams=cell.upstreams,
            report_translation=wanted,
        ) as gateway:
            answer = await gateway.chat("Hello", seed=4, logit_bias={"5": 1})
            exchange = await recorder.wait()
        assert {loss.field for loss in exchange.translation_losses} >= {"seed", "logit_bias", "max_completion_tokens"}
        assert exchange.translated_to == "messages"
        header = answer.headers.get("x-chatproxy-translation")
        assert header == ("messages; dropped=seed,logit_bias; added=max_completion_tokens" if wanted else None)


async def test_nothing_is_reported_where_nothing_is_translated() -> None:
    async with make_app(report_translation=True) as gateway:
        answer = await gateway.chat("Hello")
    assert "x-chatproxy-translation" not in answer.headers


class Own:
    """A handler that speaks chat only, as a plugin's does; it is written without a thought of other surfaces."""

    name = "own"

    def __init__(self) -> None:
        self.seen: list[ChatRequest] = []

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        self.seen.append(request)
        if request.get("temperature") == 9:
            raise InvalidRequest("too hot", param="max_tokens")
        if request.stream:
            return Stream.of(self._events())
        message = {"role": "assistant", "content": "own words"}
        return Completed({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        yield {"choices": [{"index": 0, "delta": {"content": "own "}}]}
        yield {"choices": [{"index": 0, "delta": {"content": "words"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("cell", BY_CHAT, ids=str)
async def test_a_plugins_chat_handler_serves_every_surface(cell: Cell) -> None:
    own, recorder = Own(), Recorder()
    async with make_app(plugins=[recorder], handler=own) as gateway:
        heard = await cell.ask(gateway, "Hello")
        exchange = await recorder.wait()
    assert (heard.content, heard.is_complete) == ("own words", True)
    assert own.seen[0].layout.surface == "chat"
    assert own.seen[0].messages[-1]["content"] == "Hello"
    assert exchange.usage is not None
    assert exchange.surface == cell.surface


@pytest.mark.parametrize(
    ("surface", "param"),
    [("responses", "max_output_tokens"), ("messages", "max_tokens"), ("completions", "max_tokens")],
)
async def test_a_handlers_fault_names_the_clients_field(surface: str, param: str) -> None:
    async with make_app(handler=Own()) as gateway:
        body = {"model": "m", "temperature": 9, **DIALECTS[surface].question("Hello", earlier=None, result=None)}
        answer = await gateway.client.post(DIALECTS[surface].path, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_unknown_fields_survive_a_translation_both_ways() -> None:
    upstream = ScriptedUpstream(
        raw_reply(
            b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],'
            b'"system_fingerprint":"fp","own_field":{"deep":[1]}}'
        )
    )
    async with make_app(upstream=upstream) as gateway:
        for surface in ("responses", "messages"):
            body = {"model": "m", "min_p": 0.1, **DIALECTS[surface].question("Hello", earlier=None, result=None)}
            answer = await gateway.client.post(DIALECTS[surface].path, json=body)
            assert answer.json()["own_field"] == {"deep": [1]}
            assert upstream.requests[-1].json["min_p"] == 0.1


async def test_a_long_line_of_the_upstream_is_an_error_when_translated_too() -> None:
    upstream = ScriptedUpstream(stream_reply(["a", "b" * 5_000]))
    async with make_app(upstream=upstream, max_sse_line_bytes=4_000) as gateway:
        body = {"model": "m", "input": "Hello", "stream": True}
        answer = await gateway.client.post("/v1/responses", json=body)
    last = events_in(answer.content)[-1]
    assert isinstance(last, dict)
    assert last["error"]["code"] == "upstream_line_too_long"


def _stream(events: list[Any], *, fault: Fault | None = None) -> Scripted:
    return raw_reply(*map(_frame, events), content_type="text/event-stream", fault=fault)


def _frame(event: dict[str, Any]) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return name.encode() + b"data: " + msgspec.json.encode(event) + b"\n\n"

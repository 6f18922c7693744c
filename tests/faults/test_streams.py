"""Streams of upstreams at fault: one end, and only one, whatever happened before it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from chatproxy.testing.sse import events_of, text_of
from tests.server.rawclient import RawClient

from .conftest import MakeUpstream, StartGateway
from .gateway import Gateway, chat, post, settings
from .replies import DONE, USAGE, Departures, begun, event, events, gated, says
from .tcp_proxy import TcpProxy, slicer
from .upstream import CHUNKED_HEAD, FaultUpstream, Script, chunk, chunked, cut_chunk, raw, reset, truncate

TEXTS = ["Grüße, ", "日本", "語 ", "🎉", " und\u2028so"]


async def read_stream(gateway: Gateway, **fields: Any) -> list[Any]:
    """What the events of a stream carry; that its chunked body ends properly is part of reading it."""
    answer = await gateway.ask(stream=True, **fields)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    return events_of(answer.body)


def broken_off() -> list[Any]:
    begin = begun("one ", "two")
    return [
        pytest.param(reset(begin), "upstream_disconnected", id="rst"),
        pytest.param(truncate(begin), "upstream_protocol_error", id="fin"),
        pytest.param(truncate(begin + b"40\r\ndata: {"), "upstream_protocol_error", id="cut-chunk"),
        pytest.param(raw(begin + chunk(b"")), "upstream_incomplete", id="no-finish"),
        pytest.param(raw(begin + b"zz\r\n", then_close=True), "upstream_protocol_error", id="bad-chunk"),
        pytest.param(raw(begin + chunk(b'data: {"choices": [\n\n') + chunk(DONE)), "upstream_invalid_json", id="json"),
        pytest.param(raw(begin + chunk(b'data: "text"\n\n') + chunk(DONE)), "upstream_invalid_json", id="no-object"),
        pytest.param(raw(begin + chunk(b'data: {"error":{"message":"no","code":"x"}}\n\n')), "x", id="error-event"),
        pytest.param(raw(begin + chunk(b"data: " + b"a" * (1 << 20) + b"\n\n")), "upstream_line_too_long", id="line"),
    ]


@pytest.mark.parametrize(("script", "code"), broken_off())
async def test_stream_that_breaks_off_ends_in_one_error_event(
    gateway: Gateway, upstream: MakeUpstream, script: Script, code: str
) -> None:
    """S-04, S-11, U-03: what came stays, nothing is sent twice, and nothing follows the error."""
    async with upstream(script) as up:
        *said, last = await read_stream(gateway)
        async with asyncio.timeout(20):
            await up.until(lambda: up.open_connections == (code == "upstream_incomplete"))
        assert len(up.requests) == 1
    assert [each["choices"][0]["delta"]["content"] for each in said] == ["one ", "two"]
    assert last["error"]["code"] == code
    assert set(last["error"]) == {"message", "type", "param", "code"}
    (line,) = await gateway.exchanges(1)
    assert (line["outcome"], line["error_code"], line["status"]) == ("failed", code, 200)
    assert "Traceback" not in gateway.log[gateway.since :]


BROKEN = {"upstream_disconnected", "upstream_protocol_error"}  # a reset under load may be seen as an end of file


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        pytest.param(reset(), BROKEN, id="rst"),
        pytest.param(reset(CHUNKED_HEAD), BROKEN, id="rst-after-head"),
        pytest.param(truncate(b""), {"upstream_protocol_error"}, id="fin"),
        pytest.param(chunked([]), {"upstream_incomplete"}, id="empty"),
        pytest.param(chunked([b"data: {\n\n", DONE]), {"upstream_invalid_json"}, id="json"),
        pytest.param(cut_chunk(), {"upstream_protocol_error"}, id="cut-chunk"),
    ],
)
async def test_failure_before_the_first_event_is_an_ordinary_error(
    gateway: Gateway, upstream: MakeUpstream, script: Script, codes: set[str]
) -> None:
    """S-04, S-11: nothing was promised yet, so the status says it; one attempt only."""
    async with upstream(script) as up:
        answer = await gateway.ask(stream=True)
        assert len(up.requests) == 1
    assert answer.status == 502
    assert answer.error["code"] in codes
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("comments", [False, True], ids=["silence", "comments-only"])
async def test_stall_mid_stream_ends_at_the_idle_deadline(
    impatient: Gateway, upstream: MakeUpstream, comments: bool
) -> None:
    """S-06: comments are no life; the upstream is let go."""
    departures = Departures(begun("one"))

    async def keep_commenting(exchange: Any) -> None:
        task = asyncio.create_task(departures.script(exchange))
        while not task.done():
            await asyncio.wait([task], timeout=0.05)
            exchange.writer.write(chunk(b": still here\n\n") if comments else b"")

    async with upstream(keep_commenting) as up:
        *said, last = await read_stream(impatient)
        async with asyncio.timeout(20):
            await up.all_left()
    assert [each["choices"][0]["delta"]["content"] for each in said] == ["one"]
    assert last["error"]["code"] == "upstream_idle_timeout"
    (line,) = await impatient.exchanges(1)
    assert line["duration_ms"] - line["first_byte_ms"] >= 450


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sent", [b"", CHUNKED_HEAD], ids=["no-head", "no-event"])
async def test_first_byte_that_never_comes_is_504(
    impatient: Gateway, upstream: MakeUpstream, stream: bool, sent: bytes
) -> None:
    """S-08."""
    head = sent if stream else sent.replace(b"text/event-stream", b"application/json")
    departures = Departures(head)
    async with upstream(departures.script):
        answer = await impatient.ask(stream=stream)
        async with asyncio.timeout(20):
            await departures.left.wait()
    assert (answer.status, answer.error["code"]) == (504, "upstream_first_byte_timeout")
    (line,) = await impatient.exchanges(1)
    assert line["duration_ms"] >= 450


async def test_whole_exchange_is_bounded_where_configured(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream
) -> None:
    """S-06's sibling: a stream that never pauses and never ends."""

    async def babble(exchange: Any) -> None:
        await exchange.send(CHUNKED_HEAD)
        while True:
            await exchange.send(chunk(event("bla ")))
            await asyncio.sleep(0.01)

    gateway = start_gateway(settings(upstream_url, exchange_timeout_s=0.5))
    async with upstream(babble):
        *said, last = await read_stream(gateway)
    assert len(said) > 1
    assert last["error"]["code"] == "exchange_timeout"


@pytest.mark.parametrize("size_bytes", [1, 2, 3, 7])
async def test_stream_sliced_at_every_byte_is_the_same(
    gateway: Gateway, spoil: Callable[..., TcpProxy], size_bytes: int
) -> None:
    """S-09: cut within heads, chunk sizes, line ends and UTF-8, on both ways between gateway and upstream."""
    sent = [*map(event, TEXTS), event(finish="stop"), DONE]
    cut = [slicer(size_bytes)]
    async with FaultUpstream(chunked(sent)) as real, spoil(real.port, to_client=cut, to_server=cut):
        answer = await gateway.ask(stream=True)
    assert answer.body == b"".join(sent)
    assert text_of(answer.body) == "".join(TEXTS)


async def test_request_and_answer_sliced_at_every_byte_are_the_same(gateway: Gateway, upstream: MakeUpstream) -> None:
    """S-09, between client and gateway."""
    body = chat(stream=True, stream_options={"include_usage": True})
    async with (
        upstream(says(*TEXTS)) as up,
        TcpProxy(gateway.port, to_client=[slicer(1)], to_server=[slicer(1)]) as cut,
    ):
        client = RawClient(*await asyncio.open_connection("127.0.0.1", cut.port))
        await client.send(post(body))
        answer = await client.read_answer()
        client.close()
        assert json.loads(up.requests[0].body) == json.loads(body)
    assert answer.body == b"".join(events(*TEXTS))


FRAME = event("x")[6:-2]
LINES = {
    "lf": b"data: %s\n\n" % FRAME,
    "crlf": b"data: %s\r\n\r\n" % FRAME,
    "cr": b"data: %s\r\r" % FRAME,
    "mixed": b"data: %s\r\n\n" % FRAME,
    "no-space": b"data:%s\n\n" % FRAME,
    "two-lines": b"data: %s\n\n" % FRAME.replace(b", ", b",\ndata: ", 1),
    "other-fields": b"event: message\nid: 7\nretry: 10\ndata: %s\n\n" % FRAME,
    "comment": b": hello\n\n: more\ndata: %s\n\n" % FRAME,
    "unknown-field": b"what: ever\ndata: %s\n\n" % FRAME,
    "blank-lines": b"\n\n\n\ndata: %s\n\n\n\n" % FRAME,
}


@pytest.mark.parametrize("frame", LINES.values(), ids=LINES)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
async def test_every_form_of_event_stream_says_the_same(
    gateway: Gateway, upstream: MakeUpstream, frame: bytes, mark: bytes
) -> None:
    """S-10."""
    sent = [mark + frame, frame, event(finish="stop"), DONE]
    async with upstream(chunked(sent)):
        answer = await gateway.ask(stream=True)
    assert text_of(answer.body) == "xx"
    assert events_of(answer.body)[-1] == "[DONE]"


async def test_stream_that_only_the_connections_end_delimits_is_whole(gateway: Gateway, upstream: MakeUpstream) -> None:
    """S-10's sibling: neither length nor chunks, and no ``[DONE]`` after the finish reason."""
    head = CHUNKED_HEAD.replace(b"transfer-encoding: chunked\r\n", b"")
    async with upstream(raw(head + event("Hi") + event(finish="stop"), then_close=True)):
        *said, last = await read_stream(gateway)
    assert len(said) == 2
    assert last == "[DONE]"


async def test_interleaved_choices_and_tool_calls_keep_their_order(gateway: Gateway, upstream: MakeUpstream) -> None:
    """S-20."""
    calls = [
        event(index=n, tool_calls=[{"index": call, "function": {"arguments": f"{n}{call}{part}"}}])
        for part in "abc"
        for call in (0, 1)
        for n in (0, 1, 2)
    ]
    sent = [*calls, *(event(index=n, finish="tool_calls") for n in (2, 0, 1)), event(usage=USAGE), DONE]
    async with upstream(chunked(sent)):
        answer = await gateway.ask(stream=True, n=3, stream_options={"include_usage": True})
    assert answer.body == b"".join(sent)
    *_, usage, done = events_of(answer.body)
    assert (usage["usage"], usage["choices"], done) == (USAGE, [], "[DONE]")
    (line,) = await gateway.exchanges(1)
    assert (line["finish_reasons"], line["total_tokens"]) == (["tool_calls"] * 3, 10)


async def test_events_are_sent_on_as_they_come(gateway: Gateway, upstream: MakeUpstream) -> None:
    """S-20's sibling: nothing is held back until the next event or the end."""
    gate = asyncio.Event()
    async with upstream(gated(gate, [event("first")], events("second"))):
        client = await gateway.open(stream=True)
        async with asyncio.timeout(20):
            await client.reader.readuntil(b"first")
            gate.set()
            await client.reader.readuntil(b"0\r\n\r\n")
        client.close()

"""Upstreams that answer wrongly, too much, from elsewhere, or not at all."""

import asyncio
import gzip
import socket
import zlib
from typing import Any

import pytest

from .conftest import MakeUpstream, StartGateway
from .gateway import UPSTREAM_KEY, Gateway, chat, post, settings
from .replies import Departures, answers, begun, completion, either, events
from .upstream import CHUNKED_HEAD, Exchange, FaultUpstream, Script, chunk, ok, raw, reply, reply_head, reset, truncate

MIB = 2**20


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "script",
    [
        reset(),
        truncate(b""),
        truncate(b"HTTP/1.1 20"),
        reset(reply_head(200, "content-length: 9")),
        ok(b"{}", status=503),
    ],
    ids=["rst", "fin", "half-head", "rst-after-head", "503"],
)
async def test_request_that_was_sent_is_never_sent_again(
    gateway: Gateway, upstream: MakeUpstream, script: Script, stream: bool
) -> None:
    """U-04, U-03: a chat request may have been acted upon, so that one attempt is all."""
    async with upstream(script) as up:
        answer = await gateway.ask("idempotency-key: once-7", stream=stream)
        assert answer.status in {502, 503}
        assert len(up.requests) == 1
        assert up.requests[0].header("idempotency-key") == "once-7"


async def test_request_that_timed_out_is_never_sent_again(impatient: Gateway, upstream: MakeUpstream) -> None:
    """U-04: 504, one attempt, and the idempotency key goes along."""
    async with upstream(Departures().script) as up:
        answer = await impatient.ask("idempotency-key: once-7")
        assert answer.status == 504
        assert [request.header("idempotency-key") for request in up.requests] == ["once-7"]


HTML = b"<html><h1>Welcome</h1>Bearer abcdefgh12345678 " + UPSTREAM_KEY.encode() + b"</html>"
WRONG: dict[str, tuple[bytes, str]] = {
    "html": (reply(HTML, 200, "content-type: text/html"), "upstream_invalid_response"),
    "html-as-json": (reply(HTML, 200, "content-type: application/json"), "upstream_invalid_json"),
    "html-without-type": (reply(HTML), "upstream_invalid_json"),
    "empty": (reply(b"", 200, "content-type: application/json"), "upstream_invalid_json"),
    "nothing": (reply(b""), "upstream_invalid_json"),
    "no-content": (reply_head(204), "upstream_invalid_json"),
    "array": (reply(b"[]", 200, "content-type: application/json"), "upstream_invalid_json"),
    "text": (reply(b'"hi"', 200, "content-type: application/json"), "upstream_invalid_json"),
    "cut": (reply(completion()[:-9], 200, "content-type: application/json"), "upstream_invalid_json"),
    "not-utf-8": (reply(b'{"a":"\xff"}', 200, "content-type: application/json"), "upstream_invalid_json"),
    "coding": (reply(b"x", 200, "content-encoding: br", "content-type: application/json"), "upstream_invalid_encoding"),
    "no-gzip": (reply(b"{}", 200, "content-encoding: gzip"), "upstream_invalid_encoding"),
    "cut-gzip": (reply(gzip.compress(completion())[:-9], 200, "content-encoding: gzip"), "upstream_invalid_encoding"),
}


@pytest.mark.parametrize(("sent", "code"), WRONG.values(), ids=WRONG)
async def test_answer_that_is_none_is_502_without_secrets(
    gateway: Gateway, upstream: MakeUpstream, sent: bytes, code: str
) -> None:
    """U-05; that neither key nor token is in the body is also part of `Gateway.ask`."""
    async with upstream(raw(sent)):
        answer = await gateway.ask()
    assert (answer.status, answer.error["code"], answer.error["type"]) == (502, code, "api_error")
    assert b"abcdefgh12345678" not in answer.body


STREAMED = ["html", "html-without-type", "empty", "nothing", "no-content", "array", "coding"]


@pytest.mark.parametrize("name", STREAMED)
async def test_stream_that_is_none_is_502_without_secrets(gateway: Gateway, upstream: MakeUpstream, name: str) -> None:
    """U-05, where a stream was asked for."""
    async with upstream(raw(WRONG[name][0])):
        answer = await gateway.ask(stream=True)
    assert (answer.status, answer.error["type"]) == (502, "api_error")
    assert b"abcdefgh12345678" not in answer.body


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
@pytest.mark.parametrize("stream", [False, True])
async def test_error_of_an_upstream_is_passed_on_without_secrets(
    gateway: Gateway, upstream: MakeUpstream, status: int, stream: bool
) -> None:
    """P3: an upstream that quotes the key it was given."""
    body = b'{"error":{"message":"bad key %s","type":"t","code":"c","param":null}}' % UPSTREAM_KEY.encode()
    async with upstream(raw(reply(body, status, "content-type: application/json", "retry-after: 7"))):
        answer = await gateway.ask(stream=stream)
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")
    assert answer.error == {"message": "bad key ***", "type": "t", "code": "c", "param": None}


def bomb(size_bytes: int, begin: bytes = b"") -> bytes:
    """gzip that unfolds to this many bytes."""
    packer = zlib.compressobj(9, wbits=31)
    piece = b" " * MIB
    parts = [packer.compress(begin), *(packer.compress(piece) for _ in range(size_bytes // MIB)), packer.flush()]
    return b"".join(parts)


@pytest.mark.parametrize("kind", ["buffered", "streamed", "refused", "html"])
async def test_gzip_bomb_is_cut_in_little_memory(gateway: Gateway, upstream: MakeUpstream, kind: str) -> None:
    """U-07: 200 MB out of 200 KB; 16 MiB is the limit of an answer."""
    content = {"streamed": "text/event-stream", "html": "text/html"}.get(kind, "application/json")
    data = bomb(200 * MIB, b": " if kind == "streamed" else b'{"a":')
    head = [f"content-type: {content}", "content-encoding: gzip"]
    async with upstream(raw(reply(data, 500 if kind == "refused" else 200, *head))):
        gateway.forget_peak()
        before = gateway.memory_bytes()
        answer = await gateway.ask(stream=kind == "streamed")
        grown = gateway.peak_bytes() - before
    assert answer.status == 502
    assert answer.error["code"] in {"upstream_too_large", "upstream_invalid_response", "upstream_line_too_long"}
    assert grown < 32 * MIB


async def test_answer_over_the_limit_is_cut(gateway: Gateway, upstream: MakeUpstream) -> None:
    """U-07, without any coding: the rest is not read."""
    sent = [0]

    async def script(exchange: Exchange) -> None:
        await exchange.send(reply_head(200, "content-type: application/json", f"content-length: {256 * MIB}"))
        for _ in range(256):
            await exchange.send(b" " * MIB)
            sent[0] += 1

    async with upstream(script) as up:
        answer = await gateway.ask()
        async with asyncio.timeout(20):
            await up.all_left()
    assert (answer.status, answer.error["code"]) == (502, "upstream_too_large")
    assert sent[0] < 64


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
async def test_redirect_is_not_followed(gateway: Gateway, upstream: MakeUpstream, status: int, stream: bool) -> None:
    """U-11: neither key nor body goes where an upstream points."""
    async with FaultUpstream(answers()) as away:
        async with upstream(raw(reply(b"", status, f"location: {away.url}/v1/chat/completions"))):
            answer = await gateway.ask(stream=stream)
        assert away.accepted == 0
    assert (answer.status, answer.error["code"]) == (502, "upstream_redirect")
    assert "location" not in answer.headers


@pytest.mark.parametrize("url", ["http://no-such-host.invalid/v1", "http://127.0.0.1:1/v1"], ids=["dns", "refused"])
async def test_upstream_that_cannot_be_reached_is_502(start_gateway: StartGateway, url: str) -> None:
    """U-13."""
    gateway = start_gateway(settings(url, connect_timeout_s=5.0))
    answer = await gateway.ask(stream=True)
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")


async def test_upstream_that_never_connects_is_504_at_the_connect_deadline(start_gateway: StartGateway) -> None:
    """U-13: a full backlog drops every further handshake."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        gateway = start_gateway(settings(f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect_timeout_s=0.5))
        answer = await gateway.ask()
        assert (answer.status, answer.error["code"]) == (504, "upstream_connect_timeout")
        (line,) = await gateway.exchanges(1)
        for each in waiting:
            each.close()
    assert 450 <= line["duration_ms"] < 3000


async def test_dead_ipv6_address_gives_way_to_ipv4(start_gateway: StartGateway) -> None:
    """U-13: ``localhost`` has both, and only one of them listens."""
    async with FaultUpstream(either()) as up:
        gateway = start_gateway(settings(f"http://localhost:{up.port}/v1"))
        assert (await gateway.ask()).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_kept_connection_that_the_upstream_closed_is_replaced(
    gateway: Gateway, upstream: MakeUpstream, stream: bool
) -> None:
    """U-13: nothing was sent on it, so the client notices nothing."""

    async def once(exchange: Exchange) -> None:
        await either()(exchange)
        exchange.close()

    async with upstream(once) as up:
        for _ in range(20):
            assert (await gateway.ask(stream=stream)).status == 200
        assert len(up.requests) == 20


async def test_kept_connection_that_closes_under_a_request_is_an_error(
    gateway: Gateway, upstream: MakeUpstream
) -> None:
    """U-13, U-04: the request was sent, so that it is not sent again."""
    async with upstream(either(), truncate(b""), either()) as up:
        statuses = [(await gateway.ask()).status for _ in range(3)]
        assert len(up.requests) == 3
        assert up.requests[0].connection == up.requests[1].connection
    assert statuses == [200, 502, 200]


CLIENT_READS = 1024


async def test_slow_clients_hold_a_fast_upstream_back(gateway: Gateway, upstream: MakeUpstream) -> None:
    """S-13: twenty clients that read a little of 256 MB each; the rest waits in the upstream, not here."""
    count, sent = 20, [0]
    piece = b"".join(map(chunk, events(*(["a" * 1000] * 60))[:-3]))

    async def flood(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD)
        for _ in range(256 * MIB // len(piece)):
            await exchange.send(piece)
            sent[0] += len(piece)

    async with upstream(flood) as up:
        await gateway.ask(data=b"{}")
        before = gateway.memory_bytes()
        clients = [await gateway.connect(limit=CLIENT_READS) for _ in range(count)]
        for client in clients:
            sock: Any = client.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await client.send(post(chat(stream=True)))
        await up.until(lambda: len(up.requests) == count)
        reached = -1
        while sent[0] > reached:  # until nobody makes progress any more
            reached = sent[0]
            for client in clients:
                await client.reader.readexactly(CLIENT_READS)
            await asyncio.sleep(0.2)
        grown = gateway.memory_bytes() - before
        answer = await gateway.ask(data=b"{}")
        for client in clients:
            client.reset()
        async with asyncio.timeout(20):
            await up.all_left()
    assert answer.status == 400
    assert sent[0] < count * 32 * MIB
    assert grown < count * MIB


async def test_short_streams_are_begun_before_they_are_over(gateway: Gateway, upstream: MakeUpstream) -> None:
    """S-13's counterpart: back-pressure never holds a first event back."""
    departures = Departures(begun("first"))
    async with upstream(departures.script):
        client = await gateway.open(stream=True)
        async with asyncio.timeout(20):
            await client.reader.readuntil(b"first")
        client.reset()
        await departures.left.wait()

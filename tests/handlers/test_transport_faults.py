"""Upstreams that misbehave: every fault has its exception, and none is silent or reaches the next reply."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from chatproxy.handlers.transport import Http1Transport, lean_request, make_transport
from tests.faults import tcp_proxy
from tests.faults.loops import BOTH_LOOPS
from tests.faults.upstream import (
    CHUNKED_HEAD,
    Exchange,
    FaultUpstream,
    Script,
    chunk,
    chunked,
    close_on_keep_alive,
    cut_chunk,
    huge_headers,
    informational,
    junk_after_reply,
    ok,
    raw,
    reply,
    reply_head,
    reset,
    short_body,
    trickle,
    truncate,
)

TIMEOUT = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}


@pytest.fixture(params=BOTH_LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def post(url: str, body: bytes = b"{}") -> httpx.Request:
    return lean_request("POST", httpx.URL(url), [(b"content-type", b"application/json")], body, TIMEOUT)


async def read(response: httpx.Response) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return b"".join([part async for part in response.stream])


async def read_into(response: httpx.Response, parts: list[bytes]) -> None:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for part in response.stream:
        parts += [part]


PROTOCOL = httpx.RemoteProtocolError
BAD_HEADS = [
    pytest.param(truncate(b""), PROTOCOL, "without a reply", id="closed without a reply"),
    pytest.param(truncate(b"HTTP/1.1 200 OK\r\nconte"), PROTOCOL, "in the middle of a head", id="closed in head"),
    pytest.param(reset(), httpx.ReadError, "broke", id="RST before the head"),
    pytest.param(reset(b"HTTP/1.1 200 OK\r\n"), httpx.ReadError, "broke", id="RST in the head"),
    pytest.param(raw(b"SSH-2.0-x\r\n"), PROTOCOL, "Expected HTTP/", id="another protocol"),
    pytest.param(raw(b"HTTP/2.0 200 OK\r\n\r\n"), PROTOCOL, "version is HTTP/2.0", id="another version"),
    pytest.param(raw(b"HTTP/1.1 99 Low\r\n\r\n"), PROTOCOL, "status", id="status too short"),
    pytest.param(raw(b"HTTP/1.1 099 Low\r\n\r\n"), PROTOCOL, "status is 99", id="status below 100"),
    pytest.param(raw(b"HTTP/1.1 600 High\r\n\r\n"), PROTOCOL, "status is 600", id="status above 599"),
    pytest.param(raw(reply_head(101, "upgrade: x", "connection: upgrade")), PROTOCOL, "101", id="switches protocols"),
    pytest.param(informational(17), PROTOCOL, "informational", id="too many 1xx"),
    pytest.param(huge_headers(1, 70_000), PROTOCOL, "65536", id="header too long"),
    pytest.param(huge_headers(40, 2_000), PROTOCOL, "65536", id="headers too long together"),
    pytest.param(huge_headers(100, 1), PROTOCOL, "101 headers", id="too many headers"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000), PROTOCOL, "65536", id="endless header"),
    pytest.param(
        raw(reply_head(200, "content-length: 2", "transfer-encoding: chunked")), PROTOCOL, "Content-Length", id="CL+TE"
    ),
    pytest.param(raw(reply_head(200, *["content-length: 2"] * 2)), PROTOCOL, "Content-Length", id="CL twice"),
    pytest.param(raw(reply_head(200, "content-length: 2, 2")), PROTOCOL, "Content-Length", id="CL list"),
    pytest.param(raw(reply_head(200, "content-length: +2")), PROTOCOL, "Content-Length", id="CL with sign"),
    pytest.param(raw(b"HTTP/1.1 200 OK\ncontent-length: 0\n\n"), PROTOCOL, "CR", id="bare line feeds"),
    pytest.param(raw(reply_head(200, "a: 1\r\n b")), PROTOCOL, "head", id="folded header"),
    pytest.param(raw(reply_head(200, "a : 1")), PROTOCOL, "header token", id="space before colon"),
    pytest.param(raw(reply_head(200, "a: \0")), PROTOCOL, "head", id="NUL in value"),
]

BAD_BODIES = [
    pytest.param(short_body(10, 4), PROTOCOL, "middle of a body", b"xxxx", id="short body"),
    pytest.param(cut_chunk(), PROTOCOL, "middle of a body", b"only", id="cut chunk"),
    pytest.param(truncate(CHUNKED_HEAD + chunk(b"a")), PROTOCOL, "middle of a body", b"a", id="no last chunk"),
    pytest.param(truncate(CHUNKED_HEAD + b"0\r\n"), PROTOCOL, "middle of a body", b"", id="half a last chunk"),
    pytest.param(raw(CHUNKED_HEAD + b"zz\r\nhi"), PROTOCOL, "chunk size", b"", id="bad chunk size"),
    pytest.param(raw(CHUNKED_HEAD + b"f" * 20 + b"\r\n"), PROTOCOL, "overflow", b"", id="chunk size overflow"),
    pytest.param(raw(CHUNKED_HEAD + b"2\r\nhiX\r\n"), PROTOCOL, "chunk", b"hi", id="chunk longer than announced"),
    pytest.param(
        truncate(reply_head(200, "transfer-encoding: gzip") + b"x"), PROTOCOL, "middle", b"x", id="unknown coding"
    ),
    pytest.param(raw(CHUNKED_HEAD, b"2;" + b"x" * 200_000), PROTOCOL, "without a body", b"", id="endless extension"),
    pytest.param(
        raw(CHUNKED_HEAD, b"0\r\nx: " + b"x" * 200_000), PROTOCOL, "without a body", b"", id="endless trailer"
    ),
]


@pytest.mark.parametrize(("script", "error", "message"), BAD_HEADS)
async def test_bad_head_is_an_error_and_its_connection_closed(
    script: Script, error: type[Exception], message: str
) -> None:
    async with FaultUpstream(script) as upstream, Http1Transport() as transport:
        with pytest.raises(error, match=re.escape(message)) as caught:
            await transport.handle_async_request(post(upstream.url))
        assert type(caught.value) is error
        assert transport.stats().open == 0
        assert len(upstream.requests) == 1, "a request that was sent must not be sent again"


@pytest.mark.parametrize(("script", "error", "message", "good"), BAD_BODIES)
async def test_bad_body_is_an_error_after_its_good_part(
    script: Script, error: type[Exception], message: str, good: bytes
) -> None:
    async with FaultUpstream(script) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        got: list[bytes] = []
        with pytest.raises(error, match=re.escape(message)):
            await read_into(response, got)
        assert b"".join(got) == good
        assert transport.stats().open == 0


async def test_reset_in_the_body_is_a_read_error_after_its_good_part() -> None:
    has_read = asyncio.Event()
    async with FaultUpstream(reset(CHUNKED_HEAD + chunk(b"good"), has_read)) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        parts: AsyncIterator[bytes] = response.stream.__aiter__()  # type: ignore[union-attr]
        assert await anext(parts) == b"good"
        has_read.set()
        with pytest.raises(httpx.ReadError, match="broke"):
            await anext(parts)
        with pytest.raises(httpx.ReadError, match="broke"):
            await anext(parts)
        assert transport.stats().open == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("ends_with_rst", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("greeting", [b"", b"220 hello\r\n"], ids=["silent", "speaks first"])
async def test_upstream_that_hangs_up_at_once_is_a_transport_error(
    scheme: str, greeting: bytes, *, ends_with_rst: bool
) -> None:
    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        linger = struct.pack("ii", 1, 0)
        if ends_with_rst:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server, Http1Transport(verify=False) as transport:
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(30):
            with pytest.raises(httpx.TransportError):
                await transport.handle_async_request(post(url))
            assert transport.stats().open == 0


JUNK = [
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", id="another reply"),
    pytest.param(b"HTTP/1.1 200 OK\r\nx: ", id="half a reply"),
    pytest.param(b"H", id="first byte of a reply"),
    pytest.param(b"<html>", id="no reply at all"),
    pytest.param(b"\0" * 100_000, id="long"),
]


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_in_the_same_write_drops_the_connection_but_not_the_reply(junk: bytes) -> None:
    async with (
        FaultUpstream(junk_after_reply(junk), ok(b"next")) as upstream,
        Http1Transport() as transport,
    ):
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"good"
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"next"
        assert upstream.accepted == 2


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_on_an_idle_connection_closes_it(junk: bytes) -> None:
    later = asyncio.Event()
    async with FaultUpstream(junk_after_reply(junk, later), ok(b"next")) as upstream, Http1Transport() as transport:
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"good"
        assert transport.stats().idle == 1
        later.set()
        await upstream.all_left()
        assert transport.stats().open == 0
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"next"


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_that_only_the_kernel_has_seen_never_becomes_the_next_reply(junk: bytes) -> None:
    """The next request comes in the moment the junk is sent, before the event loop could read it."""
    later, has_sent = asyncio.Event(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await junk_after_reply(junk, later)(exchange)
        has_sent.set()

    async with FaultUpstream(script, ok(b"next")) as upstream, Http1Transport() as transport:
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"good"
        later.set()
        await has_sent.wait()
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"next"
        assert upstream.accepted == 2


async def test_end_seen_by_the_kernel_only_is_found_before_the_request_is_written() -> None:
    """A keep-alive socket whose FIN was not read yet: the request goes out once, on a new connection."""
    async with FaultUpstream(close_on_keep_alive(b"first"), ok(b"second")) as upstream, Http1Transport() as transport:
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"first"
        await upstream.all_left()
        assert await read(await transport.handle_async_request(post(upstream.url))) == b"second"
        assert len(upstream.requests) == 2
        assert upstream.accepted == 2


async def test_idle_connection_leaves_the_pool_when_the_upstream_closes_it() -> None:
    hang_up, has_closed = asyncio.Event(), asyncio.Event()

    async def answer_then_close(exchange: Exchange) -> None:
        await exchange.send(reply(b"ok"))
        await hang_up.wait()
        exchange.close()
        await exchange.writer.wait_closed()
        has_closed.set()

    async with FaultUpstream(answer_then_close) as closing, FaultUpstream(ok()) as other, Http1Transport() as transport:
        await read(await transport.handle_async_request(post(closing.url)))
        assert transport.stats().idle == 1
        hang_up.set()
        await has_closed.wait()
        await read(await transport.handle_async_request(post(other.url)))
        assert transport.stats() == (1, 1, 0)


@pytest.mark.parametrize("second", [reset(), truncate(b"")], ids=["RST", "FIN"])
async def test_request_that_was_sent_on_a_kept_connection_is_never_sent_again(second: Script) -> None:
    async with FaultUpstream(ok(), second, ok()) as upstream, Http1Transport() as transport:
        await read(await transport.handle_async_request(post(upstream.url)))
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await transport.handle_async_request(post(upstream.url))
        assert len(upstream.requests) == 2


STREAM = CHUNKED_HEAD + b"".join(chunk(b"data: %d\n\n" % n) for n in range(5)) + chunk(b"")
EVENTS = b"".join(b"data: %d\n\n" % n for n in range(5))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_slicing_on_the_way_changes_nothing(size: int) -> None:
    async with (
        FaultUpstream(raw(STREAM)) as upstream,
        Http1Transport() as transport,
        tcp_proxy.TcpProxy(upstream.port, to_client=[tcp_proxy.slicer(size)]) as proxy,
    ):
        for _ in range(2):
            assert await read(await transport.handle_async_request(post(proxy.url))) == EVENTS
        assert proxy.accepted == 1


@pytest.mark.parametrize("cut_at", [1, 17, len(CHUNKED_HEAD) - 1])
@pytest.mark.parametrize("toxic", [tcp_proxy.limit_data, tcp_proxy.reset_peer], ids=["FIN", "RST"])
async def test_head_cut_on_the_way_is_an_error(toxic: Any, cut_at: int) -> None:
    async with (
        FaultUpstream(raw(STREAM)) as upstream,
        Http1Transport() as transport,
        tcp_proxy.TcpProxy(upstream.port, to_client=[toxic(cut_at)]) as proxy,
    ):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await transport.handle_async_request(post(proxy.url))


@pytest.mark.parametrize("cut_at", range(len(CHUNKED_HEAD) + 1, len(STREAM), 9))
@pytest.mark.parametrize("kind", ["own", "httpx"])
async def test_body_cut_anywhere_is_an_error_and_never_a_normal_end(kind: Any, cut_at: int) -> None:
    async with (
        FaultUpstream(raw(STREAM)) as upstream,
        make_transport(kind) as transport,
        tcp_proxy.TcpProxy(upstream.port, to_client=[tcp_proxy.limit_data(cut_at)]) as proxy,
    ):
        response = await transport.handle_async_request(post(proxy.url))
        with pytest.raises(httpx.RemoteProtocolError):
            await read(response)


async def test_latency_and_narrow_lines_do_not_harm() -> None:
    async with FaultUpstream(chunked([b"x" * 5000])) as upstream, Http1Transport() as transport:
        toxics = [tcp_proxy.latency(0.001), tcp_proxy.bandwidth(1_000_000), tcp_proxy.slow_close(0.001)]
        async with tcp_proxy.TcpProxy(upstream.port, to_client=toxics, to_server=toxics) as proxy:
            assert await read(await transport.handle_async_request(post(proxy.url, b"y" * 5000))) == b"x" * 5000
            assert upstream.requests[0].body == b"y" * 5000


async def test_trickled_head_is_held_to_its_size() -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 20_000
    async with (
        FaultUpstream(raw(*[endless[at : at + 999] for at in range(0, len(endless), 999)])) as upstream,
        Http1Transport() as transport,
    ):
        with pytest.raises(httpx.RemoteProtocolError, match="65536 bytes without the end of its headers"):
            await transport.handle_async_request(post(upstream.url))


async def test_trickled_reply_over_a_reset_line_is_a_read_error() -> None:
    async with (
        FaultUpstream(trickle(STREAM)) as upstream,
        Http1Transport() as transport,
        tcp_proxy.TcpProxy(upstream.port, to_client=[tcp_proxy.reset_peer(len(CHUNKED_HEAD) + 5)]) as proxy,
    ):
        with pytest.raises(httpx.ReadError):
            await read(await transport.handle_async_request(post(proxy.url)))
        assert transport.stats().open == 0

"""One exchange at a time through the transport: replies, bodies, reuse, and the same over httpx's own."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatproxy.handlers.transport import (
    Http1Transport,
    ResponseStream,
    TransportKind,
    UpstreamResponse,
    lean_request,
    make_transport,
)
from tests.faults.loops import BOTH_LOOPS
from tests.faults.tls import authority_file, server_context
from tests.faults.upstream import (
    CHUNKED_HEAD,
    FaultUpstream,
    Script,
    chunk,
    chunked,
    gzip_body,
    informational,
    ok,
    raw,
    reply,
    reply_head,
    trickle,
    until_eof,
)

TIMEOUT = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}


@pytest.fixture(params=BOTH_LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def post(url: str, body: bytes = b"{}", *headers: tuple[bytes, bytes]) -> httpx.Request:
    return lean_request("POST", httpx.URL(f"{url}/v1/chat?a=b"), headers, body, TIMEOUT)


async def read(response: httpx.Response) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return b"".join([part async for part in response.stream])


REPLIES = [
    pytest.param(ok(b"whole"), 200, b"whole", True, id="content-length"),
    pytest.param(ok(b""), 200, b"", True, id="empty"),
    pytest.param(ok(b"no", status=503), 503, b"no", True, id="error status"),
    pytest.param(chunked([b"a", b"bc"]), 200, b"abc", True, id="chunked"),
    pytest.param(chunked([]), 200, b"", True, id="chunked, empty"),
    pytest.param(raw(CHUNKED_HEAD, b'2;x="y"\r\nhi\r\n0\r\nx-late: 1\r\n\r\n'), 200, b"hi", True, id="trailer"),
    pytest.param(trickle(CHUNKED_HEAD + chunk(b"slow") + chunk(b"")), 200, b"slow", True, id="byte by byte"),
    pytest.param(trickle(reply(b"slow")), 200, b"slow", True, id="byte by byte, content-length"),
    pytest.param(informational(), 200, b"after", True, id="1xx first"),
    pytest.param(informational(16, 100), 200, b"after", True, id="many 1xx first"),
    pytest.param(raw(reply_head(204, "content-length: 5")), 204, b"", True, id="204 has no body"),
    pytest.param(raw(reply_head(304, "content-length: 5")), 304, b"", True, id="304 has no body"),
    pytest.param(until_eof(b"rest"), 200, b"rest", False, id="until end of connection"),
    pytest.param(ok(b"last", "connection: close"), 200, b"last", False, id="connection: close"),
    pytest.param(raw(b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold"), 200, b"old", False, id="HTTP/1.0"),
    pytest.param(raw(b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi"), 200, b"hi", True, id="no reason phrase"),
]


@pytest.mark.parametrize("kind", ["own", "httpx"])
@pytest.mark.parametrize(("script", "status", "body", "is_reused"), REPLIES)
async def test_reply_is_read_and_its_connection_reused_if_it_may_be(
    kind: TransportKind, script: Script, status: int, body: bytes, is_reused: bool
) -> None:
    async with FaultUpstream(script) as upstream, make_transport(kind) as transport:
        for _ in range(3):
            response = await transport.handle_async_request(post(upstream.url))
            assert response.status_code == status
            assert await read(response) == body
            await response.aclose()
        assert upstream.accepted == (1 if is_reused else 3)


async def test_connection_is_reused_over_tls(tmp_path: Path) -> None:
    transport = Http1Transport(verify=authority_file(tmp_path))
    async with FaultUpstream(chunked([b"x" * 100_000]), tls=server_context()) as upstream, transport:
        for _ in range(3):
            assert await read(await transport.handle_async_request(post(upstream.url))) == b"x" * 100_000
        assert upstream.accepted == 1


async def test_reply_to_head_has_no_body_whatever_it_announces() -> None:
    script = raw(reply_head(200, "content-length: 5"))
    async with FaultUpstream(script, script) as upstream, Http1Transport() as transport:
        for _ in range(2):
            request = lean_request("HEAD", httpx.URL(upstream.url), [], b"", TIMEOUT)
            response = await transport.handle_async_request(request)
            assert response.headers["content-length"] == "5"
            assert await read(response) == b""
        assert transport.stats().open == 0


async def test_response_is_an_ordinary_httpx_response() -> None:
    script = raw(reply(b'{"a":1}', 200, "X-One: 1", "set-cookie: a", "set-cookie: b"))
    async with FaultUpstream(script) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        assert isinstance(response, UpstreamResponse)
        assert response.header_pairs[1:] == [(b"x-one", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
        assert response.headers.get_list("Set-Cookie") == ["a", "b"]
        assert response.reason_phrase == "OK"
        assert response.extensions == {}
        assert response.history == []
        assert await response.aread() == b'{"a":1}'
        assert response.json() == {"a": 1}
        assert response.is_closed
        with pytest.raises(AttributeError):
            response.nothing_of_the_kind  # noqa: B018


async def test_coded_body_is_handed_on_undecoded() -> None:
    async with FaultUpstream(gzip_body(b"plain")) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        assert gzip.decompress(await read(response)) == b"plain"


async def test_trailers_do_not_become_headers() -> None:
    script = raw(CHUNKED_HEAD + b"2\r\nhi\r\n0\r\nx-late: 1\r\n\r\n")
    async with FaultUpstream(script) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        await read(response)
        assert "x-late" not in response.headers
        again = await transport.handle_async_request(post(upstream.url))
        assert "x-late" not in again.headers
        await again.aclose()


async def test_take_hands_out_what_is_queued_without_waiting() -> None:
    async with FaultUpstream(ok(b"at once")) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(post(upstream.url))
        stream = response.stream
        assert isinstance(stream, ResponseStream)
        parts = [part async for part in stream] if not stream.is_complete else [stream.take()]
        assert b"".join(parts) == b"at once"
        assert stream.take() == b""
        assert stream.is_complete


@pytest.mark.parametrize("kind", ["own", "httpx", "mock"])
async def test_lean_request_arrives_alike_over_every_transport(kind: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"x-a", b"1"), (b"x-a", b"2")]
    async with FaultUpstream(ok()) as upstream:
        request = post(upstream.url, b'{"n":1}', *headers)
        if kind == "mock":
            echo = httpx.MockTransport(lambda r: httpx.Response(200, extensions={"request": r}))
            seen = (await echo.handle_async_request(request)).extensions["request"]
            got = [(k.lower().decode(), v.decode()) for k, v in seen.headers.raw]
            target, body = seen.url.raw_path.decode(), seen.content
        else:
            async with make_transport(kind) as transport:  # type: ignore[arg-type]
                await read(await transport.handle_async_request(request))
            got, target, body = upstream.requests[0].headers, upstream.requests[0].target, upstream.requests[0].body
        expected = [(k.decode(), v.decode()) for k, v in headers]
        expected += [("content-length", "7"), ("host", upstream.url.removeprefix("http://"))]
        assert sorted(got) == sorted(expected)
        assert (target, body) == ("/v1/chat?a=b", b'{"n":1}')


async def test_headers_changed_on_the_request_are_sent() -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        request = post(upstream.url)
        request.headers["x-added"] = "later"
        await read(await transport.handle_async_request(request))
        assert upstream.requests[0].header("x-added") == "later"


async def test_ordinary_httpx_request_is_sent() -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        request = httpx.Request("POST", f"{upstream.url}/x", json={"a": 1}, extensions={"timeout": TIMEOUT})
        await read(await transport.handle_async_request(request))
        got = upstream.requests[0]
        assert (got.body, got.header("content-type")) == (b'{"a":1}', "application/json")


async def parts_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize(
    ("headers", "framing"),
    [({}, ("transfer-encoding", "chunked")), ({"content-length": "6"}, ("content-length", "6"))],
    ids=["chunked", "content-length"],
)
async def test_streamed_body_arrives_whole(headers: dict[str, str], framing: tuple[str, str]) -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        for _ in range(2):
            request = httpx.Request("POST", upstream.url, content=parts_of(b"abc", b"", b"def"), headers=headers)
            await read(await transport.handle_async_request(request))
            assert upstream.requests[-1].body == b"abcdef"
            assert framing in upstream.requests[-1].headers
        assert upstream.accepted == 1


async def test_large_bodies_pass_both_ways() -> None:
    body = bytes(range(256)) * 40_000
    async with FaultUpstream(ok(body)) as upstream, Http1Transport() as transport:
        assert await read(await transport.handle_async_request(post(upstream.url, body))) == body
        request = httpx.Request("POST", upstream.url, content=parts_of(body[: len(body) // 2], body[len(body) // 2 :]))
        assert await read(await transport.handle_async_request(request)) == body
        assert [got.body == body for got in upstream.requests] == [True, True]
        assert upstream.accepted == 1


@pytest.mark.parametrize(("parts", "fault"), [((b"toolong",), "longer"), ((b"a",), "ended after 1 of 3")])
async def test_streamed_body_that_belies_its_length_is_refused(parts: tuple[bytes, ...], fault: str) -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        request = httpx.Request("POST", upstream.url, content=parts_of(*parts), headers={"content-length": "3"})
        with pytest.raises(httpx.LocalProtocolError, match=re.escape(fault)):
            await transport.handle_async_request(request)
        assert transport.stats().open == 0


async def test_early_refusal_ends_a_streamed_body() -> None:
    """The upstream answers before it has read the body: the rest is not sent, the connection not used again."""
    drawn = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal drawn
        while drawn < 10_000:
            drawn += 1
            yield b"x" * 65536

    refusal = raw(reply(b"too large", 413))
    async with FaultUpstream(refusal, reads_bodies=False) as upstream, Http1Transport() as transport:
        response = await transport.handle_async_request(httpx.Request("POST", upstream.url, content=endless()))
        assert response.status_code == 413
        assert await read(response) == b"too large"
        assert drawn < 10_000
        assert transport.stats().open == 0


async def test_failing_body_closes_the_connection() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"start"
        raise ZeroDivisionError

    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        with pytest.raises(ZeroDivisionError):
            await transport.handle_async_request(httpx.Request("POST", upstream.url, content=broken()))
        assert transport.stats().open == 0


def test_own_transport_refuses_a_proxy() -> None:
    with pytest.raises(ValueError, match="needs transport = 'httpx'"):
        make_transport("own", proxy="http://127.0.0.1:1")


async def test_unsupported_scheme_is_refused() -> None:
    async with Http1Transport() as transport:
        with pytest.raises(httpx.UnsupportedProtocol):
            await transport.handle_async_request(post("ftp://127.0.0.1"))

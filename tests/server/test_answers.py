"""What an application's answer looks like on the wire, and what a broken application leaves of it."""

import asyncio
import logging
from typing import Any

import pytest

from .conftest import ServeTiny
from .tiny import Handle, TinyGateway, answer, read_body, start

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def with_handler(handler: Handle) -> TinyGateway:
    return TinyGateway(handlers={"x": handler})


async def reply_in_two(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send, 200, (b"Content-Type", b"text/event-stream"))
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await send({"type": "http.response.body", "body": b"data: 2\n\n"})


async def test_connection_serves_one_request_after_another(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        for _ in range(3):
            await client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            assert (await client.read_answer()).body == b"3"
        assert len(running.server.state.connections) == 1


async def test_unsized_answer_is_chunked(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(with_handler(reply_in_two)) as running:
        reply = await running.exchange(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        head, _, body = reply.partition(b"\r\n\r\n")
        assert b"content-type: text/event-stream\r\n" in head
        assert b"\r\ntransfer-encoding: chunked\r\nconnection: close" in head
        assert body == b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"


async def test_http_1_0_client_gets_no_chunks_and_a_close(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(with_handler(reply_in_two)) as running:
        reply = await running.exchange(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
        head, _, body = reply.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert body == b"data: 1\n\ndata: 2\n\n"


async def test_head_request_gets_no_body(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        reply = await running.exchange(b"HEAD /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n")
        assert reply.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
async def test_status_without_body_has_no_framing(serve_tiny: ServeTiny, status: int) -> None:
    async def handler(_scope: Any, _receive: Any, send: Any) -> None:
        await start(send, status)
        await send({"type": "http.response.body"})

    async with serve_tiny(with_handler(handler)) as running:
        client = await running.connect()
        for _ in range(2):
            await client.send(GET)
            got, headers = await client.read_head()
            assert got == status
            assert not headers.keys() & {"transfer-encoding", "content-length"}


async def test_head_alone_is_sent_by_an_empty_body_message(serve_tiny: ServeTiny) -> None:
    async def handler(_scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await send({"type": "http.response.body", "more_body": True})
        await gateway.release.wait()
        await send({"type": "http.response.body", "body": b"late"})

    gateway = with_handler(handler)
    async with serve_tiny(gateway) as running:
        client = await running.connect()
        await client.send(GET)
        assert (await client.read_head())[0] == 200
        gateway.release.set()
        assert await client.reader.readuntil(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


async def test_application_sets_date_and_connection(serve_tiny: ServeTiny) -> None:
    async def handler(_scope: Any, _receive: Any, send: Any) -> None:
        fields = (b"Date", b"x"), (b"Connection", b"keep-alive, Close"), (b"Transfer-Encoding", b"chunked")
        await start(send, 299, *fields)
        await send({"type": "http.response.body", "body": b"hi"})

    async with serve_tiny(with_handler(handler)) as running:
        reply = await running.exchange(GET)
        assert reply == (
            b"HTTP/1.1 299 \r\ndate: x\r\nconnection: keep-alive, Close\r\n"
            b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        )


async def test_large_answer_arrives_whole(serve_tiny: ServeTiny) -> None:
    body = bytes(range(256)) * 4_000

    async def handler(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, body)

    async with serve_tiny(with_handler(handler)) as running:
        client = await running.connect()
        await client.send(GET)
        assert (await client.read_answer()).body == body


async def test_continue_is_sent_when_the_body_is_wanted(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert await client.read_head() == (100, {})
        await client.send(b"abc")
        assert (await client.read_answer()).body == b"3"


async def test_no_continue_where_the_answer_comes_first(serve_tiny: ServeTiny) -> None:
    async def handler(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"no")

    async with serve_tiny(with_handler(handler)) as running:
        reply = await running.exchange(
            b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert reply.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n")
        assert b"connection: close" in reply


async def test_no_continue_in_the_middle_of_an_answer(serve_tiny: ServeTiny) -> None:
    async def handler(_scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        body = await read_body(receive)
        await send({"type": "http.response.body", "body": body})

    async with serve_tiny(with_handler(handler)) as running:
        client = await running.connect()
        await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        await client.read_head()
        await client.send(b"abc")
        assert await client.read_to_end() == b"5\r\nfirst\r\n3\r\nabc\r\n0\r\n\r\n"


async def test_early_answer_reaches_a_client_that_is_still_sending(serve_tiny: ServeTiny) -> None:
    async def handler(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"denied")

    async with serve_tiny(with_handler(handler)) as running:
        client = await running.connect()
        await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 10)
        early = await client.read_answer()
        assert (early.body, early.headers["connection"]) == (b"denied", "close")
        await client.send(b"x" * 999_990)
        assert await client.read_to_end() == b""


@pytest.mark.parametrize(
    "field",
    [(b"x", b"a\r\nb: c"), (b"x", b"a\nb: c"), (b"x", b"a\rb"), (b"x", b"a\0"), (b"x: y\r\nz", b"a"), (b"x y", b"a")],
    ids=["CRLF", "LF", "CR", "NUL", "CRLF in name", "space in name"],
)
async def test_header_that_would_inject_is_answered_500(
    serve_tiny: ServeTiny, field: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_scope: Any, _receive: Any, send: Any) -> None:
        await start(send, 200, field)
        await send({"type": "http.response.body", "body": b"x"})

    async with serve_tiny(with_handler(handler)) as running:
        client = await running.connect()
        await client.send(GET)
        answer = await client.read_answer()
        assert answer.status == 500
        assert answer.error["code"] == "internal_error"
        assert answer.headers["x-request-id"].startswith("req_")
    assert "the application failed on GET /x" in caplog.text


BROKEN: dict[str, tuple[Handle, bytes]] = {}


def broken(reply_ends_with: bytes) -> Any:
    def keep(handler: Handle) -> Handle:
        BROKEN[handler.__name__] = (handler, reply_ends_with)
        return handler

    return keep


@broken(b'"code":"internal_error"}}')
async def raises_at_once(_scope: Any, _receive: Any, _send: Any) -> None:
    raise ValueError("secret")


@broken(b'"code":"internal_error"}}')
async def raises_after_its_head(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send)
    raise ValueError("secret")


@broken(b"6\r\npart 1\r\n")
async def raises_in_its_body(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send)
    await send({"type": "http.response.body", "body": b"part 1", "more_body": True})
    raise ValueError("secret")


@broken(b'"code":"internal_error"}}')
async def answers_nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    return


@broken(b"6\r\npart 1\r\n")
async def leaves_without_end(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send)
    await send({"type": "http.response.body", "body": b"part 1", "more_body": True})


@broken(b'"code":"internal_error"}}')
async def sends_a_body_first(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.body", "body": b"x"})


@broken(b'"code":"internal_error"}}')
async def sends_more_than_announced(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send, 200, (b"content-length", b"1"))
    await send({"type": "http.response.body", "body": b"xy"})


@broken(b"\r\n\r\nx")
async def sends_less_than_announced(_scope: Any, _receive: Any, send: Any) -> None:
    await start(send, 200, (b"content-length", b"2"))
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize(("handler", "end"), BROKEN.values(), ids=BROKEN)
async def test_broken_application_still_gives_the_client_an_end(
    serve_tiny: ServeTiny, handler: Handle, end: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve_tiny(with_handler(handler)) as running:
        reply = await running.exchange(GET)
        assert reply.endswith(end)
        assert b"secret" not in reply
        assert running.server.state.tasks == set()
    assert [record.levelno for record in caplog.records if record.name == "chatproxy.server"] == [logging.ERROR]


async def test_answering_twice_is_an_error_of_the_application(
    serve_tiny: ServeTiny, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"one")
        await answer(send, b"two")

    async with serve_tiny(with_handler(handler)) as running:
        client = await running.connect()
        await client.send(GET)
        assert (await client.read_answer()).body == b"one"
        await running.gateway.left.wait()
    assert "out of turn" in caplog.text


async def test_client_that_is_gone_is_sent_to_in_silence(serve_tiny: ServeTiny) -> None:
    done = asyncio.Event()

    async def handler(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await answer(send, b"to nobody")
        done.set()

    async with serve_tiny(with_handler(handler)) as running:
        client = await running.connect()
        await client.send(GET)
        await running.gateway.entered.wait()
        client.reset()
        await done.wait()


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
async def test_upgrade_is_ignored_and_the_body_is_read(serve_tiny: ServeTiny, protocol: bytes) -> None:
    head = (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nX-Kept: 1\r\nContent-Length: 5\r\n\r\n"
    )
    async with serve_tiny() as running:
        client = await running.connect()
        for _ in range(2):
            await client.send(head + b"ab")
            await running.gateway.entered.wait()
            await client.send(b"cde")
            assert (await client.read_answer()).body == b"5"
        names = [name for name, _ in running.gateway.scopes[0]["headers"]]
        assert names == [b"host", b"x-kept", b"content-length"]


async def test_scope_is_what_asgi_says(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(b"GET /echo/a%20b%2Fc?q=1&r=%20 HTTP/1.1\r\nHost: a\r\nX-Name: V\r\n\r\n")
        await client.read_answer()
        scope = running.gateway.scopes[0]
        assert scope["path"] == "/echo/a b/c"
        assert scope["raw_path"] == b"/echo/a%20b%2Fc"
        assert scope["query_string"] == b"q=1&r=%20"
        assert scope["headers"] == [(b"host", b"a"), (b"x-name", b"V")]
        assert scope["server"] == ("127.0.0.1", running.port)
        assert scope["client"] == client.writer.get_extra_info("sockname")
        assert (scope["http_version"], scope["method"], scope["scheme"]) == ("1.1", "GET", "http")

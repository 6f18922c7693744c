"""The edge guard around an application, under any ASGI server."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httptools
import pytest
import uvicorn

from chatproxy.surfaces.edge import CHECKED_EXTENSION, EdgeGuard, EdgeLimits, check_head

HOST = (b"host", b"a")
LIMITS = EdgeLimits(max_header_fields=5, max_header_bytes=300, max_target_bytes=50, max_body_bytes=100)


class App:
    """Remembers what reached it; reads the body, then answers its size."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.messages: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] != "http":
            return
        size, more = 0, True
        while more:
            self.messages.append(await receive())
            size += len(self.messages[-1].get("body", b""))
            more = self.messages[-1].get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % size})


def scope_of(*headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/x", "query_string": b""}
    return {**scope, "headers": list(headers), **more}


async def run(
    scope: dict[str, Any], chunks: Sequence[bytes] = (b"",), *, app: App | None = None, limits: EdgeLimits = LIMITS
) -> tuple[list[Any], App]:
    """What the guard sends for a request whose body comes in `chunks`, and the application it guards."""
    app = app or App()
    sent: list[Any] = []
    events = iter(
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    )

    async def receive() -> Any:
        return next(events)

    async def send(message: Any) -> None:
        sent.append(message)

    await EdgeGuard(app, limits)(scope, receive, send)
    return sent, app


def assert_refused(sent: list[Any], status: int, code: str) -> None:
    start, body = sent
    headers = dict(start["headers"])
    assert start["status"] == status
    assert headers[b"connection"] == b"close"
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == b"%d" % len(body["body"])
    assert headers[b"x-request-id"].startswith(b"req_")
    error = json.loads(body["body"])["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == (
        "api_error" if status >= 500 else "invalid_request_error",
        None,
        code,
    )


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no host": (scope_of(), 400, "invalid_host"),
    "two hosts": (scope_of(HOST, HOST), 400, "invalid_host"),
    "empty host": (scope_of((b"host", b"")), 400, "invalid_host"),
    "host with path": (scope_of((b"host", b"a/x?#")), 400, "invalid_host"),
    "host with port of letters": (scope_of((b"host", b"a:b")), 400, "invalid_host"),
    "host with user": (scope_of((b"host", b"me@a")), 400, "invalid_host"),
    "host with line break": (scope_of((b"host", b"a\r\nx: y")), 400, "invalid_host"),
    "host that ends in a line break": (scope_of((b"host", b"a\n")), 400, "invalid_host"),
    "bare IPv6 host": (scope_of((b"host", b"::1")), 400, "invalid_host"),
    "length and coding": (
        scope_of(HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")),
        400,
        "invalid_framing",
    ),
    "two lengths": (scope_of(HOST, (b"content-length", b"1"), (b"content-length", b"1")), 400, "invalid_framing"),
    "length list": (scope_of(HOST, (b"content-length", b"1, 1")), 400, "invalid_framing"),
    "length with plus": (scope_of(HOST, (b"content-length", b"+1")), 400, "invalid_framing"),
    "negative length": (scope_of(HOST, (b"content-length", b"-1")), 400, "invalid_framing"),
    "empty length": (scope_of(HOST, (b"content-length", b"")), 400, "invalid_framing"),
    "length in other digits": (scope_of(HOST, (b"content-length", "٢".encode())), 400, "invalid_framing"),
    "two codings": (
        scope_of(HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")),
        400,
        "invalid_framing",
    ),
    "coding in HTTP/1.0": (
        scope_of(HOST, (b"transfer-encoding", b"chunked"), http_version="1.0"),
        400,
        "invalid_framing",
    ),
    "gzip coding": (scope_of(HOST, (b"transfer-encoding", b"gzip, chunked")), 501, "unsupported_transfer_encoding"),
    "identity coding": (scope_of(HOST, (b"transfer-encoding", b"identity")), 501, "unsupported_transfer_encoding"),
    "absolute target": (scope_of(HOST, path="http://b/"), 400, "invalid_target"),
    "asterisk target": (scope_of(HOST, path="*"), 400, "invalid_target"),
    "long path": (scope_of(HOST, path="/" + "a" * 50), 414, "request_target_too_long"),
    "long query": (scope_of(HOST, query_string=b"a" * 50), 414, "request_target_too_long"),
    "many fields": (scope_of(HOST, *[(b"x", b"y")] * 5), 431, "headers_too_large"),
    "many bytes": (scope_of(HOST, (b"x", b"y" * 300)), 431, "headers_too_large"),
    "long body announced": (scope_of(HOST, (b"content-length", b"101")), 413, "request_too_large"),
    "longest body announced": (scope_of(HOST, (b"content-length", b"9" * 30)), 413, "request_too_large"),
}


@pytest.mark.parametrize(("scope", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_improper_request_never_reaches_the_application(scope: dict[str, Any], status: int, code: str) -> None:
    sent, app = await run(scope)
    assert_refused(sent, status, code)
    assert app.scopes == []


@pytest.mark.parametrize(
    "host", [b"a", b"a:80", b"a.b-c.example", b"my_app:1", b"127.0.0.1:8765", b"[::1]", b"[::1]:8"]
)
async def test_proper_request_passes(host: bytes) -> None:
    sent, app = await run(scope_of((b"host", host), (b"content-length", b"3")), [b"abc"])
    assert sent[1]["body"] == b"3"
    assert len(app.scopes) == 1


async def test_coding_name_is_compared_without_case() -> None:
    sent, _ = await run(scope_of(HOST, (b"transfer-encoding", b"Chunked")), [b"ab", b"c"])
    assert sent[1]["body"] == b"3"


async def test_http_2_needs_no_host() -> None:
    sent, _ = await run(scope_of((b"content-length", b"3"), http_version="2"), [b"abc"])
    assert sent[1]["body"] == b"3"


@pytest.mark.parametrize(
    "headers",
    [[(b"transfer-encoding", b"chunked")], [(b"content-length", b"10")], []],
    ids=["chunked", "lying length", "no length"],
)
async def test_body_is_refused_once_more_than_the_limit_came(headers: list[tuple[bytes, bytes]]) -> None:
    sent, app = await run(scope_of(HOST, *headers), [b"x" * 40] * 1_000)
    assert_refused(sent, 413, "request_too_large")
    assert [message["type"] for message in app.messages] == ["http.request", "http.request", "http.disconnect"]


async def test_body_of_the_limit_itself_passes() -> None:
    sent, _ = await run(scope_of(HOST, (b"transfer-encoding", b"chunked")), [b"x" * 50, b"x" * 50])
    assert sent[1]["body"] == b"100"


async def test_application_that_reads_on_is_told_again() -> None:
    class ReadsOn(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            self.messages = [await receive() for _ in range(5)]

    sent, app = await run(scope_of(HOST), [b"x" * 40] * 3, app=ReadsOn())
    assert [message["status"] for message in sent] == [200]
    assert [message["type"] for message in app.messages[2:]] == ["http.disconnect"] * 3


async def test_server_that_checked_with_the_same_limits_is_trusted() -> None:
    app = App()
    mark = {"extensions": {CHECKED_EXTENSION: EdgeLimits(max_header_fields=5, max_header_bytes=300)}}
    assert_refused((await run(scope_of(**mark), app=app))[0], 400, "invalid_host")
    same = EdgeLimits(max_header_fields=5, max_header_bytes=300, max_target_bytes=50, max_body_bytes=100)
    guard = EdgeGuard(app, LIMITS)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        return

    for _ in range(2):
        await guard(scope_of(extensions={CHECKED_EXTENSION: same}), receive, send)
    assert len(app.scopes) == 2


async def test_lifespan_passes_untouched() -> None:
    sent, app = await run({"type": "lifespan"})
    assert (sent, app.scopes) == ([], [{"type": "lifespan"}])


async def test_websocket_is_closed() -> None:
    sent, app = await run({"type": "websocket", "headers": []})
    assert (sent, app.scopes) == ([{"type": "websocket.close", "code": 1008}], [])


async def test_websocket_is_answered_where_the_server_can_carry_it() -> None:
    sent, app = await run({"type": "websocket", "headers": [], "extensions": {"websocket.http.response": {}}})
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert_refused(sent, 400, "websocket_not_supported")
    assert app.scopes == []


class AnnouncedServer(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listens.set()


async def test_guard_protects_under_plain_uvicorn() -> None:
    app = App()
    config = uvicorn.Config(EdgeGuard(app, LIMITS), port=0, lifespan="off", log_config=None, http="httptools")
    server = AnnouncedServer(config)
    serving = asyncio.create_task(server.serve())
    try:
        await server.listens.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        for request, status in (
            (b"POST /x HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            (b"POST /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            (b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
            (b"POST /x HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"y" * 300), 431),
            (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413),
            (
                b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"40\r\n%b\r\n" % (b"x" * 64) * 9,
                413,
            ),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 %d " % status)
            assert b'"error":{"message":' in await reader.read()
            writer.close()
    finally:
        server.should_exit = True
        await serving
    assert [message["type"] for message in app.messages][-1] == "http.disconnect"


def test_every_head_of_a_fuzzed_table_is_refused_or_framed_as_llhttp_does() -> None:
    """No head may pass the guard that the parser behind it would frame in another way."""
    values = [b"0", b"1", b"01", b"+1", b"1,1", b" 1", b"1 ", b"chunked", b"CHUNKED", b"chunked ", b"x, chunked", b""]
    for name in (b"content-length", b"transfer-encoding"):
        for value in values:
            if check_head("1.1", [HOST, (name, value)], LIMITS) is not None:
                continue
            parser = httptools.HttpRequestParser(object())
            body = b"1\r\nx\r\n0\r\n\r\n" if name == b"transfer-encoding" else b"x" * int(value)
            parser.feed_data(b"POST / HTTP/1.1\r\nhost: a\r\n" + name + b": " + value + b"\r\n\r\n" + body)

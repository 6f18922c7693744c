"""Bodies that pass through, over sockets: streamed both ways, and broken off where one side breaks off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from tests.faults.upstream import (
    Exchange,
    Script,
    chunk,
    never_answer,
    raw,
    reply,
    reply_head,
    reset,
    stall,
    truncate,
)
from tests.server.rawclient import WAIT_S, RawClient
from tests.surfaces.passthrough_cases import MIB, Taker, Wired, post, wired

from chatproxy.server.resources import reset_on_close

PROMPT_LEAVING_S = 2.0  # 1 s is the promise, doubled for a busy machine
GET = b"GET /v1/files/file-1/content HTTP/1.1\r\nhost: a\r\n\r\n"
FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b\r\n'
FILE = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
END = b"\r\n--b--\r\n"


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every test runs on both event loops."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


# Streamed.


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/files"])
async def test_upload_goes_out_while_it_comes_in(path: str) -> None:
    taker = Taker()
    whole = FORM + FILE + b"x" * 100_000 + END
    async with wired(taker.script, reads_bodies=False) as gateway:
        client = await gateway.open(post(path, len(whole)) + whole[:50_000])
        await taker.has(50_000)
        await client.send(whole[50_000:])
        assert (await client.read_answer()).status == 200
        (seen,) = gateway.upstream.requests
        exchange = await gateway.recorder.wait()
    assert taker.body == whole
    assert seen.header("content-length") == str(len(whole))
    assert exchange.request_bytes == len(whole)


async def test_upload_of_unknown_length_goes_out_in_chunks() -> None:
    taker = Taker()
    async with wired(taker.script, reads_bodies=False) as gateway:
        client = await gateway.open(post("/v1/files", None) + chunk(FORM + FILE))
        await taker.has(len(FORM + FILE))
        await client.send(chunk(b"x" * 70_000) + chunk(END) + chunk(b""))
        assert (await client.read_answer()).status == 200
        (seen,) = gateway.upstream.requests
    assert taker.body == FORM + FILE + b"x" * 70_000 + END
    assert (seen.header("content-length"), seen.header("transfer-encoding")) == (None, "chunked")


async def test_client_that_asks_first_is_told_to_go_on() -> None:
    taker = Taker()
    async with wired(taker.script, reads_bodies=False) as gateway:
        client = await gateway.open(post("/v1/files", 5, "expect: 100-continue"))
        assert (await client.read_head())[0] == 100
        await client.send(b"12345")
        assert (await client.read_answer()).status == 200
    assert taker.body == b"12345"


async def test_download_goes_out_while_it_comes_in() -> None:
    gate = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.send(reply_head(200, "content-length: 6", "content-type: audio/mpeg") + b"\0\1\2")
        await gate.wait()
        await exchange.send(b"\3\4\5")

    async with wired(script) as gateway:
        client = await gateway.open(GET)
        assert await client.read_head() is not None
        assert await client.reader.readexactly(3) == b"\0\1\2"
        gate.set()
        assert await client.reader.readexactly(3) == b"\3\4\5"
        await client.send(GET)  # the connection goes on
        assert (await client.read_answer()).body == b"\0\1\2\3\4\5"
        assert gateway.upstream.accepted == 1


async def test_head_request_has_the_head_of_the_answer() -> None:
    async with wired(raw(reply_head(200, "content-length: 1000", "content-type: audio/mpeg"))) as gateway:
        client = await gateway.open(GET.replace(b"GET", b"HEAD"))
        status, headers = await client.read_head()
        assert (status, headers["content-length"], headers["content-type"]) == (200, "1000", "audio/mpeg")
        assert gateway.upstream.requests[0].method == "HEAD"
        await client.send(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.read_answer()).status == 200


async def test_coded_reply_passes_as_it_is() -> None:
    async with wired(raw(reply(b"\x1f\x8bcoded", 200, "content-encoding: gzip"))) as gateway:
        client = await gateway.open(GET)
        answer = await client.read_answer()
    assert (answer.body, answer.headers["content-encoding"]) == (b"\x1f\x8bcoded", "gzip")


# Somebody leaves.


async def let_go(gateway: Wired) -> float:
    """Seconds until the gateway has ended the exchange and let its upstream go."""
    started = asyncio.get_running_loop().time()
    await gateway.recorder.wait()
    await gateway.all_left()
    return asyncio.get_running_loop().time() - started


async def test_client_that_leaves_in_its_upload_lets_the_upstream_go() -> None:
    taker = Taker()
    async with wired(taker.script, reads_bodies=False) as gateway:
        client = await gateway.open(post("/v1/files", 100_000) + b"x" * 50_000)
        await taker.has(50_000)
        client.close()
        assert await let_go(gateway) <= PROMPT_LEAVING_S
        (exchange,) = gateway.recorder.exchanges
    assert (exchange.outcome, exchange.status, exchange.error_code) == ("client_disconnected", 499, None)
    assert exchange.request_bytes == 50_000


async def test_client_that_leaves_a_stuck_upload_is_missed() -> None:
    """Nothing is read from it then, so that its leaving does not show by itself."""
    is_stuck = asyncio.Event()

    async def stuck(exchange: Exchange) -> None:
        await is_stuck.wait()
        await exchange.until_client_leaves()

    async with wired(stuck, reads_bodies=False) as gateway:
        client = await gateway.open(post("/v1/files", 64 * MIB))
        client.writer.write(b"x" * (64 * MIB))
        await gateway.takes_no_more()
        reset_on_close(client.writer.get_extra_info("socket"))
        client.reset()
        started = asyncio.get_running_loop().time()
        exchange = await gateway.recorder.wait()
        assert asyncio.get_running_loop().time() - started <= PROMPT_LEAVING_S
        is_stuck.set()
        await gateway.all_left()
    assert (exchange.outcome, exchange.status) == ("client_disconnected", 499)


@pytest.mark.parametrize(
    "script",
    [never_answer(), stall(reply_head(200, "content-length: 9") + b"abc"), stall(reply_head(200, "content-length: 9"))],
    ids=["before the head", "in the body", "behind the head"],
)
async def test_client_that_leaves_its_download_lets_the_upstream_go(script: Script) -> None:
    async with wired(script) as gateway:
        client = await gateway.open(GET)
        async with asyncio.timeout(WAIT_S):
            await gateway.upstream.got_request.wait()
        client.close()
        assert await let_go(gateway) <= PROMPT_LEAVING_S
        (exchange,) = gateway.recorder.exchanges
    assert exchange.outcome == "client_disconnected"


LENGTH = reply_head(200, "content-length: 100") + b"begun"
CHUNKS = reply_head(200, "transfer-encoding: chunked") + chunk(b"begun")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (truncate(LENGTH), "upstream_protocol_error"),
        (truncate(CHUNKS), "upstream_protocol_error"),
        (reset(LENGTH), "upstream_disconnected"),
        (raw(CHUNKS + b"zz\r\n"), "upstream_protocol_error"),
        (stall(LENGTH), "upstream_idle_timeout"),
    ],
    ids=["short", "cut chunks", "reset", "broken chunks", "silence"],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"], ids=["HTTP/1.1", "HTTP/1.0"])
async def test_reply_that_breaks_off_resets_the_client(script: Script, code: str, version: bytes) -> None:
    async with wired(script, idle_timeout_s=0.1) as gateway:
        client = await gateway.open(GET.replace(b"1.1", version))
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(client.reader.read(), WAIT_S)
        exchange = await gateway.recorder.wait()
        await gateway.all_left()
    assert (exchange.outcome, exchange.error_code, exchange.status) == ("failed", code, 200)
    assert gateway.recorder.calls == ["on_error"]


async def test_reply_that_breaks_off_closes_the_client_under_another_server() -> None:
    async with wired(truncate(CHUNKS)) as gateway:
        config = uvicorn.Config(gateway.app, port=0, http="h11", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
        await client.send(GET)
        data = await client.read_to_end()
        client.close()
        await gateway.recorder.wait()
        await server.shutdown()
    assert data.endswith(b"5\r\nbegun\r\n")


@pytest.mark.parametrize("answers", ["at once", "in the middle"])
async def test_upstream_that_refuses_early_is_heard(answers: str) -> None:
    refusal = reply(b'{"error":{"message":"No.","code":"nope"}}', 401, "connection: close")

    async def script(exchange: Exchange) -> None:
        if answers == "in the middle":
            await exchange.reader.readexactly(100_000)
        await exchange.send(refusal)
        await exchange.until_client_leaves()

    async with wired(script, reads_bodies=False) as gateway:
        client = await gateway.open(post("/v1/files", 64 * MIB))
        client.writer.write(b"x" * (16 * MIB))
        answer = await client.read_answer()
        exchange = await gateway.recorder.wait()
    assert (answer.status, answer.error["code"]) == (401, "nope")
    assert answer.headers["connection"] == "close"
    assert exchange.request_bytes < 16 * MIB


# Limits and deadlines.


@pytest.mark.parametrize("length", [MIB + 1, None], ids=["announced", "chunked"])
async def test_upload_over_its_limit_is_refused(length: int | None) -> None:
    body = b"x" * (MIB + 1)
    async with wired(Taker().script, reads_bodies=False, limit=MIB, max_body_bytes=1000) as gateway:
        client = await gateway.open(post("/v1/files", length))
        client.writer.write(chunk(body) if length is None else body)
        answer = await client.read_answer()
        await gateway.all_left()
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert str(MIB) in answer.error["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/%66iles", "/v1/filesx"])
async def test_other_bodies_keep_their_own_limit(path: str) -> None:
    async with wired(max_body_bytes=1000) as gateway:
        client = await gateway.open(post(path, 1001) + b"x" * 1001)
        answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("length", [1001, None], ids=["announced", "chunked"])
async def test_json_body_of_an_operation_keeps_the_usual_limit(length: int | None) -> None:
    body = b" " * 1001
    async with wired(max_body_bytes=1000) as gateway:
        head = post("/v1/audio/speech", length).replace(b"multipart/form-data; boundary=b", b"application/json")
        client = await gateway.open(head + (chunk(body) + chunk(b"") if length is None else body))
        answer = await client.read_answer()
        assert gateway.upstream.requests == []
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


async def test_first_byte_is_due_from_the_end_of_the_upload() -> None:
    """Requests that run into deadlines tell the time: one in the pause of the upload, one between upload and answer."""
    taker, may_answer = Taker(answer=b""), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.request.method == "GET":
            await exchange.until_client_leaves()
        else:
            await taker.script(exchange)
            await may_answer.wait()
            await exchange.send(reply(b"{}"))

    async with wired(script, reads_bodies=False, first_byte_timeout_s=1.0) as gateway:
        client = await gateway.open(post("/v1/files", 200_000) + b"x" * 100_000)
        await taker.has(100_000)
        assert await late(gateway, b"/v1/files") == "upstream_first_byte_timeout"
        await client.send(b"x" * 100_000)
        await taker.has(200_000)
        assert await late(gateway, b"/v1/batches") == "upstream_first_byte_timeout"
        may_answer.set()
        assert (await client.read_answer()).status == 200


async def late(gateway: Wired, path: bytes) -> object:
    """The code of the error that a request for this path ends in."""
    client = await gateway.open(b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n" % path)
    return (await client.read_answer()).error["code"]


async def test_upstream_that_is_silent_after_the_upload_is_late() -> None:
    async with wired(never_answer(), first_byte_timeout_s=0.1) as gateway:
        client = await gateway.open(post("/v1/files", 5) + b"12345")
        answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (504, "upstream_first_byte_timeout")


# Stops.


async def test_expired_drain_resets_a_download() -> None:
    async with wired(stall(LENGTH)) as gateway:
        client = await gateway.open(GET)
        await client.reader.readuntil(b"begun")
        await gateway.app.gateway.expire_streams()
        with pytest.raises(ConnectionResetError):
            await client.reader.read(100)
        exchange = await gateway.recorder.wait()
        await gateway.all_left()
    assert (exchange.outcome, exchange.error_code) == ("failed", "server_shutdown")


async def test_expired_drain_refuses_an_upload() -> None:
    taker = Taker()
    async with wired(taker.script, reads_bodies=False) as gateway:
        client = await gateway.open(post("/v1/files", 1000) + b"x" * 500)
        await taker.has(500)
        await gateway.app.gateway.expire_streams()
        answer = await client.read_answer()
        await gateway.all_left()
    assert (answer.status, answer.error["code"]) == (503, "server_shutdown")

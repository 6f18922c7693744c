"""Requests that bend HTTP, through the whole gateway: refused at the edge, and nothing of them gets through."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.rawclient import RawClient

from .conftest import MakeUpstream, StartGateway
from .gateway import CLIENT_KEY, UPSTREAM_KEY, Gateway, chat, post, settings
from .replies import answers, completion, either, says
from .upstream import Exchange, FaultUpstream, ok, reply_head

HEAD = "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n"
SMUGGLED = post(chat(model="smuggled"))


async def refused(gateway: Gateway, data: bytes) -> tuple[int, str]:
    """Status and code of the only answer; the connection is closed after it."""
    client = await gateway.connect()
    await client.send(data)
    answer = await client.read_answer()
    assert await client.read_to_end() == b""
    client.close()
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"]
    return answer.status, answer.error["code"]


@pytest.fixture
async def untouched(upstream: MakeUpstream) -> AsyncIterator[FaultUpstream]:
    """An upstream that must not be asked anything."""
    async with upstream(answers()) as up:
        yield up
        assert up.requests == []


FRAMINGS = [
    "content-length: 0\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 0",
    "content-length: 0\r\ncontent-length: 0",
    "content-length: 0, 0",
    "content-length: +0",
    "content-length: 0x0",
    "content-length: -1",
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    "transfer-encoding : chunked",
    "content-length: 0\r\n transfer-encoding: chunked",
]


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_request_of_two_lengths_never_smuggles_another(
    gateway: Gateway, untouched: FaultUpstream, framing: str
) -> None:
    """H-01."""
    head = f"{HEAD}host: a\r\n{framing}\r\n\r\n".encode()
    assert (await refused(gateway, head + b"0\r\n\r\n" + SMUGGLED))[0] == 400


HOSTS = [
    "",
    "host: a\r\nhost: a\r\n",
    "host: a/x?#\r\n",
    "host: a:b\r\n",
    "host: a b\r\n",
    "host: a@b\r\n",
    "host:\r\n",
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/livez", "/v1/models"])
async def test_improper_host_is_refused_on_every_route(
    gateway: Gateway, untouched: FaultUpstream, host: str, path: str
) -> None:
    """H-03."""
    assert await refused(gateway, f"GET {path} HTTP/1.1\r\n{host}\r\n".encode()) == (400, "invalid_host")


async def test_host_of_300_kilobytes_is_refused(gateway: Gateway, untouched: FaultUpstream) -> None:
    """H-03."""
    client = await gateway.connect()
    client.writer.write(f"GET /livez HTTP/1.1\r\nhost: {'a' * 300_000}\r\n\r\n".encode())
    assert (await client.read_answer()).status == 431
    client.close()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://{away}/v1/models HTTP/1.1", 400),
        ("POST http://{away}/v1/chat/completions HTTP/1.1", 400),
        ("OPTIONS * HTTP/1.1", 400),
        ("CONNECT {away} HTTP/1.1", 405),
        ("GET //{away}/v1/models HTTP/1.1", 404),
        ("GET /http://{away}/ HTTP/1.1", 404),
    ],
)
async def test_gateway_is_no_open_forward_proxy(gateway: Gateway, line: str, status: int) -> None:
    """H-04: nothing connects to what a target names."""
    async with FaultUpstream(answers()) as away:
        target = line.format(away=f"127.0.0.1:{away.port}")
        client = await gateway.connect()
        await client.send(f"{target}\r\nhost: 127.0.0.1:{away.port}\r\nconnection: close\r\n\r\n".encode())
        assert (await client.read_answer()).status == status
        client.close()
        assert away.accepted == 0


@pytest.mark.parametrize(
    "fields",
    [
        f"x: {'a' * 70_000}\r\n",
        f"x: {'a' * 2_000_000}\r\n",
        "x: a\r\n" * 5000,
        "x:\r\n" * 101,
        f"{'a' * 70_000}: b\r\n",
    ],
    ids=["70-kb", "2-mb", "5000-fields", "101-fields", "name"],
)
async def test_header_bomb_is_refused_in_little_memory(gateway: Gateway, untouched: FaultUpstream, fields: str) -> None:
    """H-05: ten at a time; under 4 MiB each."""
    bomb = f"{HEAD}host: a\r\n{fields}\r\n".encode()
    gateway.forget_peak()
    before = gateway.memory_bytes()

    async def throw() -> int:
        client = await gateway.connect()
        client.writer.write(bomb)
        status = (await client.read_answer()).status
        client.reset()
        return status

    assert await asyncio.gather(*(throw() for _ in range(10))) == [431] * 10
    assert gateway.peak_bytes() - before < 10 * 4 * 2**20


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\x00b", "a\r\n b", "a\x7fb", "a\x01b"])
async def test_control_characters_in_a_header_are_refused(
    gateway: Gateway, untouched: FaultUpstream, value: str
) -> None:
    """H-06, from a client."""
    client = await gateway.open(f"idempotency-key: {value}")
    answer = await client.read_answer()
    client.close()
    assert answer.status == 400


async def test_header_that_is_not_ascii_injects_nothing(gateway: Gateway, upstream: MakeUpstream) -> None:
    """H-06: U+010D and U+010A end in the bytes of CR and LF where they are cut to Latin-1."""
    value = "a\u010d\u010ab\u560d\u560a"
    async with upstream(answers()) as up:
        answer = await gateway.ask(f"idempotency-key: {value}", f"x-request-id: {value}")
        assert answer.status in {200, 400}
        for request in up.requests:
            assert request.raw_head.count(b"\n") == len(request.headers) + 2
            assert request.raw_head.count(b"\r") == len(request.headers) + 2
            assert request.header("idempotency-key") == value.encode().decode("latin-1")


PLUGIN = """
from chatproxy import hookimpl

@hookimpl
async def around_execute(ctx, request, call_next):
    reply = await call_next(request)
    reply.headers["x-plugin"] = request["user"]
    return reply
"""


@pytest.mark.parametrize("stream", [False, True])
async def test_header_of_a_plugin_cannot_inject(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream, tmp_path: Path, stream: bool
) -> None:
    """H-06, from a plugin: into the client's answer."""
    (tmp_path / "header.py").write_text(PLUGIN)
    gateway = start_gateway(settings(upstream_url), "--plugin", str(tmp_path / "header.py"))
    async with upstream(either()):
        for value in ("a\r\nset-cookie: b=c", "a\nb", "a\0b", "a\u010d\u010ab"):
            answer = await gateway.ask(user=value, stream=stream)
            assert (answer.status, answer.error["code"]) == (500, "plugin_failed"), value
            assert "set-cookie" not in answer.headers
        answer = await gateway.ask(user="fine", stream=stream)
    assert (answer.status, answer.headers["x-plugin"]) == (200, "fine")


PRIVATE = {
    "cookie": "session=canary",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "evil",
    "forwarded": "for=10.0.0.1",
    "x-real-ip": "10.0.0.1",
    "x-api-key": "canary",
    "api-key": "canary",
    "proxy-authorization": "Basic canary",
    "openai-organization": "org-canary",
    "user-agent": "canary",
    "referer": "canary",
    "te": "trailers",
    "keep-alive": "timeout=5",
    "accept-encoding": "gzip",
    "x-custom": "canary",
}


@pytest.mark.parametrize("stream", [False, True])
async def test_private_headers_stay_on_their_side(gateway: Gateway, upstream: MakeUpstream, stream: bool) -> None:
    """H-08: the upstream gets its own key and what the gateway says; the client nothing of the upstream's server."""
    ours = ["set-cookie: a=canary", "server: canary", "via: canary", "x-powered-by: canary", "x-ratelimit-limit: 7"]

    async def reply(exchange: Exchange) -> None:
        await (says("a") if stream else ok(completion(), *ours))(exchange)

    async with upstream(reply) as up:
        answer = await gateway.ask(*(f"{name}: {value}" for name, value in PRIVATE.items()), stream=stream)
        request = up.requests[0]
    assert answer.status == 200
    assert request.header("authorization") == f"Bearer {UPSTREAM_KEY}"
    assert request.header("accept-encoding") == "identity"
    assert b"canary" not in request.raw_head.replace(UPSTREAM_KEY.encode(), b"")
    assert CLIENT_KEY.encode() not in request.raw_head
    kept = {"user-agent", "accept-encoding", "x-request-id"}
    assert not {name for name, _ in request.headers} & (PRIVATE.keys() - kept)
    assert "canary" not in str(answer.headers)
    assert answer.headers.get("x-ratelimit-limit") == (None if stream else "7")


async def test_forwarding_of_a_clients_key_is_for_upstreams_without_one(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream
) -> None:
    """H-08, configured."""
    gateway = start_gateway(
        f'upstream_url = "{upstream_url}"\nforward_authorization = true\n'
        '[upstreams.default]\nforward_headers = ["x-custom"]\n'
    )
    async with upstream(answers()) as up:
        assert (await gateway.ask("x-custom: mine", "cookie: a")).status == 200
        assert up.requests[0].header("authorization") == f"Bearer {CLIENT_KEY}"
        assert up.requests[0].header("x-custom") == "mine"
        assert up.requests[0].header("cookie") is None


async def slow(gateway: Gateway, sent: bytes) -> bytes:
    """What comes back on a connection that goes on for ever, byte after byte where there is more than one."""
    client = await gateway.connect()
    await client.send(sent)
    data = await client.read_to_end()
    client.close()
    return data


async def test_slowloris_connections_are_closed_while_others_are_served(
    impatient: Gateway, upstream: MakeUpstream
) -> None:
    """H-09: 500 slow heads and a few slow bodies at the deadline."""
    body = f"{HEAD}host: a\r\ncontent-length: 100\r\n\r\n".encode() + b"{"
    async with upstream(answers()):
        heads = [asyncio.create_task(slow(impatient, b"POST /v1/chat/completions HTTP/1.1\r\nho")) for _ in range(500)]
        bodies = [asyncio.create_task(slow(impatient, body)) for _ in range(3)]
        for _ in range(20):
            assert (await impatient.ask()).status == 200
        assert all(data.startswith(b"HTTP/1.1 408 ") for data in await asyncio.gather(*heads))
        assert all(data.startswith(b"HTTP/1.1 408 ") for data in await asyncio.gather(*bodies))


LIMIT = 100_000


@pytest.mark.parametrize(
    ("framing", "chunk_head"),
    [
        (f"content-length: {LIMIT + 1}", ""),
        ("content-length: 999999999999999999", ""),
        ("transfer-encoding: chunked", "fffffff\r\n"),
        ("transfer-encoding: chunked", f"{LIMIT + 1:x}\r\n"),
    ],
)
async def test_body_over_the_limit_is_413_before_it_is_read(
    impatient: Gateway, untouched: FaultUpstream, framing: str, chunk_head: str
) -> None:
    """H-10: the client writes on until it is stopped; at most the limit and what buffers hold is taken."""
    client = await impatient.connect()
    await client.send(f"{HEAD}host: a\r\n{framing}\r\n\r\n{chunk_head}".encode())
    if chunk_head:
        await client.send(b"a" * (LIMIT + 1))
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    client.reset()


async def test_body_shorter_than_announced_is_never_forwarded(impatient: Gateway, untouched: FaultUpstream) -> None:
    """H-10, a length that lies: late is 408, an early end is a client that left; what is over is no request."""
    data = await slow(impatient, f"{HEAD}host: a\r\ncontent-length: 5000\r\n\r\n".encode() + chat())
    assert data.startswith(b"HTTP/1.1 408 ")


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway, upstream: MakeUpstream) -> None:
    """H-12: the first is the slowest; streams and buffered replies in turn."""
    gate = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        request = json.loads(exchange.request.body)
        if request["user"] == "0":
            await gate.wait()
        await either("to " + request["user"])(exchange)

    async with upstream(script) as up:
        client = await gateway.connect()
        await client.send(b"".join(post(chat(user=str(n), stream=bool(n % 2))) for n in range(8)))
        await up.got_request.wait()
        assert len(up.requests) == 1
        gate.set()
        bodies = [(await client.read_answer()).body for _ in range(8)]
        client.close()
    for n, body in enumerate(bodies):
        assert b'"to %d"' % n in body
        assert body.count(b'"to ') == 1


async def test_upstream_reply_that_is_too_long_mixes_with_no_other(gateway: Gateway, upstream: MakeUpstream) -> None:
    """H-12: a second reply in the first one's packet is nobody's."""
    evil = reply_head(200, "content-type: application/json", "content-length: 6") + b'{"e":1'

    async def script(exchange: Exchange) -> None:
        whole = reply_head(200, "content-type: application/json", f"content-length: {len(completion('mine'))}")
        await exchange.send(whole + completion("mine") + evil)

    async with upstream(script) as up:
        for _ in range(3):
            answer = await gateway.ask()
            assert (answer.status, answer.body) == (200, completion("mine"))
        assert len({request.connection for request in up.requests}) == 3


async def test_client_that_half_closes_gets_no_others_answer(gateway: Gateway, upstream: MakeUpstream) -> None:
    """H-12, early close: the next client on the upstream's kept connection gets its own answer."""
    async with upstream(either("mine")):
        client: RawClient = await gateway.open()
        client.writer.write_eof()
        await client.read_to_end()
        client.close()
        assert (await gateway.ask()).body == completion("mine")

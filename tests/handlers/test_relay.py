"""Relaying to an upstream: bodies in parts over either transport, and deadlines that count the upstream's time only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from chatproxy.errors import InvalidRequest, UpstreamError, UpstreamTimeout
from chatproxy.handlers.patience import Deadlines
from chatproxy.handlers.redact import Redactor
from chatproxy.handlers.relay import UpstreamRelay
from chatproxy.handlers.transport import make_transport
from chatproxy.handlers.transport.auto import TransportKind
from chatproxy.handlers.upstream import UpstreamHandler, UpstreamTarget
from chatproxy.types.passthrough import RelayCall
from tests.faults.upstream import FaultUpstream, ok, short_body

from .conftest import make_context

CALL = RelayCall("GET", "/files/file-1/content")
KINDS: tuple[TransportKind, ...] = ("own", "httpx")


def relay_to(url: str, transport: httpx.AsyncBaseTransport, *, idle_s: float | None = None) -> UpstreamRelay:
    headers = {"authorization": "Bearer k", "accept": "application/x-ours"}
    target = UpstreamTarget("up", f"{url}/v1/", headers, Deadlines(idle_s=idle_s), surfaces=frozenset({"files"}))
    return UpstreamRelay(UpstreamHandler(target, transport, Redactor()))


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    for part in data:
        yield part


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [8, None], ids=["known length", "chunked"])
async def test_body_in_parts_goes_out_over_either_transport(kind: TransportKind, length: int | None) -> None:
    transport = make_transport(kind)
    async with FaultUpstream(ok(b"done", "x-request-id: up-1")) as upstream:
        context = make_context()
        call = RelayCall("POST", "/files", "a=b", b"text/x", b"*/*", parts(b"1234", b"", b"5678"), length)
        reply = await relay_to(upstream.url, transport).call(context, call)
        assert b"".join([part async for part in reply]) == b"done"
        await reply.aclose()
        (seen,) = upstream.requests
        await transport.aclose()
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/files?a=b", b"12345678")
    assert seen.header("content-length" if length else "transfer-encoding") == (str(length) if length else "chunked")
    assert (seen.header("content-type"), seen.header("authorization")) == ("text/x", "Bearer k")
    assert seen.header("accept") == "application/x-ours"
    assert context.exchange.upstream_request_id == "up-1"


@pytest.mark.parametrize("kind", KINDS)
async def test_reply_that_breaks_off_is_no_end(kind: TransportKind) -> None:
    transport = make_transport(kind)
    async with FaultUpstream(short_body(announced=10, sent=4)) as upstream:
        reply = await relay_to(upstream.url, transport).call(make_context(), CALL)
        assert (reply.status, reply.headers) == (200, {"content-length": "10"})
        with pytest.raises(UpstreamError) as caught:
            assert [part async for part in reply] == []
        await reply.aclose()
        await transport.aclose()
    assert caught.value.code == "upstream_protocol_error"


@pytest.mark.parametrize("body", [b"123", b"12345"], ids=["short", "long"])
async def test_body_of_another_length_is_not_sent_as_a_whole_one(body: bytes) -> None:
    transport = make_transport("own")
    async with FaultUpstream() as upstream:
        call = RelayCall("POST", "/files", body=parts(body), length=4)
        with pytest.raises(InvalidRequest):
            await relay_to(upstream.url, transport).call(make_context(), call)
        assert upstream.requests == []
        await transport.aclose()


@pytest.mark.parametrize(
    "call",
    [CALL._replace(query="a=" + "b" * 70_000), CALL._replace(content_type=b"a\r\nx: y")],
    ids=["long query", "line break"],
)
async def test_request_that_cannot_be_written_is_refused(call: RelayCall) -> None:
    transport = make_transport("own")
    async with FaultUpstream() as upstream:
        with pytest.raises(InvalidRequest):
            await relay_to(upstream.url, transport).call(make_context(), call)
        assert upstream.accepted == 0
        await transport.aclose()


class Gated(httpx.AsyncBaseTransport):
    """Answers by one part, and by another when the gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=_GatedBody(self.gate))


class _GatedBody(httpx.AsyncByteStream):
    def __init__(self, gate: asyncio.Event) -> None:
        self._gate = gate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"first"
        await self._gate.wait()
        yield b"second"


async def wait_by_deadline(idle_s: float) -> None:
    """Let the time of another reply's deadline pass."""
    reply = await relay_to("http://up", Gated(), idle_s=idle_s).call(make_context(), CALL)
    with pytest.raises(UpstreamTimeout):
        assert [part async for part in reply] == []
    await reply.aclose()


async def test_time_that_the_client_takes_is_not_the_upstreams() -> None:
    transport = Gated()
    reply = await relay_to("http://up", transport, idle_s=0.4).call(make_context(), CALL)
    assert await anext(reply) == b"first"
    await wait_by_deadline(0.6)
    second = asyncio.ensure_future(anext(reply))
    await wait_by_deadline(0.15)
    transport.gate.set()
    assert await second == b"second"
    await reply.aclose()

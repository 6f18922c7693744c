"""Uploads and downloads of 100 MiB leave the gateway's memory as it was: who is slow slows the other side down."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from tests.faults.gateway import Gateway, listening, settings
from tests.faults.upstream import Exchange, FaultUpstream, flood, reply
from tests.server.rawclient import RawClient

MIB = 1 << 20
SIZE = 100 * MIB
MOST_GROWTH = 8 * MIB
PART = b"x" * 65_536
BEFORE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
BEHIND = b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
UPLOADS = {"form": "/v1/audio/transcriptions", "file": "/v1/files"}


class Sink:
    """Takes bodies and keeps none of them; after its first megabyte it waits for `gate`."""

    def __init__(self) -> None:
        self.taken = 0
        self.gate = asyncio.Event()
        self.waits = asyncio.Event()

    async def script(self, exchange: Exchange) -> None:
        left = int(exchange.request.header("content-length") or 0)
        while left:
            if self.taken >= MIB:
                self.waits.set()
                await self.gate.wait()
            part = await exchange.reader.read(min(left, 262_144))
            left -= len(part)
            self.taken += len(part)
        await exchange.send(reply(b"{}"))


class Source:
    """Sends a file as fast as it is taken."""

    def __init__(self) -> None:
        self.sent = [0]
        self.is_done = asyncio.Event()

    async def script(self, exchange: Exchange) -> None:
        await flood(SIZE, sent=self.sent)(exchange)
        self.is_done.set()


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with listening() as sock:
        yield sock


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, listener: socket.socket) -> Iterator[Gateway]:
    config = settings(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    table = '[upstreams.default]\nsurfaces = ["audio", "files"]\n'
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), config + table)
    yield gateway
    gateway.stop()


async def upload(client: RawClient, path: str, size: int, sent: list[int]) -> None:
    """Send a form with a file of this size; ``sent[0]`` counts its bytes as they go out."""
    length = len(BEFORE) + size + len(BEHIND)
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    client.writer.write(f"{head}content-length: {length}\r\n\r\n".encode() + BEFORE)
    for _ in range(size // len(PART)):
        client.writer.write(PART)
        await client.writer.drain()
        sent[0] += len(PART)
    client.writer.write(BEHIND)
    await client.writer.drain()


async def ask_for_file(client: RawClient, size: int) -> None:
    """Send the request and read the answer's head."""
    await client.send(b"GET /v1/files/file-1/content HTTP/1.1\r\nhost: a\r\n\r\n")
    status, headers = await client.read_head()
    assert (status, headers["content-length"]) == (200, str(size))


async def throw_away(client: RawClient, size: int) -> None:
    """Read this much."""
    while size:
        part = await client.reader.read(262_144)
        assert part
        size -= len(part)


@pytest.mark.parametrize("path", UPLOADS.values(), ids=UPLOADS)
async def test_upload_waits_for_a_slow_upstream_with_little_in_memory(
    gateway: Gateway, listener: socket.socket, path: str
) -> None:
    sink = Sink()
    async with FaultUpstream(sink.script, sock=listener, reads_bodies=False):
        client = await gateway.connect()
        sink.gate.set()
        await upload(client, path, 4 * MIB, [0])
        assert (await client.read_answer()).status == 200
        sink.taken, sent = 0, [0]
        sink.gate.clear()
        before = gateway.memory_bytes()
        gateway.forget_peak()
        sending = asyncio.ensure_future(upload(client, path, SIZE, sent))
        await sink.waits.wait()
        done, _ = await asyncio.wait({sending}, timeout=1.0)
        assert not done
        assert sent[0] < SIZE // 2
        sink.gate.set()
        await sending
        assert (await client.read_answer()).status == 200
        assert gateway.peak_bytes() - before < MOST_GROWTH
        client.close()
    assert sink.taken == len(BEFORE) + SIZE + len(BEHIND)


async def test_download_waits_for_a_slow_client_with_little_in_memory(
    gateway: Gateway, listener: socket.socket
) -> None:
    source = Source()
    async with FaultUpstream(flood(4 * MIB), source.script, sock=listener):
        client = await gateway.connect(limit=65_536)
        await ask_for_file(client, 4 * MIB)
        await throw_away(client, 4 * MIB)
        before = gateway.memory_bytes()
        gateway.forget_peak()
        await ask_for_file(client, SIZE)
        done, waiting = await asyncio.wait({asyncio.ensure_future(source.is_done.wait())}, timeout=1.0)
        assert not done
        assert source.sent[0] < SIZE // 2
        await throw_away(client, SIZE)
        await asyncio.wait(waiting)
        assert gateway.peak_bytes() - before < MOST_GROWTH
        client.close()

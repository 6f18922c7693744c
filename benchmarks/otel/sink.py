"""A collector: ``python -m benchmarks.otel.sink --ports 4318 4319 4320``, over HTTP.

The first port takes everything, the second answers 500, the third takes 30 seconds for each answer. ``GET /stats`` says
how many items came, without a protobuf library: all three kinds of request have them in the same place.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from functools import partial
from typing import cast

import httptools
import msgspec
import uvloop

from benchmarks.upstream_scripts import answer

SLOW_S = 30.0

_ITEMS = (1, 2, 2)  # resource_spans.scope_spans.spans, and likewise for logs and metrics
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}


class Taken(msgspec.Struct):
    """What came so far: requests to all ports, items that the first port took, by signal."""

    requests: int = 0
    traces: int = 0
    logs: int = 0
    metrics: int = 0


def count_items(data: bytes) -> int:
    """Count spans, log records or metrics of an export request.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    messages = [memoryview(data)]
    for field in _ITEMS:
        messages = [found for message in messages for number, found in fields(message) if number == field]
    return len(messages)


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Numbers and contents of a message's fields that have a length.

    Source: Protocol Buffers, "Encoding".
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            size, at = _varint(message, at)
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind == 0:
            _, at = _varint(message, at)
        else:
            raise ValueError(f"no protobuf message: wire type {kind}")
    if at > len(message):
        raise ValueError("no protobuf message: it is cut off")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("no protobuf message: it is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


class SinkProtocol(asyncio.Protocol):
    """One connection.

    Args:
        manner: ``healthy``, ``errors`` or ``slow``.
    """

    transport: asyncio.Transport

    def __init__(self, taken: Taken, manner: str) -> None:
        self._taken = taken
        self._manner = manner
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports do not inherit from asyncio's

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_url(self, url: bytes) -> None:
        self._target, self._body = url, []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        signal = self._target.rpartition(b"/")[2].decode()
        if signal not in Taken.__struct_fields__:
            self.transport.write(answer("200 OK", msgspec.to_builtins(self._taken)))
            return
        self._taken.requests += 1
        if self._manner == "errors":
            self.transport.write(_FAILED)
        elif self._manner == "slow":
            asyncio.get_running_loop().call_later(SLOW_S, self._late)
        else:
            count = count_items(b"".join(self._body))
            setattr(self._taken, signal, getattr(self._taken, signal) + count)
            self.transport.write(_OK)

    def _late(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_OK)


async def serve(ports: list[int]) -> None:
    """Serve until the process ends."""
    taken, loop = Taken(), asyncio.get_running_loop()
    servers = [
        await loop.create_server(partial(SinkProtocol, taken, manner), "127.0.0.1", port)
        for port, manner in zip(ports, ("healthy", "errors", "slow"), strict=True)
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main() -> None:
    parser = argparse.ArgumentParser(description="A collector that takes everything, fails, or is slow.")
    parser.add_argument("--ports", type=int, nargs=3, required=True)
    uvloop.run(serve(parser.parse_args().ports))


if __name__ == "__main__":
    main()

"""A server that streams chunks of a completion, paced; it prints its port: ``python -m benchmarks.sdk.server``.

The path says how: ``/<events>/<events per write>/<microseconds between writes>/v1/chat/completions``.
"""

from __future__ import annotations

import asyncio
import sys

CHUNK = (
    b'data: {"id":"chatcmpl-A1b2C3d4E5f6","object":"chat.completion.chunk","created":1750000000,"model":"some-model",'
    b'"system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,'
    b'"finish_reason":null}]}\n\n'
)
LAST = CHUNK.replace(b'{"content":" word"}', b"{}").replace(b'"finish_reason":null', b'"finish_reason":"stop"')
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def framed(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, one request after the other."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            events, per_write, pause_us = (int(part) for part in target.split("/")[1:4])
            writer.write(HEAD)
            for _ in range(events // per_write):
                writer.write(framed(CHUNK) * per_write)
                await writer.drain()
                await asyncio.sleep(pause_us / 1e6)
            writer.write(framed(LAST + b"data: [DONE]\n\n") + b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serve until the standard input ends."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())

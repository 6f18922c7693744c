"""A vendor on loopback: it records what it is asked, and answers as it is told, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from chatproxy.testing.matrix import Dialect, Said

Send = Callable[[bytes], Awaitable[None]]
Reply = Callable[["Asked", Send], Awaitable[bool]]
"""Sends an answer; True where the connection may be used again."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Vendor:
    """A server of HTTP/1.1 on the test's own loop.

    Attributes:
        asked: every request so far.
        connections: how many were opened.
        left: set when the other side closed a connection.
        reply: what the next requests get.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.left = asyncio.Event()
        self.reply: Reply = json_reply({})
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def last(self) -> Asked:
        """The request that came last."""
        return self.asked[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._once(reader, writer):
                continue
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.transport.abort()

    async def _once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append(Asked(method, path, headers, body))

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        answering = asyncio.ensure_future(self.reply(self.asked[-1], send))
        leaving = asyncio.ensure_future(reader.read(1))
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            is_kept = answering.result()
            leaving.cancel()
            await asyncio.wait((leaving,))
            return is_kept
        answering.cancel()
        await asyncio.wait((answering,))
        self.left.set()
        return False


def json_reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A whole answer: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", **(headers or {}), "content-length": str(len(content))}

    async def reply(_: Asked, send: Send) -> bool:
        await send(head(status, sent) + content)
        return True

    return reply


def events_reply(*events: Any, end: str = "whole", headers: Mapping[str, str] | None = None) -> Reply:
    """A stream: each mapping an event named by its ``type``, texts as data, bytes as they are.

    Args:
        end: ``whole``, ``cut`` (the connection ends inside of the body), or ``silent`` (nothing more comes).
    """
    sent = {"content-type": "text/event-stream", **(headers or {}), "transfer-encoding": "chunked"}

    async def reply(_: Asked, send: Send) -> bool:
        await send(head(200, sent))
        for event in events:
            data = frame(event)
            await send(b"%x\r\n%b\r\n" % (len(data), data))
        if end == "silent":
            await asyncio.Event().wait()
        if end == "whole":
            await send(b"0\r\n\r\n")
        return end == "whole"

    return reply


async def silence(_: Asked, send: Send) -> bool:
    """No answer at all."""
    await asyncio.Event().wait()
    return False


async def cut(_: Asked, send: Send) -> bool:
    """The connection ends without an answer."""
    return False


def says(dialect: Dialect, said: Said, headers: Mapping[str, str] | None = None) -> Reply:
    """A turn of a model, streamed where the request asks for it."""
    whole = json_reply(dialect.answer(said), headers=headers)
    streamed = events_reply(*dialect.events(said), headers=headers)

    async def reply(asked: Asked, send: Send) -> bool:
        return await (streamed if asked.json.get("stream") else whole)(asked, send)

    return reply


def frame(event: Any) -> bytes:
    """An event as it is sent."""
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """The head of an answer."""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

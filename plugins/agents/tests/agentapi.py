"""A local agentapi server: the five calls of its OpenAPI document, over a scripted terminal screen, and its faults.

Source: coder/agentapi v0.11.6, ``openapi.json``; what it leaves open (order of events, ids from 0, a message refused
while the agent runs, errors as problem documents, 10 MiB of an upload) is as its server of that version does it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import sha256
from typing import Any, NamedTuple, Self

Json = dict[str, Any]
Script = Callable[["AgentApi", str], Awaitable[None]]
TIME = "2026-11-22T02:00:00Z"
MAX_FILE = 10 << 20
NOT_WAITING = "failed to send message: message can only be sent when the agent is waiting for user input"


class Asked(NamedTuple):
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body."""
        found: Json = json.loads(self.body)
        return found


async def echo(agent: AgentApi, text: str) -> None:
    """What an agent does that is given no script."""
    agent.show(f"You said: {text}")


class AgentApi:
    """An async context manager.

    Attributes:
        script: what the agent does with a message; while it runs, the status is ``running``.
        asked: every request.
        typed: raw messages.
        faults: answers to give instead, by path: bytes to send as they are, ``"reset"``, ``"hang"`` or ``"cut"``; each
            once.
        stored: uploaded files, by path.
    """

    def __init__(
        self, script: Script = echo, *, messages: tuple[tuple[str, str], ...] = (("agent", "Ready."),)
    ) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.typed: list[str] = []
        self.faults: dict[str, list[bytes | str]] = {}
        self.stored: dict[str, bytes] = {}
        self.status = "stable"
        self.messages = [self._message(at, role, content) for at, (role, content) in enumerate(messages)]
        self.url = ""
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self.interrupted = asyncio.Event()
        self._came = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._streams: dict[asyncio.StreamWriter, asyncio.Queue[bytes | None]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    async def die(self) -> None:
        """Be gone, with all connections reset."""
        if self._work is not None and self._work is not asyncio.current_task():
            self._work.cancel()
            await asyncio.wait([self._work])
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            reset(writer)

    # What a script does.

    def show(self, content: str) -> None:
        """The agent's message is now this."""
        last = self.messages[-1]
        if last["role"] == "user":
            self.messages.append(self._message(len(self.messages), "agent", content))
        elif last["content"] == content:
            return
        else:
            last["content"] = content
        self._tell_message(self.messages[-1])

    def set_status(self, status: str) -> None:
        """Tell a change of the status."""
        if status != self.status:
            self.status = status
            self.tell("status_change", self._status())

    def tell(self, name: str, data: Json | str) -> None:
        """Send an event to all that listen."""
        self.write_events(encode(name, data))

    def write_events(self, data: bytes | None) -> None:
        """Send bytes to all that listen; None ends their answers."""
        for queue in self._streams.values():
            queue.put_nowait(data)

    def break_events(self) -> None:
        """Reset the connections of all that listen."""
        for writer in list(self._streams):
            reset(writer)

    def forget(self) -> None:
        """Be started anew."""
        self.messages = [self._message(0, "agent", "Ready.")]

    # What a test waits for.

    async def count(self, path: str, least: int = 1) -> None:
        """Wait until this was asked for so often."""
        async with self._came:
            await self._came.wait_for(lambda: sum(asked.path == path for asked in self.asked) >= least)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until this holds; looked at after each request, and when a connection ends."""
        async with self._came:
            await self._came.wait_for(is_so)

    def sent(self) -> list[str]:
        """The users' messages that were posted."""
        posted = [asked.json for asked in self.asked if asked.path == "/message"]
        return [said["content"] for said in posted if said["type"] == "user"]

    @property
    def listeners(self) -> int:
        """Open streams of events."""
        return len(self._streams)

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._writers)

    # HTTP.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while (asked := await _read(reader)) is not None:
                    self.asked.append(asked)
                    await self._notify()
                    if not await self._answer(asked, reader, writer):
                        break
        finally:
            self._writers.discard(writer)
            writer.close()
            await self._notify()

    async def _notify(self) -> None:
        async with self._came:
            self._came.notify_all()

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if self.faults.get(asked.path):
            return await self._fail(self.faults[asked.path].pop(0), reader, writer)
        if asked.path == "/events":
            await self._stream(reader, writer)
            return False
        status, body = await self._call(asked)
        writer.write(answer(status, body))
        await writer.drain()
        return True

    async def _fail(self, fault: bytes | str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if isinstance(fault, bytes):
            writer.write(fault)
            await writer.drain()
        elif fault == "reset":
            reset(writer)
        elif fault == "hang":
            await reader.read()
        return False

    async def _call(self, asked: Asked) -> tuple[int, Json]:
        match asked.method, asked.path:
            case "GET", "/status":
                return 200, self._status()
            case "GET", "/messages":
                return 200, {"messages": self.messages}
            case "POST", "/message":
                return await self._take(asked.json)
            case "POST", "/upload":
                return self._store(asked)
        return 404, {"title": "Not Found", "status": 404, "detail": "no such path"}

    async def _take(self, body: Json) -> tuple[int, Json]:
        if set(body) != {"content", "type"} or body["type"] not in {"user", "raw"}:
            return 422, {"title": "Unprocessable Entity", "status": 422, "detail": "validation failed"}
        if body["type"] == "raw":
            self.typed.append(body["content"])
            self.interrupted.set()
            return 200, {"ok": True}
        if self.status != "stable" or not body["content"] or body["content"] != body["content"].strip():
            return 500, problem(500, "unexpected error occurred", NOT_WAITING)
        self.interrupted.clear()
        self.messages.append(self._message(len(self.messages), "user", body["content"]))
        self.set_status("running")
        self._tell_message(self.messages[-1])
        self._work = asyncio.create_task(self._run(body["content"]))
        return 200, {"ok": True}

    async def _run(self, text: str) -> None:
        await self.script(self, text)
        if self._server is not None and self._server.is_serving():
            self.set_status("stable")

    def _store(self, asked: Asked) -> tuple[int, Json]:
        head = f"content-type: {asked.headers['content-type']}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + asked.body)
        (part,) = form.iter_parts()
        data, name = part.get_payload(decode=True), part.get_filename()
        assert isinstance(data, bytes)
        assert name
        assert part.get_param("name", header="content-disposition") == "file"
        if len(data) > MAX_FILE:
            return 400, problem(400, "file size exceeds 10MB limit")
        path = f"/uploads/{sha256(data).hexdigest()[:16]}/{name}"
        self.stored[path] = data
        return 200, {"ok": True, "filePath": path}

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for message in self.messages:
            queue.put_nowait(encode("message_update", _update(message)))
        queue.put_nowait(encode("status_change", self._status()))
        self._streams[writer] = queue
        gone = asyncio.create_task(reader.read())
        try:
            async for data in _until(queue, gone):
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            del self._streams[writer]
            gone.cancel()
            await asyncio.wait([gone])

    def _status(self) -> Json:
        return {"status": self.status, "agent_type": "claude"}

    def _tell_message(self, message: Json) -> None:
        self.tell("message_update", _update(message))

    def _message(self, at: int, role: str, content: str) -> Json:
        return {"id": at, "role": role, "content": content, "time": TIME}


def encode(name: str, data: Json | str) -> bytes:
    """A frame as huma writes it."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"event: {name}\ndata: {text}\n\n".encode()


def answer(status: int, body: Json | bytes, kind: str | None = None) -> bytes:
    """A whole answer."""
    kind = kind or ("application/json" if status == 200 else "application/problem+json")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data


def problem(status: int, detail: str, *causes: str) -> Json:
    """An error as huma writes it."""
    errors = [{"message": cause} for cause in causes]
    return {"title": "Error", "status": status, "detail": detail, **({"errors": errors} if errors else {})}


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST."""
    found = writer.get_extra_info("socket")
    with suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)


async def _until(queue: asyncio.Queue[bytes | None], gone: asyncio.Task[bytes]) -> AsyncIterator[bytes]:
    """What the queue has, until None or until the reader is gone."""
    while True:
        getting = asyncio.ensure_future(queue.get())
        await asyncio.wait((getting, gone), return_when=asyncio.FIRST_COMPLETED)
        if not getting.done():
            getting.cancel()
            return
        data = getting.result()
        if data is None:
            return
        yield data


def _update(message: Json) -> Json:
    return {"id": message["id"], "role": message["role"], "message": message["content"], "time": message["time"]}

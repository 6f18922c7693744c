"""ScriptedUpstream: an upstream in memory that answers what a test wrote, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec

from chatproxy.testing.replies import Fault, Scripted, raw_reply, reply, stream_reply


class SeenRequest(msgspec.Struct, frozen=True):
    """A request as it reached the upstream."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return msgspec.json.decode(self.body)


Script = Scripted | Callable[[SeenRequest], Scripted]


class ScriptedUpstream(httpx.AsyncBaseTransport):
    """Answers its script in order; the last entry is repeated.

    Without a script it answers a short text, streamed where the request asks for a stream.

    Args:
        script: answers, or functions from a request to an answer.

    Attributes:
        requests: what was asked, in order.
        open: answers whose body is being read now.
        closed_early: answers whose body was left before its end.
    """

    def __init__(self, *script: Script) -> None:
        self._script = list(script)
        self.requests: list[SeenRequest] = []
        self.open = 0
        self.closed_early = 0
        self._changed = asyncio.Event()

    async def wait_asked(self, requests: int = 1) -> SeenRequest:
        """Wait until that many requests have come; the last of them."""
        while len(self.requests) < requests:
            self._changed.clear()
            await self._changed.wait()
        return self.requests[requests - 1]

    async def wait_open(self, bodies: int = 1) -> None:
        """Wait until that many bodies are being read."""
        while self.open < bodies:
            self._changed.clear()
            await self._changed.wait()

    async def wait_closed(self) -> None:
        """Wait until no body is being read."""
        while self.open:
            self._changed.clear()
            await self._changed.wait()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Httpx's transport interface."""
        seen = SeenRequest(request.method, request.url.path, dict(request.headers), await request.aread())
        self.requests.append(seen)
        self._changed.set()
        scripted = self._next(seen)
        if scripted.fault is Fault.REFUSE:
            raise httpx.ConnectError("connection refused")
        if scripted.fault is Fault.STALL_BEFORE:
            await asyncio.get_running_loop().create_future()
        return httpx.Response(scripted.status, headers=dict(scripted.headers), stream=_Body(self, scripted))

    def _next(self, seen: SeenRequest) -> Scripted:
        if not self._script and seen.path.endswith("/models"):
            return raw_reply(b'{"object":"list","data":[{"id":"scripted","object":"model"}]}')
        if not self._script:
            wants_stream = b"chat/completions" in seen.path.encode() and seen.json.get("stream") is True
            return stream_reply() if wants_stream else reply()
        script = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return script if isinstance(script, Scripted) else script(seen)

    def entered(self) -> None:
        """A body begins."""
        self.open += 1
        self._changed.set()

    def left(self, *, early: bool) -> None:
        """A body is over."""
        self.open -= 1
        self.closed_early += early
        self._changed.set()


class _Body(httpx.AsyncByteStream):
    """The body of a scripted answer, part by part, each in its own turn of the event loop."""

    def __init__(self, upstream: ScriptedUpstream, scripted: Scripted) -> None:
        self._upstream = upstream
        self._scripted = scripted
        self._complete = False
        self._closed = False
        upstream.entered()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._scripted.parts:
            await asyncio.sleep(0)
            yield part
        if self._scripted.fault is Fault.STALL:
            await asyncio.get_running_loop().create_future()
        if self._scripted.fault is Fault.RESET:
            raise httpx.ReadError("connection reset by peer")
        self._complete = True

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._upstream.left(early=not self._complete)

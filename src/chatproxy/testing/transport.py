"""An httpx transport that runs an ASGI application in memory: streams as they come, and clients that leave.

``httpx.ASGITransport`` reads a whole reply before it gives any of it, and cannot leave early.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx


class InMemoryTransport(httpx.AsyncBaseTransport):
    """Runs each request as a task of its own; closing the reply early is a client that leaves."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._running: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Httpx's transport interface."""
        body = await request.aread()
        call = _Call(body)
        task = asyncio.get_running_loop().create_task(call.run(self._app, _scope(request)), name="in-memory request")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        call.task = task
        try:
            await call.started.wait()
        except asyncio.CancelledError:
            call.leave()
            raise
        if call.failure is not None:
            raise call.failure
        return httpx.Response(call.status, headers=call.headers, stream=call)

    async def aclose(self) -> None:
        """Wait for the requests that still run."""
        if self._running:
            await asyncio.wait(self._running)


class _Call(httpx.AsyncByteStream):
    """One request: the ASGI side and the body stream the client reads."""

    def __init__(self, body: bytes) -> None:
        self._messages = [{"type": "http.request", "body": body, "more_body": False}]
        self._gone = asyncio.Event()
        self._over = asyncio.Event()
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self.started = asyncio.Event()
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.failure: Exception | None = None
        self.task: asyncio.Task[None] | None = None

    async def run(self, app: Any, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception as exc:  # noqa: BLE001 - handed to the client, which raises it
            self.failure = exc
        finally:
            self.started.set()
            await self._put(None)

    def leave(self) -> None:
        """The client closes its side."""
        self._gone.set()
        self._over.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            part = await self._parts.get()
            if part is None:
                if self.failure is not None:
                    raise self.failure
                return
            yield part

    async def aclose(self) -> None:
        self.leave()
        if self.task is not None:
            await asyncio.wait([self.task])

    async def _receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop(0)
        await self._over.wait()  # as servers do: also once the client has its answer
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
            return
        self.started.set()
        if message.get("body"):
            await self._put(message["body"])
        if not message.get("more_body"):
            self._over.set()

    async def _put(self, part: bytes | None) -> None:
        """Hand a part to the client, unless it leaves first."""
        putting = asyncio.ensure_future(self._parts.put(part))
        leaving = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait((putting, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
            leaving.cancel()


def _scope(request: httpx.Request) -> dict[str, Any]:
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
        "server": (request.url.host, request.url.port or 80),
        "state": {},
        "extensions": {},
    }

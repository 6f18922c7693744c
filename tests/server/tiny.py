"""A tiny gateway: an ASGI application and what is told to drain, in one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Handle = Callable[..., Awaitable[None]]


@dataclass
class TinyGateway:
    """An application and what is told to drain, in one: counts exchanges and ends streams when told to.

    Paths: ``/echo`` answers the size of the body, ``/stream`` sends one event and goes on until `release` or
    `expire_streams`, ``/bytes/N`` streams N bytes, ``/wait`` answers when `release` is set; a test may add others
    to `handlers`.
    """

    handlers: dict[str, Handle] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    scopes: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    live: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    expired: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    def begin_drain(self) -> None:
        self.log.append("begin_drain")

    async def wait_idle(self, timeout_s: float) -> bool:
        self.log.append("wait_idle")
        self.draining.set()
        if not self.live:
            return True
        self.idle.clear()
        try:
            await asyncio.wait_for(self.idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def expire_streams(self) -> None:
        self.log.append("expire_streams")
        self.expired.set()

    async def aclose(self) -> None:
        self.log.append("aclose")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        self.seen.append((scope["method"], scope["path"]))
        self.scopes.append(scope)
        self.live += 1
        self.entered.set()
        try:
            name = scope["path"].split("/")[1]
            handler = self.handlers.get(name) or getattr(self, f"_{name}", TinyGateway._echo.__get__(self))
            await handler(scope, receive, send)
        finally:
            self.live -= 1
            self.left.set()
            if not self.live:
                self.idle.set()

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        self.log.append("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.log.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    async def _echo(self, _scope: Any, receive: Any, send: Any) -> None:
        body = await read_body(receive)
        if body is not None:
            await answer(send, b"%d" % len(body))

    async def _wait(self, _scope: Any, _receive: Any, send: Any) -> None:
        await self.release.wait()
        await answer(send, b"released")

    async def _bytes(self, scope: Any, _receive: Any, send: Any) -> None:
        await start(send)
        for _ in range(int(scope["path"].split("/")[2]) // 16_384):
            await send({"type": "http.response.body", "body": b"x" * 16_384, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _stream(self, _scope: Any, _receive: Any, send: Any) -> None:
        await start(send)
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        ends = {asyncio.create_task(self.release.wait()): b"data: [DONE]\n\n"}
        ends[asyncio.create_task(self.expired.wait())] = b'data: {"error": {"code": "server_shutdown"}}\n\n'
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await send({"type": "http.response.body", "body": ends[done.pop()]})
        finally:
            for task in ends:
                task.cancel()


async def read_body(receive: Any) -> bytes | None:
    """The whole body, or None if the client left first."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def start(send: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """Send an answer's head, without Content-Length."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def answer(send: Any, body: bytes) -> None:
    """Send a whole answer."""
    await start(send, 200, (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.body", "body": body})

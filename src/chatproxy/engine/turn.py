"""Turn: what a surface does around an exchange that the engine does not know of, for example to store responses."""

from __future__ import annotations

from typing import Protocol

from chatproxy.types.context import RequestContext
from chatproxy.types.reply import ChatResponse, Completed
from chatproxy.types.request import ChatRequest


class Turn(Protocol):
    """One exchange as its surface sees it."""

    async def begin(self, ctx: RequestContext, request: ChatRequest) -> Completed | None:
        """Change the request before any plugin sees it, or answer it at once.

        Raises:
            ApiError: it is refused.
        """

    async def end(self, ctx: RequestContext, reply: ChatResponse) -> None:
        """Take the buffered reply as the client will get it, before it is sent; the reply may be changed."""

    def wants(self, frame: bytes) -> bool:
        """Whether `take` must see this frame of a stream."""

    async def take(self, ctx: RequestContext, frame: bytes) -> bytes:
        """Take a frame as the client will get it, before it is sent; returns what to send."""

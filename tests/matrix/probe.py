"""One plugin, written once, for every cell of the matrix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from chatproxy import ChatRequest, ChatResponse, Reject, StreamEvent, hookimpl
from chatproxy.types import Exchange

SECRET, MASK = "SECRET", "[mask]"
TOOL = {
    "type": "function",
    "function": {"name": "probe", "description": "Looks.", "parameters": {"type": "object", "properties": {}}},
}


class Probe:
    """Redacts a word everywhere; does one more thing where it is told to.

    Args:
        act: ``add_tool``, ``block``, ``raise`` or ``hang``.
        at: the hook in which: ``request``, ``response`` or ``stream``.
    """

    chatproxy_name = "probe"

    def __init__(self, act: str = "", *, at: str = "") -> None:
        self._act = act
        self._at = at
        self.seen: list[tuple[str, str, str]] = []
        self.exchanges: list[Exchange] = []
        self.ended = asyncio.Event()

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        """Redact what goes in."""
        if self._act == "add_tool":
            request.tools.append(TOOL)
        await self._do("request")
        self._redact(request.texts())

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        """Redact a buffered reply."""
        await self._do("response")
        self._redact(response.texts())

    @hookimpl
    async def transform_stream(self) -> Any:
        """Redact a stream."""

        async def redacted(events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
            async for event in events:
                if any(True for _ in event.texts()):
                    await self._do("stream")
                self._redact(event.texts())
                yield event

        return redacted

    @hookimpl
    async def after_response(self, exchange: Exchange) -> None:
        """Count."""
        self.exchanges.append(exchange)
        self.ended.set()

    @hookimpl
    async def on_error(self, exchange: Exchange) -> None:
        """Count."""
        self.exchanges.append(exchange)
        self.ended.set()

    async def exchange(self) -> Exchange:
        """The record of the one exchange there was."""
        await self.ended.wait()
        return self.exchanges[0]

    async def _do(self, where: str) -> None:
        if where != self._at:
            return
        if self._act == "block":
            raise Reject("Not this.", status=403, code="probe_blocked")
        if self._act == "raise":
            raise RuntimeError("the probe is broken")
        if self._act == "hang":
            await asyncio.get_running_loop().create_future()

    def _redact(self, texts: Any) -> None:
        for text in texts:
            self.seen.append((text.kind, text.role, text.value))
            text.replace(text.value.replace(SECRET, MASK))

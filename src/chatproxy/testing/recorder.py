"""Recorder: a plugin that writes down every hook call, and lets a test wait for the background ones."""

from __future__ import annotations

import asyncio
from typing import Any

from chatproxy.errors import ApiError
from chatproxy.hookimpl import hookimpl
from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Exchange
from chatproxy.types.reply import ChatResponse
from chatproxy.types.request import ChatRequest


class Recorder:
    """Implements the hooks of an exchange and changes nothing.

    Attributes:
        calls: names of the hooks, in the order of their calls.
        requests: bodies `before_request` saw.
        responses: bodies `before_response` saw.
        exchanges: records of exchanges that ended, well or not.
        errors: what `on_error` got.
    """

    def __init__(self, name: str = "recorder") -> None:
        self.chatproxy_name = name
        self.calls: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.responses: list[dict[str, Any]] = []
        self.exchanges: list[Exchange] = []
        self.errors: list[ApiError] = []
        self._ended = asyncio.Event()

    async def wait(self, exchanges: int = 1) -> Exchange:
        """Wait until that many exchanges have ended; the last of them."""
        while len(self.exchanges) < exchanges:
            self._ended.clear()
            await self._ended.wait()
        return self.exchanges[exchanges - 1]

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        """Record the request."""
        self.calls.append("before_request")
        self.requests.append(request.copy().to_dict())

    @hookimpl
    async def select_handler(self) -> None:
        """Record the call."""
        self.calls.append("select_handler")

    @hookimpl
    async def around_execute(self, request: ChatRequest, call_next: Any) -> Any:
        """Record the way in and the way out."""
        self.calls.append("around_execute")
        reply = await call_next(request)
        self.calls.append("around_execute:end")
        return reply

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        """Record the response."""
        self.calls.append("before_response")
        self.responses.append(response.copy().to_dict())

    @hookimpl
    async def after_response(self, exchange: Exchange) -> None:
        """Record the exchange."""
        self._end("after_response", exchange)

    @hookimpl
    async def on_error(self, ctx: RequestContext, exchange: Exchange, error: ApiError) -> None:
        """Record the exchange and its error."""
        self.errors.append(error)
        self._end("on_error", exchange)

    def _end(self, hook: str, exchange: Exchange) -> None:
        self.calls.append(hook)
        self.exchanges.append(exchange)
        self._ended.set()

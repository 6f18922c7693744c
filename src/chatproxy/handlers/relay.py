"""Relaying to an upstream: a request and its reply as bytes, read as little as possible.

What leaves has the headers of every upstream request, and of the client's own what says how its body is written. What
comes back is a success whose bytes pass as they are, or a failure, which is read and cleaned as on every surface.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx

from chatproxy.errors import ApiError
from chatproxy.handlers.headers import Pairs, passed_on
from chatproxy.handlers.patience import Patience
from chatproxy.handlers.transport import lean_request
from chatproxy.handlers.upstream import UpstreamHandler
from chatproxy.types.attempt import Attempt
from chatproxy.types.context import RequestContext
from chatproxy.types.passthrough import RelayCall

_KEPT = frozenset(
    {
        b"cache-control", b"content-disposition", b"content-encoding", b"content-language", b"content-length",
        b"content-type", b"etag", b"last-modified",
    }
)  # fmt: skip


class UpstreamRelay:
    """`Relay` to the upstream of a handler, by its connections and with its credentials and deadlines."""

    def __init__(self, handler: UpstreamHandler) -> None:
        self.name = handler.name
        self.surfaces = handler.surfaces
        self._handler = handler
        self._takes_accept = "accept" not in handler.target.headers
        self._replaced = {b"content-type", b"accept"} if self._takes_accept else {b"content-type"}

    async def call(self, ctx: RequestContext, call: RelayCall) -> RelayedReply:
        """Send a request on; back once the reply's head has come.

        Raises:
            UpstreamStatus: the upstream answered 3xx, 4xx or 5xx.
            UpstreamTimeout: it did not answer in time, counted from the end of the request's body (504).
            UpstreamError: it could not be reached or broke the protocol (502).
        """
        target, exchange = self._handler.target, ctx.exchange
        exchange.handler, exchange.upstream = self.name, target.name
        attempt = ctx.begin_attempt(self.name)
        attempt.surface, attempt.model, attempt.method = ctx.surface, exchange.upstream_model, call.method
        self._handler.place(attempt, call.path)
        patience = Patience(target.deadlines)
        reply: RelayedReply | None = None
        try:
            reply = await patience.wait(self._exchange(ctx, attempt, call, patience))
            return reply
        except ApiError as error:
            attempt.end(error.code)
            raise
        finally:
            if reply is None:
                patience.stop()

    async def _exchange(
        self, ctx: RequestContext, attempt: Attempt, call: RelayCall, patience: Patience
    ) -> RelayedReply:
        handler = self._handler
        try:
            request = self._request(ctx, attempt.traceparent, call, patience)
        except httpx.InvalidURL as exc:
            raise handler.failure(exc) from exc
        response = await handler.send(request)
        pairs: Pairs = response.header_pairs
        handler.answered(ctx, attempt, response)
        if not 200 <= response.status_code < 300:
            raise await handler.refused(response, patience)
        kept = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs if name in _KEPT}
        return RelayedReply(handler, response, {**kept, **passed_on(pairs)}, patience)

    def _request(self, ctx: RequestContext, traceparent: str, call: RelayCall, patience: Patience) -> httpx.Request:
        handler = self._handler
        base = handler.target.base_url.rstrip("/")
        url = httpx.URL(f"{base}{call.path}?{call.query}" if call.query else f"{base}{call.path}")
        pairs = [pair for pair in handler.headers(ctx, traceparent, streamed=False) if pair[0] not in self._replaced]
        if self._takes_accept:
            pairs.append((b"accept", call.accept or b"*/*"))
        if call.content_type is not None:
            pairs.append((b"content-type", call.content_type))
        if isinstance(call.body, bytes):
            return lean_request(call.method, url, pairs, call.body, handler.timeout)
        pairs.insert(0, (b"host", url.netloc))
        if call.length is None:
            pairs.append((b"transfer-encoding", b"chunked"))
        else:
            pairs.append((b"content-length", b"%d" % call.length))
        body = _Upload(call.body, patience)
        return httpx.Request(call.method, url, headers=pairs, stream=body, extensions={"timeout": handler.timeout})


class _Upload(httpx.AsyncByteStream):
    """A client's body on its way.

    Neither what the client takes nor what the upstream needs to read it counts towards the first byte; a write that
    gets stuck has a deadline of the transport's.
    """

    def __init__(self, parts: AsyncIterator[bytes], patience: Patience) -> None:
        self._parts = parts
        self._patience = patience
        self._since = patience.now()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        patience = self._patience
        patience.end()
        try:
            return await self._parts.__anext__()
        finally:
            patience.resume(self._since)
            self._since = patience.now()
            patience.begin()


class RelayedReply:
    """`RelayReply` of an upstream: the bytes as they come, under the deadlines of the exchange."""

    __slots__ = ("_handler", "_iterator", "_left_at", "_patience", "_response", "headers", "status")

    def __init__(self, handler: UpstreamHandler, response: Any, headers: dict[str, str], patience: Patience) -> None:
        self.status: int = response.status_code
        self.headers = headers
        self._handler = handler
        self._response = response
        self._iterator: AsyncIterator[bytes] = response.stream.__aiter__()
        self._patience = patience
        self._left_at = patience.now()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes.

        Raises:
            UpstreamError: the body broke off (502), or stopped (504).
        """
        patience = self._patience
        patience.resume(self._left_at)
        patience.begin()
        try:
            part = await self._iterator.__anext__()
        except asyncio.CancelledError:
            patience.raise_if_expired()
            raise
        except StopAsyncIteration:
            patience.stop()
            raise
        except httpx.TransportError as exc:
            patience.stop()
            raise self._handler.failure(exc) from exc
        finally:
            patience.end()
        patience.alive()
        self._left_at = patience.now()
        return part

    async def aclose(self) -> None:
        """Let the upstream go; a connection whose reply is not complete is closed."""
        self._patience.stop()
        await self._response.stream.aclose()

"""One exchange whose bodies pass through, over ASGI.

Rule: as in `asgi.run`, everything that was begun is ended, whatever happens on the way. A reply that breaks off after
its first byte cannot be told from a whole one by what is in it, so its connection is reset.
"""

from __future__ import annotations

import asyncio
import string
from typing import Any
from urllib.parse import quote

from chatproxy.engine import Live, shutdown_error
from chatproxy.engine.relay import Switchboard
from chatproxy.errors import ApiError
from chatproxy.surfaces.base import (
    ClientGoneError,
    Gateway,
    check_content_type,
    check_hops,
    header_pairs,
    open_context,
    send_error,
)
from chatproxy.surfaces.edge import DISCONNECT_EXTENSION, Receive, Scope, Send
from chatproxy.surfaces.forgetting import forget_locals
from chatproxy.surfaces.multipart import boundary_of
from chatproxy.surfaces.passthrough_body import ClientBody, FormBody
from chatproxy.surfaces.passthrough_operations import Operation
from chatproxy.surfaces.watch import Watch
from chatproxy.types.context import Headers, RequestContext
from chatproxy.types.passthrough import PASSTHROUGH, Relay, RelayCall, RelayReply
from chatproxy.types.request import ChatRequest

Outgoing = tuple[Relay, RelayCall]

_IN_QUERIES = string.punctuation.replace("#", "")


class Passage:
    """What pass-through requests are served with.

    Args:
        max_body_bytes: of a body that is read whole, which JSON is.
    """

    def __init__(self, gateway: Gateway, switchboard: Switchboard, max_body_bytes: int) -> None:
        self.gateway = gateway
        self.switchboard = switchboard
        self.max_body_bytes = max_body_bytes

    async def run(self, operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        ctx, headers = open_context(self.gateway, scope, PASSTHROUGH[operation.surface])
        try:
            live = self.gateway.engine.begin(ctx)
        except ApiError as error:
            await send_error(send, ctx.request_id, error, ctx.layout)
            return
        await _Run(self, operation, ctx, live).serve(headers, scope, receive, send)


class _Run:
    """The state of one exchange between its begin and its end."""

    def __init__(self, passage: Passage, operation: Operation, ctx: RequestContext, live: Live) -> None:
        self._passage = passage
        self._operation = operation
        self._ctx = ctx
        self._live = live
        self._cycle: Any = None
        self._watch: Watch | None = None
        self._reply: RelayReply | None = None
        self._first = b""
        self._error: ApiError | None = None
        self._interruption: asyncio.CancelledError | None = None

    async def serve(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        self._cycle = (scope.get("extensions") or {}).get(DISCONNECT_EXTENSION)
        try:
            try:
                await self._ask(headers, scope, receive)
            except ApiError as error:
                self._error = error
            except asyncio.CancelledError as interruption:
                self._absorb(interruption)
                self._error = shutdown_error()
            except ClientGoneError:
                self._live.reason = "client_left"
            if self._live.reason != "client_left":
                await self._answer(send)
        except asyncio.CancelledError as interruption:
            self._absorb(interruption)
        finally:
            await self._close()

    def _absorb(self, interruption: asyncio.CancelledError) -> None:
        """Take back a cancellation of ours; anybody else's goes on."""
        self._interruption = interruption
        if not self._live.absorb():
            raise interruption

    async def _ask(self, headers: Headers, scope: Scope, receive: Receive) -> None:
        ctx, engine = self._ctx, self._passage.gateway.engine

        def watch() -> None:
            if self._watch is None:
                self._watch = Watch(self._live, scope, receive)

        if self._cycle is not None or not self._operation.has_body:
            watch()  # where only `receive` tells of a client's leaving, the body must be taken from there first
        if engine.hooks.authenticates:
            await engine.authenticate(ctx, headers)
        check_hops(ctx)
        relay, call = await self._outgoing(scope, ClientBody(ctx, receive, watch))
        self._reply = await relay.call(ctx, call)
        self._first = await anext(self._reply, b"")
        watch()

    async def _outgoing(self, scope: Scope, body: ClientBody) -> Outgoing:
        """Who gets the request, and what is sent."""
        ctx, operation, switchboard = self._ctx, self._operation, self._passage.switchboard
        query = quote(scope["query_string"], safe=_IN_QUERIES)
        call = RelayCall(ctx.exchange.method, operation.path, query, accept=ctx.headers.first(b"accept"))
        if not operation.has_body:
            return switchboard.without_model(ctx, ""), call
        content_type = ctx.headers.first(b"content-type")
        if content_type is None or not content_type.lower().startswith(b"multipart/"):
            return await self._with_json(call, body)
        call = call._replace(content_type=content_type)
        if not PASSTHROUGH[ctx.surface].names_model:
            return switchboard.without_model(ctx, ""), call._replace(body=body, length=body.length)
        form = FormBody(ctx, switchboard, body, boundary_of(content_type))
        relay = await form.begin()
        return relay, call._replace(body=form, length=form.length)

    async def _with_json(self, call: RelayCall, body: ClientBody) -> Outgoing:
        ctx, switchboard = self._ctx, self._passage.switchboard
        check_content_type(ctx)
        data = await body.whole(self._passage.max_body_bytes)
        if not data and self._operation.may_be_empty:
            return switchboard.without_model(ctx, ""), call
        relay, changed = await switchboard.admit(ctx, ChatRequest.of(data, ctx.layout))
        content_type = ctx.headers.first(b"content-type") or b"application/json"
        return relay, call._replace(content_type=content_type, body=changed)

    async def _answer(self, send: Send) -> None:
        ctx, reply = self._ctx, self._reply
        if reply is not None and self._error is None:
            try:
                pairs = header_pairs(ctx.request_id, {**reply.headers, **ctx.reply_headers}, ctx.layout)
            except ApiError as error:
                self._error = error
            else:
                await self._send_reply(send, reply, pairs)
                return
        if self._error is not None:
            ctx.exchange.status = self._error.status
            await send_error(send, ctx.request_id, self._error, ctx.layout, ctx.reply_headers)

    async def _send_reply(self, send: Send, reply: RelayReply, pairs: list[tuple[bytes, bytes]]) -> None:
        exchange = self._ctx.exchange
        exchange.status = reply.status
        exchange.stream = reply.headers.get("content-type", "").startswith("text/event-stream")
        if exchange.stream:
            pairs.append((b"x-accel-buffering", b"no"))
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
            await self._send_part(send, self._first)
            exchange.first_byte_s = self._passage.gateway.engine.clock() - self._ctx.started_s
            self._first = b""
            async for part in reply:
                await self._send_part(send, part)
            await send({"type": "http.response.body", "body": b""})
        except ApiError as error:
            self._break_off(error)
        except asyncio.CancelledError:
            if self._live.reason != "server_shutdown" or not self._live.absorb():
                raise
            self._break_off(shutdown_error())

    async def _send_part(self, send: Send, part: bytes) -> None:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        self._ctx.exchange.response_bytes += len(part)

    def _break_off(self, error: ApiError) -> None:
        """Reset the connection; a server that is not ours closes one whose answer was left without its end."""
        self._error = error
        if self._watch is not None:
            self._watch.stop()
        if self._cycle is not None:
            self._cycle.abandon()

    async def _close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        try:
            if self._reply is not None:
                await self._reply.aclose()
        finally:
            self._passage.gateway.engine.end(self._ctx, self._live, None, self._error)
            for error in (self._error, self._interruption):
                if error is not None:
                    forget_locals(error)
            self._error = self._interruption = None

"""One exchange over ASGI, the same for every surface: in by bytes, out by bytes or by a stream.

Rule: everything that was begun is ended in `run`, whatever happens on the way.
"""

from __future__ import annotations

import asyncio
import logging

from chatproxy.engine import Answer, Live, Turn, shutdown_error
from chatproxy.errors import ApiError
from chatproxy.surfaces.base import (
    ClientGoneError,
    Gateway,
    check_content_type,
    check_hops,
    header_pairs,
    open_context,
    read_body,
    send_error,
    send_json,
    stream_start,
)
from chatproxy.surfaces.edge import Receive, Scope, Send
from chatproxy.surfaces.forgetting import forget_locals
from chatproxy.surfaces.watch import Watch
from chatproxy.types.context import Headers, RequestContext
from chatproxy.types.layout import Layout

logger = logging.getLogger("chatproxy.surfaces")

_LAST_WORDS_S = 1.0


async def run(
    gateway: Gateway, layout: Layout, scope: Scope, receive: Receive, send: Send, *, turn: Turn | None = None
) -> None:
    """Serve one request of a surface.

    Args:
        turn: what the surface does around the exchange, where it does anything.
    """
    ctx, headers = open_context(gateway, scope, layout)
    try:
        live = gateway.engine.begin(ctx)
    except ApiError as error:
        await send_error(send, ctx.request_id, error, layout)
        return
    await _Run(gateway, ctx, live, turn).serve(headers, scope, receive, send)


async def _send_last(send: Send, last: bytes) -> None:
    """Send the end of a stream to a client that may read slowly or not at all; the server closes what is left."""
    try:
        async with asyncio.timeout(_LAST_WORDS_S):
            await send({"type": "http.response.body", "body": last})
    except TimeoutError:
        logger.info("a client did not take the end of its stream")


class _Run:
    """The state of one exchange between its begin and its end."""

    __slots__ = ("_ctx", "_gateway", "_live", "_turn", "answer", "error", "interruption", "watch")

    def __init__(self, gateway: Gateway, ctx: RequestContext, live: Live, turn: Turn | None) -> None:
        self._gateway = gateway
        self._ctx = ctx
        self._live = live
        self._turn = turn
        self.watch: Watch | None = None
        self.answer: Answer | None = None
        self.error: ApiError | None = None
        self.interruption: asyncio.CancelledError | None = None

    async def serve(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            try:
                await self._work(headers, scope, receive)
            except ApiError as error:
                self.error = error
            except asyncio.CancelledError as interruption:
                self._absorb(interruption)
                self.error = shutdown_error()
            except ClientGoneError:
                self._live.reason = "client_left"
            if self._live.reason != "client_left":
                await self._send(send)
        except asyncio.CancelledError as interruption:
            self._absorb(interruption)
        finally:
            await self._close()

    def _absorb(self, interruption: asyncio.CancelledError) -> None:
        """Take back a cancellation of ours; anybody else's goes on."""
        self.interruption = interruption
        if not self._live.absorb():
            raise interruption

    async def _work(self, headers: Headers, scope: Scope, receive: Receive) -> None:
        ctx, engine = self._ctx, self._gateway.engine
        if engine.hooks.authenticates:
            await engine.authenticate(ctx, headers)
        check_hops(ctx)
        check_content_type(ctx)
        data = await read_body(receive)
        self.watch = Watch(self._live, scope, receive)
        self.answer = await engine.answer(ctx, self._live, data, self._turn)

    async def _send(self, send: Send) -> None:
        ctx, answer, error = self._ctx, self.answer, self.error
        if answer is not None and error is None:
            try:
                pairs = header_pairs(ctx.request_id, {**answer.headers, **ctx.reply_headers}, ctx.layout)
            except ApiError as failure:
                error = self.error = failure
            else:
                if answer.body is None:
                    await self._send_stream(send, answer, pairs)
                else:
                    await send_json(send, answer.status, pairs, answer.body)
                    self._first_byte()
                    ctx.exchange.response_bytes = len(answer.body)
                return
        if error is not None:
            ctx.exchange.status = error.status
            await send_error(send, ctx.request_id, error, ctx.layout, ctx.reply_headers)

    async def _send_stream(self, send: Send, answer: Answer, pairs: list[tuple[bytes, bytes]]) -> None:
        exchange, stream = self._ctx.exchange, answer.stream
        if stream is None:
            return
        await send(stream_start(answer.status, pairs))
        async for chunk in stream:
            try:
                await send({"type": "http.response.body", "body": chunk, "more_body": not stream.is_over})
            except asyncio.CancelledError:
                if self._live.reason != "server_shutdown" or not self._live.absorb():
                    raise
                await _send_last(send, stream.end_with(shutdown_error()))
                return
            if exchange.first_byte_s is None:
                self._first_byte()
            exchange.response_bytes += len(chunk)

    def _first_byte(self) -> None:
        self._ctx.exchange.first_byte_s = self._gateway.engine.clock() - self._ctx.started_s

    async def _close(self) -> None:
        if self.watch is not None:
            self.watch.stop()
        try:
            if self.answer is not None and self.answer.stream is not None:
                await self.answer.stream.aclose()
        finally:
            self._gateway.engine.end(self._ctx, self._live, self.answer, self.error)
            self._let_go()

    def _let_go(self) -> None:
        """Part what failed from what it failed on: each leads to the other, by a traceback."""
        stream = None if self.answer is None else self.answer.stream
        for error in (self.error, self.interruption, None if stream is None else stream.error):
            if error is not None:
                forget_locals(error)
        self.error = self.interruption = None

"""The engine's course of an exchange: authenticate, change, choose, execute, check, count, tell.

Read `Engine.answer` from top to bottom to follow a request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chatproxy.engine.answer import Answer
from chatproxy.engine.identity import RequestIds
from chatproxy.engine.inner import Inner
from chatproxy.engine.limits import EngineLimits
from chatproxy.engine.live import Live
from chatproxy.engine.meter import Meter
from chatproxy.engine.output import Output
from chatproxy.engine.routing import Router, apply_model, check_model
from chatproxy.engine.translated import TranslatedChunks, execute
from chatproxy.engine.turn import Turn
from chatproxy.errors import PLUGIN_FAILURES, ApiError, InvalidRequest, Overloaded, UpstreamError
from chatproxy.plugins.background import call_endings
from chatproxy.plugins.hooks import Hooks
from chatproxy.plugins.impl import Impl
from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Exchange, Outcome, ToolCallRecord
from chatproxy.types.handler import Handler
from chatproxy.types.model import ToolCall, ToolResult, ToolRunner
from chatproxy.types.reply import ChatResponse, Completed, Reply, Stream
from chatproxy.types.request import ChatRequest
from chatproxy.types.stream import StreamTransform
from chatproxy.types.usage import Usage, estimate_tokens

logger = logging.getLogger("chatproxy.engine")
Transforms = Sequence[tuple[Impl, StreamTransform]]


class Engine:
    """Runs exchanges.

    Args:
        hooks: the plugins' implementations.
        router: the core's own choice of a handler.
        log: gets every exchange once, when it has ended.

    Attributes:
        inner: exchanges inside of exchanges.
    """

    def __init__(self, hooks: Hooks, router: Router, limits: EngineLimits, log: Any) -> None:
        self.hooks = hooks
        self.router = router
        self.limits = limits
        self.request_ids = RequestIds()
        self.live: set[Live] = set()
        self.draining = False
        self.inner = Inner(self)
        self._log = log
        self._idle: asyncio.Event | None = None

    # -- an exchange's life ---------------------------------------------------------------------------------------

    clock = staticmethod(time.perf_counter)

    def begin(self, ctx: RequestContext, *, is_inner: bool = False) -> Live:
        """Admit an exchange that runs in the current task; its trace begins with it.

        Args:
            is_inner: it runs inside of another one, which stands for both where exchanges are counted and stopped.

        Raises:
            Overloaded: as many as allowed are running (503 with ``retry-after``).
        """
        if len(self.live) >= self.limits.max_concurrency and not is_inner:
            raise Overloaded(f"Over {self.limits.max_concurrency} requests are being served; try again soon.")
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an exchange must run in a task")
        live = Live(task)
        ctx.is_exchange = True
        tracer = ctx.app.tracer
        if tracer is not None:
            live.end_trace = tracer.begin(ctx)
            ctx.exchange.traceparent = ctx.trace.traceparent
        if not is_inner:
            self.live.add(live)
        return live

    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> None:
        """Find out who asks, before the body is read; raises `Unauthenticated` or what a plugin raised."""
        principal = await self.hooks.authenticate(ctx, headers)
        if principal is not None:
            ctx.principal = principal
            ctx.exchange.principal = principal.id

    async def answer(self, ctx: RequestContext, live: Live, data: bytes, turn: Turn | None = None) -> Answer:
        """Answer a request body.

        Args:
            turn: what the surface does around the exchange; None where it does nothing.

        Raises:
            ApiError: the request failed; nothing has been sent yet.
        """
        exchange = ctx.exchange
        request = self._decode(ctx, data)
        drop_usage = ctx.layout.usage_on_request and not _wants_usage(request)
        if turn is not None and (at_once := await turn.begin(ctx, request)) is not None:
            ctx.exchange.status = at_once.status
            return Answer(at_once.status, at_once.headers, body=encode_body(at_once.body, "a reply"))
        request = ctx.request = await self.hooks.before_request(ctx, request)
        handler = await self._select(ctx, request)
        exchange.handler = handler.name
        execute = self.hooks.around_execute(ctx, _Execution(ctx, handler, self.limits))
        reply = await execute(request)
        if isinstance(reply, Completed):
            return await self._completed(ctx, request, reply, turn)
        return await self._streamed(ctx, request, reply, live, turn, drop_usage=drop_usage)

    def end(self, ctx: RequestContext, live: Live, answer: Answer | None, error: ApiError | None) -> None:
        """Close an exchange's books: outcome, usage, log line, telemetry. Called once, after the last byte."""
        exchange = ctx.exchange
        self.live.discard(live)
        if live.end_trace is not None:
            live.end_trace()
        exchange.duration_s = time.perf_counter() - ctx.started_s
        error = error or (answer.stream.error if answer is not None and answer.stream is not None else None)
        if live.reason == "client_left":
            exchange.outcome = "client_disconnected"
            exchange.status = exchange.status or 499
            error = None
        elif error is None:
            exchange.outcome = "completed"
        else:
            exchange.outcome = _failed_outcome(error)
            exchange.error_code, exchange.error_message = error.code, error.message
        if answer is not None:
            self._settle(ctx, answer)
        _close_attempts(exchange, error)
        if ctx.endings:
            call_endings(ctx)
        self._log.write(exchange)
        if error is None:
            self.hooks.after_response(ctx, exchange)
        else:
            self.hooks.on_error(ctx, exchange, error)
        if self._idle is not None and not self.live:
            self._idle.set()

    async def call_tool(self, ctx: RequestContext, call: ToolCall, run: ToolRunner) -> ToolResult:
        """Run a tool between its hooks and put it on record."""
        started_s = time.perf_counter()
        result: ToolResult | None = None
        error_type: str | None = None
        span_id, call.traceparent = ctx.trace.hop()
        traceparent, details = call.traceparent, call.details

        async def traced(given: ToolCall) -> ToolResult:
            given.traceparent, given.details = traceparent, details  # a hook may have made another call of it
            return await run(given)

        try:
            result = await self.hooks.call_tool(ctx, call, traced)
            error_type = "tool_error" if result.is_error else None
            return result
        except PLUGIN_FAILURES as exc:
            error_type = exc.code if isinstance(exc, ApiError) else type(exc).__name__
            raise
        finally:
            ctx.exchange.tool_calls.append(
                ToolCallRecord(
                    name=call.name,
                    server=call.server,
                    duration_s=time.perf_counter() - started_s,
                    ok=result is not None and not result.is_error,
                    arguments_bytes=len(msgspec.json.encode(call.arguments)),
                    result_bytes=0 if result is None else len(msgspec.json.encode(result.content)),
                    call_id=call.id,
                    started_s=started_s - ctx.started_s,
                    error_type=error_type,
                    details=details,
                    span_id=span_id,
                )
            )

    # -- draining -------------------------------------------------------------------------------------------------

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no exchange runs; whether that came true within ``timeout_s`` seconds."""
        if not self.live:
            return True
        self._idle = asyncio.Event()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def expire(self) -> None:
        """End every running exchange with ``server_shutdown``."""
        for live in list(self.live):
            live.interrupt("server_shutdown")

    # -- steps ----------------------------------------------------------------------------------------------------

    def _decode(self, ctx: RequestContext, data: bytes) -> ChatRequest:
        exchange = ctx.exchange
        exchange.request_bytes = len(data)
        request = ChatRequest.of(data, ctx.layout)
        if self.limits.default_model is not None and ctx.route.model is None:
            request.model = self.limits.default_model
        model = request.get("model")
        if model is None and self.limits.fallback_model is not None:
            model = request.model = self.limits.fallback_model
        if not isinstance(model, str) or not model:
            raise InvalidRequest("You must provide a model parameter, a non-empty string.", param="model")
        exchange.model = model
        check_model(ctx, model)
        stream = request.get("stream")
        if stream is not None and not isinstance(stream, bool):
            raise InvalidRequest("'stream' must be true or false.", param="stream")
        exchange.stream = stream is True
        if stream is True and not ctx.layout.streams:
            raise InvalidRequest(f"The {ctx.surface} API has no streams.", param="stream", code="unsupported_parameter")
        if stream is True and not self.limits.enable_streaming:
            raise InvalidRequest("Streaming is switched off here.", param="stream", code="streaming_disabled")
        return request

    async def _select(self, ctx: RequestContext, request: ChatRequest) -> Handler:
        found = self.router.entry(request.model)
        handler = await self.hooks.select_handler(ctx, request)
        if handler is None:
            handler = self.router.handler(request.model, found[0] if found else None)
        if found is not None:
            apply_model(ctx, request, *found)
        return handler

    async def _completed(
        self, ctx: RequestContext, request: ChatRequest, reply: Completed, turn: Turn | None
    ) -> Answer:
        response, exchange = reply.body, ctx.exchange
        exchange.usage, exchange.finish_reasons = response.summary
        if self.hooks.reads_responses:
            response = await self.hooks.before_response(ctx, request, response)
            exchange.finish_reasons = response.summary[1]
        if turn is not None:
            await turn.end(ctx, response)
        body = encode_body(response, "a reply")
        exchange.status = reply.status
        if exchange.usage is None:
            characters = sum(len(text.value) for text in response.texts())
            exchange.usage = estimate(request, characters)
        return Answer(reply.status, reply.headers, body=body)

    async def _streamed(
        self,
        ctx: RequestContext,
        request: ChatRequest,
        reply: Stream,
        live: Live,
        turn: Turn | None,
        *,
        drop_usage: bool,
    ) -> Answer:
        ctx.exchange.stream = True
        transforms = await self._transforms(ctx, request, reply)
        layered = bool(transforms)
        drop = drop_usage and not layered
        if isinstance(reply.chunks, TranslatedChunks):
            meter = reply.chunks.metered(drop_usage=drop)
        else:
            limit_bytes = self.limits.max_sse_line_bytes
            meter = Meter(reply.chunks, ctx.layout.tally(), drop_usage=drop, max_line_bytes=limit_bytes)
        output = Output(meter, live, ctx, request, drop_usage=drop_usage and layered, turn=turn)
        output.attempt = reply.attempt
        try:
            output.lay(self.hooks, transforms)
            await output.prime()
            if output.attempt is not None:
                output.attempt.began()
        except BaseException:
            await output.aclose()
            raise
        ctx.exchange.status = reply.status
        return Answer(reply.status, reply.headers, stream=output)

    async def _transforms(self, ctx: RequestContext, request: ChatRequest, reply: Stream) -> Transforms:
        """What plugins lay over the stream; it is closed where one of them fails."""
        if not self.hooks.has_transforms:
            return ()
        try:
            return await self.hooks.transform_stream(ctx, request)
        except BaseException:
            await reply.aclose()
            raise

    def _settle(self, ctx: RequestContext, answer: Answer) -> None:
        """What a stream has said; its usage is the provider's where it came, else an estimate of what went by."""
        if answer.stream is not None:
            exchange, meter = ctx.exchange, answer.stream.meter
            exchange.events = meter.events
            exchange.finish_reasons = answer.stream.told or meter.tally.finish_reasons
            exchange.usage = meter.tally.usage or estimate(answer.stream.request, meter.tally.characters)
            if answer.stream.attempt is not None:
                source = meter.source
                answer.stream.attempt.heard(source.tally, events=source.events, first=source.first)


class _Execution:
    """The innermost ``call_next``: the handler itself, with what it raises made an `ApiError`."""

    __slots__ = ("_ctx", "_handler", "_limits")

    def __init__(self, ctx: RequestContext, handler: Handler, limits: EngineLimits) -> None:
        self._ctx = ctx
        self._handler = handler
        self._limits = limits

    async def __call__(self, request: ChatRequest) -> Reply:
        attempt = self._ctx.begin_attempt(self._handler.name)
        attempt.surface, attempt.model = request.layout.surface, self._ctx.exchange.upstream_model
        try:
            reply: object = await execute(self._ctx, self._handler, request, self._limits)
        except ApiError as error:
            attempt.end(error.code)
            raise
        except PLUGIN_FAILURES as exc:
            attempt.end(type(exc).__name__)
            logger.exception("handler %r failed", self._handler.name, extra={"request_id": self._ctx.request_id})
            raise UpstreamError(
                f"The handler '{self._handler.name}' failed.", status=500, code="handler_failed"
            ) from exc
        if not isinstance(reply, Completed | Stream):
            found = type(reply).__name__
            logger.error("handler %r returned %s, wanted Completed or Stream", self._handler.name, found)
            attempt.end("handler_failed")
            raise UpstreamError(f"The handler '{self._handler.name}' failed.", status=500, code="handler_failed")
        if isinstance(reply, Stream):
            attempt.is_stream, reply.attempt = True, attempt
        else:
            attempt.end()
            if attempt.span_id:
                attempt.usage, attempt.finish_reasons = reply.body.summary
                attempt.keep(reply.body)
        return reply


def encode_body(body: ChatRequest | ChatResponse, what: str) -> bytes:
    """Encode a body that plugins may have changed.

    Raises:
        ApiError: a plugin or handler put something into it that JSON cannot hold (500).
    """
    try:
        return body.encode()
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as exc:
        logger.exception("%s cannot be encoded", what)
        raise ApiError(f"A plugin made {what} that is not JSON.", code="plugin_failed") from exc


def estimate(request: ChatRequest, completion_characters: int) -> Usage:
    """Token counts from the characters that went by, labelled ``estimated``."""
    prompt = estimate_tokens(sum(len(text.value) for text in request.texts()))
    completion = estimate_tokens(completion_characters)
    return Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion, source="estimated"
    )


def _close_attempts(exchange: Exchange, error: ApiError | None) -> None:
    """End what still runs; what nobody counted in the last answer is what was counted in the exchange."""
    attempts = exchange.attempts
    if not attempts:
        return
    for attempt in attempts:
        attempt.read_head()
        if attempt.duration_s is None:
            attempt.duration_s = exchange.duration_s - attempt.started_s
            attempt.error_type = error.code if isinstance(error, UpstreamError) else None
    last = attempts[-1]
    if last.usage is None and last.error_type is None:
        last.usage, last.finish_reasons = exchange.usage, last.finish_reasons or exchange.finish_reasons


def _wants_usage(request: ChatRequest) -> bool:
    options = request.peek("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _failed_outcome(error: ApiError) -> Outcome:
    return "rejected" if error.status < 500 and not isinstance(error, UpstreamError) else "failed"

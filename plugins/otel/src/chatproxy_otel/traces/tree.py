"""Tree: the spans of one exchange, from its record.

Read `Tree.write` from top to bottom: the server's span, hooks, model calls with their attempts, tools, parts
of the work that plugins named. It runs when the last byte is out, on nobody's time.
Source: GenAI conventions, "Spans"; HTTP conventions, "HTTP spans"; MCP conventions, "Client".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from opentelemetry.trace import Span, SpanContext, SpanKind

from chatproxy import ApiError, RequestContext
from chatproxy.types import Attempt, HookCall, ToolCallRecord
from chatproxy_otel.calls import ModelCall
from chatproxy_otel.fitting import Fitter
from chatproxy_otel.names import Names
from chatproxy_otel.traces.asked import Asked, Attributes
from chatproxy_otel.traces.beginning import Kept
from chatproxy_otel.traces.events import Happened, told_hooks
from chatproxy_otel.traces.faults import describe, mark
from chatproxy_otel.traces.served import MAX_TEXT, METHODS, Served
from chatproxy_otel.traces.spans import SpanMaker


class Ended(NamedTuple):
    """An exchange that is over.

    Attributes:
        calls: its model calls.
        error: what it failed with, where it failed.
    """

    ctx: RequestContext
    kept: Kept
    calls: Sequence[ModelCall]
    error: ApiError | None

    def ns(self, at_s: float) -> int:
        """Unix time in nanoseconds of a moment of the exchange."""
        return int(self.ctx.exchange.started_at * 1e9) + int(at_s * 1e9)


class Tree:
    """Writes trees; one for the application, used on its event loop.

    Args:
        redact: takes secrets out of a text.
        hook_spans: a span for each call of a hook, else an event.
    """

    def __init__(self, maker: SpanMaker, names: Names, redact: Callable[[str], str], *, hook_spans: bool) -> None:
        self._maker = maker
        self._names = names
        self._fitter = fitter = Fitter(redact)
        self._hook_spans = hook_spans
        self._asked = Asked(names, fitter)
        self._served = Served(names, fitter)
        self._happened = Happened(names, fitter)

    def write(self, ended: Ended) -> list[SpanContext]:
        """Make and end every span of an exchange, a parent before its children: where room is short, leaves are lost.

        Returns:
            The contexts of the model calls' spans, in order.
        """
        self._maker.begin(ended.ctx.trace.trace_id, ended.kept.sampling)
        try:
            return self._started(ended)
        finally:
            self._maker.finish()

    def _started(self, ended: Ended) -> list[SpanContext]:
        exchange = ended.ctx.exchange
        own = self._server(ended).get_span_context()
        if self._hook_spans:
            for hook in told_hooks(exchange.hook_calls):
                self._hook(ended, hook, own)
        contexts = [self._call(ended, number, own) for number in range(len(ended.calls))]
        if not ended.calls:
            for resent, attempt in enumerate(exchange.attempts):
                if attempt.url is not None:
                    self._attempt(ended, attempt, resent, own)
        for tool in exchange.tool_calls:
            self._tool(ended, tool, own)
        self._parts(ended, own)
        return contexts

    # -- our side -----------------------------------------------------------------------------------------------------

    def _server(self, ended: Ended) -> Span:
        ctx, kept, exchange, names = ended.ctx, ended.kept, ended.ctx.exchange, self._names
        method = exchange.method if exchange.method in METHODS else "HTTP"
        end_ns = ended.ns(exchange.duration_s)
        served = f"{method} {self._shown(exchange.route or exchange.path)}"
        span = self._maker.start(
            f"ask {self._shown(exchange.model)}" if ctx.depth else served,
            SpanKind.INTERNAL if ctx.depth else SpanKind.SERVER,
            span_id=ctx.trace.span_id,
            parent=kept.parent,
            start_ns=ended.ns(0.0),
            attributes={
                **dict(kept.sampling.attributes or {}),
                **self._served.attributes(ctx),
                **self._fitter.items(ctx.trace.attributes),
            },
            link=kept.link,
        )
        for name, at_s, attributes in self._happened.events(ctx, with_hooks=not self._hook_spans):
            span.add_event(name, attributes, ended.ns(min(at_s, exchange.duration_s)))
        # a client's own mistakes are no errors of a server; a stream that broke off was answered with 200
        if exchange.status >= 500 or (exchange.outcome == "failed" and exchange.status < 400):
            mark(span, names, exchange.error_code, self._fitter)
            if not any(call.error_type for call in ended.calls):
                describe(span, names, exchange.error_code, ended.error, end_ns, fitter=self._fitter)
        self._maker.end(span, end_ns)
        return span

    def _hook(self, ended: Ended, hook: HookCall, parent: SpanContext) -> None:
        names = self._names
        span = self._maker.start(
            f"{names.hook_event} {hook.hook}",
            SpanKind.INTERNAL,
            parent=parent,
            start_ns=ended.ns(hook.started_s),
            attributes={names.plugin: hook.plugin, names.hook: hook.hook, names.hook_outcome: hook.outcome},
        )
        if hook.outcome in {"error", "timeout"}:
            mark(span, names, hook.outcome, self._fitter)
        self._maker.end(span, ended.ns(hook.started_s + hook.duration_s))

    def _parts(self, ended: Ended, own: SpanContext) -> None:
        """The spans that plugins made of parts of the work; one that nobody ended goes on to the exchange's end."""
        exchange, made = ended.ctx.exchange, {"": own}
        for part in ended.ctx.trace.spans:
            span = self._maker.start(
                self._shown(part.name),
                SpanKind.INTERNAL,
                span_id=part.span_id,
                parent=made.get(part.parent_id, own),
                start_ns=ended.ns(part.started_s),
                attributes=self._fitter.items(part.attributes),
            )
            made[part.span_id] = span.get_span_context()
            if part.error_type is not None:
                mark(span, self._names, part.error_type, self._fitter)
            end_s = exchange.duration_s if part.duration_s is None else part.started_s + part.duration_s
            self._maker.end(span, ended.ns(end_s))

    # -- the model's side ---------------------------------------------------------------------------------------------

    def _call(self, ended: Ended, number: int, parent: SpanContext) -> SpanContext:
        call, is_last = ended.calls[number], number == len(ended.calls) - 1
        end_ns = ended.ns(call.started_s + call.duration_s)
        span = self._maker.start(
            f"{call.operation} {self._shown(call.model)}",
            SpanKind.CLIENT,
            parent=parent,
            start_ns=ended.ns(call.started_s),
            attributes=self.operation(ended, number),
        )
        content = ended.kept.content
        if content is not None:
            span.set_attributes(content.span_attributes(is_first=number == 0, is_last=is_last))
        if call.error_type is not None:
            mark(span, self._names, call.error_type, self._fitter)
            error = ended.error if is_last else None
            describe(span, self._names, call.error_type, error, end_ns, fitter=self._fitter)
        self._maker.end(span, end_ns)
        context = span.get_span_context()
        for resent, attempt in enumerate(call.attempts):
            if attempt.url is not None:
                self._attempt(ended, attempt, resent, context)
        return context

    def operation(self, ended: Ended, number: int) -> Attributes:
        """The attributes of a model call, without content."""
        call, names, request = ended.calls[number], self._names, ended.ctx.request
        asked = {} if request is None else self._asked.attributes(request)
        attributes: Attributes = {
            names.operation: call.operation,
            names.provider: call.provider,
            names.request_model: self._shown(call.model),
            **asked,
            **self._served.answered(call),
        }
        if call.last.is_stream:
            attributes[names.request_stream] = True
        return attributes

    def _attempt(self, ended: Ended, attempt: Attempt, resent: int, parent: SpanContext) -> None:
        names = self._names
        attributes = self._served.sent(attempt)
        if resent:
            attributes[names.http_resend_count] = resent
        span = self._maker.start(
            attempt.method,
            SpanKind.CLIENT,
            span_id=attempt.span_id,
            parent=parent,
            start_ns=ended.ns(attempt.started_s),
            attributes=attributes,
        )
        if attempt.status is not None and attempt.status >= 400:
            mark(span, names, str(attempt.status), self._fitter)
        elif attempt.error_type is not None:
            mark(span, names, attempt.error_type, self._fitter)
        self._maker.end(span, ended.ns(attempt.started_s + (attempt.duration_s or 0.0)))

    def _tool(self, ended: Ended, tool: ToolCallRecord, parent: SpanContext) -> None:
        content = ended.kept.content
        span = self._maker.start(
            f"execute_tool {self._shown(tool.name)}",
            SpanKind.INTERNAL,
            span_id=tool.span_id,
            parent=parent,
            start_ns=ended.ns(tool.started_s),
            attributes=self._served.tool(tool),
        )
        if content is not None:
            span.set_attributes(content.tool_attributes(tool.span_id))
        if tool.error_type is not None:
            mark(span, self._names, tool.error_type, self._fitter)
        self._maker.end(span, ended.ns(tool.started_s + tool.duration_s))

    def _shown(self, text: str) -> str:
        return self._fitter.text(text, MAX_TEXT)

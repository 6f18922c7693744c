"""Hooks: the frozen lists of implementations, and the only code that calls them during a request.

Rule: one typed method for each hook; the kinds of `hookspecs.Kind` are written out here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from chatproxy.errors import ApiError, Unauthenticated
from chatproxy.plugins.around import Execute, compose
from chatproxy.plugins.background import Background
from chatproxy.plugins.impl import SKIPPED, Impl, Pending
from chatproxy.plugins.layers import Layer
from chatproxy.plugins.ledger import Ledger
from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Exchange
from chatproxy.types.handler import Handler
from chatproxy.types.model import Model, Principal, ToolCall, ToolResult
from chatproxy.types.reply import ChatResponse
from chatproxy.types.request import ChatRequest

Impls = tuple[Impl, ...]


class Hooks:
    """The hooks of one application.

    Args:
        impls: by hook name, in their final order.
        background: runs the AFTER hooks.
        handlers: by name, for a `select_handler` that returns a name.
    """

    def __init__(
        self, impls: Mapping[str, Sequence[Impl]], background: Background, handlers: Mapping[str, Handler]
    ) -> None:
        def of(hook: str) -> Impls:
            return tuple(impls.get(hook, ()))

        self._authenticate = of("authenticate")
        self._before_request = of("before_request")
        self._select_handler = of("select_handler")
        self._around = of("around_execute")
        self._transforms = of("transform_stream")
        self._before_response = tuple(reversed(of("before_response")))
        self._models = of("models")
        self._before_tool_call = of("before_tool_call")
        self._after_tool_call = tuple(reversed(of("after_tool_call")))
        self._handlers = handlers
        self._background = background

    @property
    def authenticates(self) -> bool:
        """Whether a plugin decides who may come in."""
        return bool(self._authenticate)

    @property
    def reads_responses(self) -> bool:
        """Whether a plugin sees buffered replies."""
        return bool(self._before_response)

    @property
    def has_transforms(self) -> bool:
        """Whether a plugin may transform streams."""
        return bool(self._transforms)

    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal | None:
        """Who sends the request; None where no plugin authenticates.

        Raises:
            Unauthenticated: there are implementers and none accepted the credentials.
        """
        if not self._authenticate:
            return None
        for impl in self._authenticate:
            principal = await impl.call(ctx.exchange, ctx, headers)
            if isinstance(principal, Principal):
                return principal if principal.plugin == impl.plugin else replace(principal, plugin=impl.plugin)
            if principal is not None:
                impl.wrong_type(ctx.exchange, principal, "a Principal")
        raise Unauthenticated("No valid credentials were given. Send them as 'Authorization: Bearer <key>'.")

    async def before_request(self, ctx: RequestContext, request: ChatRequest) -> ChatRequest:
        """The request as the plugins leave it."""
        ledger = Ledger.of(ctx.exchange, request) if ctx.exchange.keeps_mutations else None
        for impl in self._before_request:
            saved = None if impl.closed else request.encode()
            result = impl.step(ctx.exchange, ctx, request)
            if type(result) is Pending:
                result = await result.wait()
            if result is SKIPPED:
                if saved is not None:
                    request.restore(saved)
            elif result is not None:
                request = self._as_request(impl, ctx, request, result)
            if ledger is not None:
                ledger.note(impl, request)
        return request

    async def select_handler(self, ctx: RequestContext, request: ChatRequest) -> Handler | None:
        """The handler a plugin chose; None where none did."""
        for impl in self._select_handler:
            result = impl.step(ctx.exchange, ctx, request)
            if type(result) is Pending:
                result = await result.wait()
            if result is None or result is SKIPPED:
                continue
            if isinstance(result, str):
                if result not in self._handlers:
                    impl.wrong_type(ctx.exchange, result, f"a handler or one of the names {sorted(self._handlers)}")
                    continue
                return self._handlers[result]
            if callable(getattr(result, "execute", None)):
                chosen: Handler = result
                return chosen
            impl.wrong_type(ctx.exchange, result, "a handler or a handler's name")
        return None

    def around_execute(self, ctx: RequestContext, execute: Execute) -> Execute:
        """``execute`` with every plugin around it, the first in order outermost."""
        return compose(self._around, ctx, execute) if self._around else execute

    async def transform_stream(self, ctx: RequestContext, request: ChatRequest) -> list[tuple[Impl, Any]]:
        """The transforms of this stream, the one nearest to the upstream first."""
        found = []
        for impl in reversed(self._transforms):
            transform = await impl.call(ctx.exchange, ctx, request)
            if callable(transform):
                found.append((impl, transform))
            elif transform is not None and transform is not SKIPPED:
                impl.wrong_type(ctx.exchange, transform, "an async generator function")
        return found

    @staticmethod
    def layer(found: Sequence[tuple[Impl, Any]], ctx: RequestContext, source: Any) -> list[Layer]:
        """Put transforms over a source of events; the last layer is what the client reads."""
        layers: list[Layer] = []
        for impl, transform in found:
            layers.append(Layer(impl, transform, layers[-1] if layers else source, ctx.exchange))
        return layers

    async def before_response(self, ctx: RequestContext, request: ChatRequest, response: ChatResponse) -> ChatResponse:
        """The buffered reply as the plugins leave it; they are called in reverse order."""
        ledger = Ledger.of(ctx.exchange, response) if ctx.exchange.keeps_mutations else None
        for impl in self._before_response:
            saved = None if impl.closed else response.encode()
            result = impl.step(ctx.exchange, ctx, request, response)
            if type(result) is Pending:
                result = await result.wait()
            if result is SKIPPED:
                if saved is not None:
                    response.restore(saved)
            elif isinstance(result, ChatResponse):
                response = result
            elif isinstance(result, Mapping):
                response = ChatResponse(result, layout=ctx.layout)
            elif result is not None:
                impl.wrong_type(ctx.exchange, result, "a response")
            if ledger is not None:
                ledger.note(impl, response)
        return response

    async def models(self, ctx: RequestContext) -> list[tuple[str, Model]]:
        """(plugin, model) of every plugin, in order."""
        found: list[tuple[str, Model]] = []
        for impl in self._models:
            result = await impl.call(ctx.exchange, ctx)
            if result is not None and result is not SKIPPED:
                found.extend((impl.plugin, model) for model in result)
        return found

    async def call_tool(
        self, ctx: RequestContext, call: ToolCall, run: Callable[[ToolCall], Awaitable[ToolResult]]
    ) -> ToolResult:
        """Run a tool between its two hooks; raises `Reject` where a plugin refuses it."""
        for impl in self._before_tool_call:
            changed = await impl.call(ctx.exchange, ctx, call)
            if isinstance(changed, ToolCall):
                call = changed
            elif changed is not None and changed is not SKIPPED:
                impl.wrong_type(ctx.exchange, changed, "a ToolCall")
        result = await run(call)
        for impl in self._after_tool_call:
            changed = await impl.call(ctx.exchange, ctx, call, result)
            if isinstance(changed, ToolResult):
                result = changed
            elif changed is not None and changed is not SKIPPED:
                impl.wrong_type(ctx.exchange, changed, "a ToolResult")
        return result

    def after_response(self, ctx: RequestContext, exchange: Exchange) -> None:
        """Hand the exchange to the plugins' telemetry; returns at once."""
        self._background.submit("after_response", exchange, ctx, exchange)

    def on_error(self, ctx: RequestContext, exchange: Exchange, error: ApiError) -> None:
        """Hand the failed exchange to the plugins' telemetry; returns at once."""
        self._background.submit("on_error", exchange, ctx, exchange, error)

    @staticmethod
    def _as_request(impl: Impl, ctx: RequestContext, request: ChatRequest, result: object) -> ChatRequest:
        if isinstance(result, ChatRequest):
            return result
        if isinstance(result, Mapping):
            return ChatRequest(result, layout=ctx.layout)
        impl.wrong_type(ctx.exchange, result, "a request")
        return request

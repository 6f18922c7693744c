"""ProxyPlugin: a plugin as a class with four methods, and the adapter that makes it an ordinary plugin.

The methods see the same on buffered and streamed replies: a stream's response is put together from its events.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from chatproxy.errors import ApiError, PluginError
from chatproxy.hookimpl import hookimpl
from chatproxy.types.assembly import assembly_for
from chatproxy.types.context import RequestContext
from chatproxy.types.reply import ChatResponse
from chatproxy.types.request import ChatRequest
from chatproxy.types.stream import StreamEvent, StreamTransform

MAX_KEPT_EVENTS = 100_000
METHODS = ("before_request", "after_request_async", "after_stream_async", "on_error_async")


class ProxyPlugin:
    """Override what you need; ``params`` is the request as a mutable mapping.

    Attributes:
        name: shown in logs and used in the configuration; None takes the class's name in snake case.
    """

    name: str | None = None

    async def before_request(self, params: Any) -> Mapping[str, Any] | None:
        """Called before the model: change ``params`` in place, or return a mapping to replace it."""

    async def after_request_async(self, params: Any, response: Any) -> None:
        """Called in the background with the whole response.

        After a stream too, with the response put together, unless the class has `after_stream_async`.
        """

    async def after_stream_async(self, params: Any, response: Any, events: list[Any]) -> None:
        """Called in the background after a stream: the response put together, and the stream's events."""

    async def on_error_async(self, params: Any, error: Exception) -> None:
        """Called in the background after a failure."""


class _Kept:
    """What one exchange's background calls will need."""

    __slots__ = ("events", "params", "response")

    def __init__(self, params: Any) -> None:
        self.params = params
        self.response: dict[str, Any] | None = None
        self.events: list[dict[str, Any]] | None = None


def adapt_plugin(plugin: object) -> object:
    """A `ProxyPlugin` as an object with hook implementations; anything else as it is.

    Raises:
        PluginError: one of the four methods is not ``async def``.
    """
    if inspect.isclass(plugin) and issubclass(plugin, ProxyPlugin):
        plugin = plugin()
    if not isinstance(plugin, ProxyPlugin):
        return plugin
    for method in METHODS:
        if not inspect.iscoroutinefunction(getattr(plugin, method)):
            raise PluginError(f"{type(plugin).__qualname__}.{method} must be 'async def', found a plain function")
    sees_end = _overrides(plugin, "after_request_async") or _overrides(plugin, "after_stream_async")
    kind = _EndAdapter if sees_end else _Adapter
    return kind(plugin)


class _Adapter:
    """Before a request and after a failure."""

    def __init__(self, plugin: ProxyPlugin) -> None:
        self._plugin = plugin
        self.chatproxy_name = plugin.name or _snake_case(type(plugin).__name__)
        self._key = f"{self.chatproxy_name}:{id(plugin):x}"

    @hookimpl
    async def before_request(self, ctx: RequestContext, request: ChatRequest) -> Mapping[str, Any] | None:
        changed = await self._plugin.before_request(request)
        ctx.state[self._key] = _Kept(request if changed is None else changed)
        return changed

    @hookimpl
    async def on_error(self, ctx: RequestContext, error: ApiError) -> None:
        kept = ctx.state.get(self._key)
        await self._plugin.on_error_async({} if kept is None else kept.params, error)


class _EndAdapter(_Adapter):
    """Also after an answer: keeps what the client got until the background call."""

    @hookimpl(tryfirst=True)
    async def before_response(self, ctx: RequestContext, request: ChatRequest, response: ChatResponse) -> None:
        kept = self._kept(ctx, request)
        kept.response = response.to_dict()

    @hookimpl(tryfirst=True)
    async def transform_stream(self, ctx: RequestContext, request: ChatRequest) -> StreamTransform:
        kept = self._kept(ctx, request)
        events: list[dict[str, Any]] = []
        kept.events = events

        async def keep(source: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
            async for event in source:
                if len(events) < MAX_KEPT_EVENTS:
                    events.append(event.snapshot())
                yield event

        return keep

    @hookimpl
    async def after_response(self, ctx: RequestContext) -> None:
        kept = ctx.state.pop(self._key, None)
        if kept is None:
            return
        if kept.events is None:
            if kept.response is not None:  # a client that left before the answer got none
                await self._plugin.after_request_async(kept.params, kept.response)
            return
        assembly = assembly_for(ctx.surface)
        for event in kept.events:
            assembly.add(event)
        response = assembly.result(ctx.exchange.model)
        if _overrides(self._plugin, "after_stream_async"):
            await self._plugin.after_stream_async(kept.params, response, kept.events)
        else:
            await self._plugin.after_request_async(kept.params, response)

    def _kept(self, ctx: RequestContext, request: ChatRequest) -> _Kept:
        kept: _Kept = ctx.state.setdefault(self._key, _Kept(request))
        kept.params = request
        return kept


def _overrides(plugin: ProxyPlugin, method: str) -> bool:
    return getattr(type(plugin), method) is not getattr(ProxyPlugin, method)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")

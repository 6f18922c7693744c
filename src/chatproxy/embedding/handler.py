"""ProxyHandler: a handler as a class with one method, and the adapter that makes it an ordinary handler.

``super().execute(params)`` forwards to the built-in upstream, so that a subclass can change what goes in and out.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any

from chatproxy.errors import ApiError, UpstreamError
from chatproxy.handlers.assemble import as_chunks, assembled, cut
from chatproxy.types.context import RequestContext
from chatproxy.types.handler import Handler
from chatproxy.types.reply import Completed, Reply, Stream
from chatproxy.types.request import ChatRequest

Answer = Mapping[str, Any] | str | AsyncIterable[Mapping[str, Any] | str]

_running: ContextVar[tuple[RequestContext, Handler]] = ContextVar("chatproxy_running_handler")


class ProxyHandler:
    """Override `execute`; return a response mapping, a text, or an async iterator of chunks or texts.

    Attributes:
        name: shown in the exchange's record.
    """

    name: str = "custom"

    async def execute(self, params: Any) -> Any:
        """Answer a request; this one forwards it to the built-in upstream.

        Returns:
            A mapping where the request is buffered, an async iterator of chunk mappings where it is streamed.
        """
        ctx, builtin = _running.get()
        request = params if isinstance(params, ChatRequest) else ChatRequest(params, layout=ctx.layout)
        reply = await builtin.execute(ctx, request)
        if isinstance(reply, Completed):
            return reply.body
        return _event_data(reply)


class HandlerAdapter:
    """A `Handler` around a `ProxyHandler`, or around any object with a one-argument ``execute``.

    Args:
        builtin: what ``super().execute`` forwards to.
    """

    def __init__(self, handler: Any, builtin: Handler) -> None:
        self.name: str = getattr(handler, "name", None) or type(handler).__name__
        self._handler = handler
        self._builtin = builtin

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Call the wrapped handler and bring its answer into the form the client asked for."""
        token = _running.set((ctx, self._builtin))
        try:
            method = self._handler.execute
            if not request.stream:
                method = getattr(self._handler, "execute_non_streaming", None) or method
            answer = method(request)
            if inspect.isawaitable(answer):
                answer = await answer
            if request.stream:
                return Stream.of(_chunks(answer, request.model), layout=ctx.layout)
            return Completed(await _whole(answer, request.model))
        finally:
            _running.reset(token)

    async def models(self, ctx: RequestContext) -> Any:
        """What the wrapped handler lists, where it does."""
        listed = getattr(self._handler, "models", None)
        return await listed(ctx) if listed is not None else ()

    async def aclose(self) -> None:
        """Close the wrapped handler, where it can be closed."""
        close = getattr(self._handler, "aclose", None)
        if close is not None:
            await close()


async def _event_data(stream: Stream) -> AsyncIterator[Mapping[str, Any]]:
    async for event in stream.events():
        yield event.data


async def _whole(answer: Any, model: str) -> Any:
    if isinstance(answer, str):
        return await assembled(_one(answer), model)
    if isinstance(answer, Mapping):
        return answer
    if hasattr(answer, "__aiter__"):
        return await assembled(answer, model)
    raise _unusable(answer)


async def _chunks(answer: Any, model: str) -> AsyncIterator[Mapping[str, Any]]:
    if isinstance(answer, Mapping):
        for event in cut(answer):
            yield event
    elif isinstance(answer, str) or hasattr(answer, "__aiter__"):
        async for event in as_chunks(_one(answer) if isinstance(answer, str) else answer, model):
            yield event
    else:
        raise _unusable(answer)


async def _one(text: str) -> AsyncIterator[str]:
    yield text


def _unusable(answer: object) -> ApiError:
    return UpstreamError(
        f"The handler returned {type(answer).__name__}, wanted a mapping, a text or an async iterator.",
        status=500,
        code="handler_failed",
    )

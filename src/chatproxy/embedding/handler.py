"""ProxyHandler: a handler as a class with one method, and the adapter that makes it an ordinary handler.

``super().execute(params)`` forwards to a built-in handler, so that a subclass can change what goes in and comes out.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, cast

from chatproxy.engine.translated import execute
from chatproxy.errors import PluginError
from chatproxy.handlers.answers import as_reply
from chatproxy.types.context import RequestContext
from chatproxy.types.handler import Handler
from chatproxy.types.reply import Completed, Reply, Stream
from chatproxy.types.request import ChatRequest
from chatproxy.types.rounds import checked_events

DEFAULT_BACKEND = "upstream:default"


class ProxyHandler:
    """Override `execute`; ``params`` is the request as a mutable mapping.

    Where buffered and streamed requests need different code, add ``async execute_non_streaming(params)``, which then
    answers the buffered ones.

    Attributes:
        name: shown in the log, and how ``[models]`` names this handler.
        backend: the built-in handler that ``super().execute`` forwards to: ``upstream:<name>`` or ``demo``.
    """

    name: str = "custom"
    backend: str = DEFAULT_BACKEND

    async def execute(self, params: Any) -> Any:
        """Answer a request; this one forwards it to `backend`.

        Returns:
            A response mapping, a text, or an async iterator of chunk mappings or texts. Each answers buffered and
            streamed requests alike; objects with ``model_dump``, as openai-python returns them, count as mappings.
            This one gives a mapping where ``params`` ask for no stream, else an async iterator of chunk mappings.
        """
        return await _running().forward(params, self.backend)


class _Run:
    """One request on its way through a `ProxyHandler`."""

    def __init__(self, ctx: RequestContext, handlers: Mapping[str, Handler]) -> None:
        self._ctx = ctx
        self._handlers = handlers
        self._opened: list[Stream] = []
        self.headers: dict[str, str] = {}

    async def forward(self, params: Any, backend: str) -> Any:
        """What ``super().execute`` does."""
        request = params if isinstance(params, ChatRequest) else ChatRequest(params)
        reply = cast("Reply", await execute(self._ctx, self._handlers[backend], request))
        self.headers = reply.headers
        if isinstance(reply, Completed):
            return reply.body
        self._opened.append(reply)
        return _event_data(reply)

    async def aclose(self) -> None:
        """Close the streams that `forward` opened, also those nobody read to the end."""
        while self._opened:
            await self._opened.pop().aclose()


_run: ContextVar[_Run] = ContextVar("chatproxy_run")


def _running() -> _Run:
    try:
        return _run.get()
    except LookupError:
        raise RuntimeError("ProxyHandler.execute forwards only while the gateway runs a request") from None


class HandlerAdapter:
    """A `Handler` around a `ProxyHandler`, or around any object with a one-argument ``execute``.

    Call `bind` before the first request.
    """

    def __init__(self, handler: Any) -> None:
        self.name: str = getattr(handler, "name", None) or type(handler).__name__
        self._handler = handler
        self._handlers: Mapping[str, Handler] | None = None

    def bind(self, handlers: Mapping[str, Handler]) -> None:
        """Say which handlers ``super().execute`` can forward to, by name.

        Raises:
            PluginError: there is no handler of the name that ``backend`` gives.
        """
        wanted = getattr(self._handler, "backend", DEFAULT_BACKEND)
        others = {name: handler for name, handler in handlers.items() if handler is not self}
        if wanted not in others:
            raise PluginError(f"handler {self.name!r}: no backend {wanted!r}; there are {sorted(others)}")
        self._handlers = others

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Call the wrapped handler and bring its answer into the form the client asked for."""
        if self._handlers is None:
            raise RuntimeError("HandlerAdapter.bind must be called first")
        wants_stream, model = request.stream, request.model  # the handler may change both in the request
        run = _Run(ctx, self._handlers)
        answer = await self._call(run, request, wants_stream=wants_stream)
        pieces = _InRun(answer, run) if hasattr(answer, "__aiter__") else answer
        return await as_reply(
            pieces, model=model, stream=wants_stream, name=self.name, headers=run.headers, close=run.aclose
        )

    async def _call(self, run: _Run, request: ChatRequest, *, wants_stream: bool) -> Any:
        method = self._handler.execute
        if not wants_stream:
            method = getattr(self._handler, "execute_non_streaming", None) or method
        token = _run.set(run)
        try:
            answer = method(request)
            return await answer if inspect.isawaitable(answer) else answer
        except BaseException:
            await run.aclose()
            raise
        finally:
            _run.reset(token)

    async def models(self, ctx: RequestContext) -> Any:
        """What the wrapped handler lists, where it does."""
        listed = getattr(self._handler, "models", None)
        return await listed(ctx) if listed is not None else ()

    async def aclose(self) -> None:
        """Close the wrapped handler, where it can be closed."""
        close = getattr(self._handler, "aclose", None)
        if close is not None:
            await close()


class _InRun(AsyncIterator[Any]):
    """What a handler yields; its code runs inside of its run, wherever the stream is read."""

    def __init__(self, answer: Any, run: _Run) -> None:
        self._answer = answer
        self._items = aiter(answer)
        self._run = run

    async def __anext__(self) -> Any:
        return await _in_run(self._run, self._items.__anext__())

    async def aclose(self) -> None:
        """Close the handler's own iterator."""
        close = getattr(self._answer, "aclose", None) or getattr(self._answer, "close", None)
        if close is not None:
            await _in_run(self._run, close())


async def _in_run(run: _Run, work: Any) -> Any:
    token = _run.set(run)
    try:
        return await work
    finally:
        _run.reset(token)


async def _event_data(stream: Stream) -> AsyncGenerator[Mapping[str, Any], None]:
    """What its events say; raises where it broke off, as the gateway does with a stream that it passes on."""
    events = checked_events(stream)
    async with aclosing(events):
        async for event in events:
            yield event.data

"""The hooks: what a plugin may implement, when each is called, and of which kind it is.

Rule: declarations only. A hook's kind (`Kind`) decides how implementations are called; `plugins/hooks.py` is the
one place that calls them. An implementation may take any subset of the arguments, by name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

import msgspec
import pluggy

from chatproxy.errors import ApiError
from chatproxy.types.app import App
from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Exchange
from chatproxy.types.handler import Handler
from chatproxy.types.model import Command, Model, Principal, SessionStore, ToolCall, ToolResult
from chatproxy.types.reply import ChatResponse, Reply
from chatproxy.types.request import ChatRequest
from chatproxy.types.stream import StreamEvent

PROJECT = "chatproxy"
F = TypeVar("F", bound=Callable[..., Any])
CallNext = Callable[[ChatRequest], Awaitable[Reply]]


class Kind(StrEnum):
    """How the implementations of a hook are called."""

    COLLECT = "collect"
    """Each once; results are joined with the plugin's name."""
    FIRST = "first"
    """In order until one returns something other than None; later ones are not called."""
    CHAIN = "chain"
    """In order; each gets what the one before it returned."""
    CHAIN_BACK = "chain_back"
    """As CHAIN, in reverse order."""
    AROUND = "around"
    """Nested: the first in order is the outermost, and calls the next by ``call_next``."""
    STREAM = "stream"
    """Layers over a stream: the first in order is nearest to the client."""
    AFTER = "after"
    """In the background, each on its own; nothing waits for them."""
    LIFESPAN = "lifespan"
    """Async context managers, entered in order and left in reverse."""


class HookSpec(NamedTuple):
    """What the engine knows about a hook.

    Attributes:
        is_async: whether an implementation is ``async def``.
        deadline_s: seconds an implementation may take, unless the configuration says otherwise.
    """

    name: str
    kind: Kind
    is_async: bool
    deadline_s: float | None


SPECS: dict[str, HookSpec] = {}
_mark_spec = pluggy.HookspecMarker(PROJECT)


def _spec(kind: Kind, *, is_async: bool = True, deadline_s: float | None = 10.0) -> Callable[[F], F]:
    def declare(function: F) -> F:
        SPECS[function.__name__] = HookSpec(function.__name__, kind, is_async, deadline_s)
        return _mark_spec(function)

    return declare


@_spec(Kind.COLLECT, is_async=False, deadline_s=None)
def config_type() -> type[msgspec.Struct]:  # type: ignore[empty-body]
    """Called at start-up: the type that ``[plugins.<name>]`` is validated by; unknown keys are refused.

    Example::

        class Config(msgspec.Struct, forbid_unknown_fields=True):
            limit: int = 10

        @hookimpl
        def config_type():
            return Config
    """


@_spec(Kind.COLLECT, is_async=False, deadline_s=None)
def handlers(config: Any) -> Iterable[Handler]:  # type: ignore[empty-body]
    """Called at start-up: handlers this plugin brings, chosen later by name in ``[models]`` or by `select_handler`.

    Args:
        config: the plugin's validated configuration; the plain table where it has no `config_type`.

    A name that is taken is refused at start.

    Example::

        @hookimpl
        def handlers(config):
            return [EchoHandler()]
    """


@_spec(Kind.COLLECT, is_async=False, deadline_s=None)
def routes(config: Any) -> Iterable[Any]:  # type: ignore[empty-body]
    """Called at start-up: Litestar route handlers (or routers, controllers) of this plugin.

    They are mounted under ``/plugins/<name>``, or at the path they give where their ``opt`` says ``own_path=True``.
    A `ModelRoute` among them serves one model's chat completions at a path of its own.
    A route needs a principal wherever a plugin authenticates, unless its ``opt`` says ``public=True``. ``access`` in
    its ``opt`` names the role it is for, as the plugin that authenticates knows roles; what is not declared is for the
    highest.

    Example::

        @hookimpl
        def routes(config):
            return [get("/status", sync_to_thread=False)(lambda: {"ok": True})]
    """


@_spec(Kind.COLLECT, is_async=False, deadline_s=None)
def commands() -> Iterable[Command]:  # type: ignore[empty-body]
    """Called by the command line: sub-commands of ``chatproxy``; a name that is taken is refused.

    Example::

        @hookimpl
        def commands():
            return [Command(name="hello", help="Say hello.", run=lambda args: print("hello") or 0)]
    """


@_spec(Kind.LIFESPAN, is_async=False, deadline_s=60.0)
def lifespan(app: App) -> AbstractAsyncContextManager[None] | None:
    """Called when the application starts: a context manager around its life; None where nothing is needed.

    Entered in order, left in reverse, also when a later one fails to start. Raising stops the start.

    Example::

        @hookimpl
        @asynccontextmanager
        async def lifespan(app):
            async with Pool(app.config(Config).url) as pool:
                yield app.provide(pool)
    """


@_spec(Kind.FIRST, is_async=False, deadline_s=None)
def session_store(config: Any) -> SessionStore | None:
    """Called at start-up: durable per-session state for every plugin; None lets the next one try.

    Without an implementation the core's own is used: in memory, bounded, lost at the end.
    """


@_spec(Kind.COLLECT)
async def models(ctx: RequestContext) -> Iterable[Model]:  # type: ignore[empty-body]
    """Called for ``GET /v1/models`` at most once a minute: models this plugin brings; the first id wins.

    Raising leaves this plugin's models out, under ``on_error = "open"``; else the listing fails.

    Example::

        @hookimpl
        async def models(ctx):
            return [Model(id="echo", owned_by="me")]
    """


@_spec(Kind.FIRST, deadline_s=5.0)
async def authenticate(ctx: RequestContext, headers: Mapping[str, str]) -> Principal | None:
    """Called before anything else of a request: who sends it; None lets the next plugin try.

    Without an implementer the gateway is open; where there are implementers and all return None, the answer is 401.
    Only this hook sees credentials. Raise `Unauthenticated` or `Reject` to answer at once.

    Example::

        @hookimpl
        async def authenticate(ctx, headers):
            if headers.get("authorization") == f"Bearer {KEY}":
                return Principal(id="me")
    """


@_spec(Kind.CHAIN)
async def before_request(ctx: RequestContext, request: ChatRequest) -> ChatRequest | None:
    """Called once for each request, before a handler is chosen: change the request, on every surface alike.

    None means unchanged or changed in place; a returned request (or plain mapping) replaces it for those after.
    Raise `Reject` to answer an error; any other exception follows the plugin's ``on_error`` policy.

    Example::

        @hookimpl
        async def before_request(ctx, request):
            request.instruct("Be brief.")
    """


@_spec(Kind.FIRST)
async def select_handler(ctx: RequestContext, request: ChatRequest) -> Handler | None:
    """Called after `before_request`: who answers; None lets the next plugin, and last the model table, decide.

    A string is taken as the name of a handler.

    Example::

        @hookimpl
        async def select_handler(ctx, request):
            return "echo" if request.model.startswith("echo") else None
    """


@_spec(Kind.AROUND)
async def around_execute(ctx: RequestContext, request: ChatRequest, call_next: CallNext) -> Reply:  # type: ignore[empty-body]
    """Called around the handler: spans, retries, caches, limits, tool loops; calling ``call_next`` again is allowed.

    The deadline counts the plugin's own time only, not that inside ``call_next`` or ``ctx.call_tool``. What must be
    true when the client has read the end of a stream is done by wrapping the reply's events here.

    Example::

        @hookimpl
        async def around_execute(ctx, request, call_next):
            async with limit:
                return await call_next(request)
    """


@_spec(Kind.STREAM)
async def transform_stream(
    ctx: RequestContext, request: ChatRequest
) -> Callable[[AsyncIterator[StreamEvent]], AsyncIterator[StreamEvent]] | None:
    """Called once for each streamed reply: an async generator function over its events; None = leave it alone.

    The generator may change, hold, drop and add events. Code after its loop runs before the client sees ``[DONE]``.
    A failure of the upstream is raised inside its loop. The deadline counts its own time for each event.

    Example::

        @hookimpl
        async def transform_stream(ctx, request):
            async def upper(events):
                async for event in events:
                    for text in event.texts():
                        text.replace(text.value.upper())
                    yield event
            return upper
    """


@_spec(Kind.CHAIN_BACK)
async def before_response(ctx: RequestContext, request: ChatRequest, response: ChatResponse) -> ChatResponse | None:
    """Called once for each buffered reply, in reverse order: change what the client gets.

    None means unchanged or changed in place; a returned response (or plain mapping) replaces it.

    Example::

        @hookimpl
        async def before_response(ctx, response):
            for text in response.texts():
                text.replace(text.value.upper())
    """


@_spec(Kind.CHAIN)
async def before_tool_call(ctx: RequestContext, call: ToolCall) -> ToolCall | None:
    """Called before a tool that the gateway itself runs; None means unchanged; raise `Reject` to refuse it."""


@_spec(Kind.CHAIN_BACK)
async def after_tool_call(ctx: RequestContext, call: ToolCall, result: ToolResult) -> ToolResult | None:
    """Called with a tool's result, before any model sees it; None means unchanged."""


@_spec(Kind.AFTER, deadline_s=30.0)
async def after_response(ctx: RequestContext, exchange: Exchange) -> None:
    """Called in the background once the last byte is out: telemetry of an exchange that was answered.

    A client that left before the end is ``exchange.outcome == "client_disconnected"``. An exchange ends in exactly
    one of `after_response` and `on_error`.

    Example::

        @hookimpl
        async def after_response(ctx, exchange):
            await sink.put((exchange.model, exchange.usage, exchange.duration_s))
    """


@_spec(Kind.AFTER, deadline_s=30.0)
async def on_error(ctx: RequestContext, exchange: Exchange, error: ApiError) -> None:
    """Called in the background once an error was answered, before or inside a reply: telemetry of a failure."""

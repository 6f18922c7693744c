"""RequestContext: what a hook knows about the exchange it is called for."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from chatproxy.types.app import App
from chatproxy.types.attempt import Attempt
from chatproxy.types.exchange import Exchange
from chatproxy.types.layout import Layout
from chatproxy.types.model import Principal, ToolCall, ToolResult, ToolRunner
from chatproxy.types.reply import ChatResponse
from chatproxy.types.request import ChatRequest
from chatproxy.types.route import UNKNOWN_ROUTE, Route
from chatproxy.types.trace import Trace, TraceSpan

T = TypeVar("T")

SECRET_HEADERS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key",
        "x-amz-security-token", "openai-organization", "openai-project", "ocp-apim-subscription-key", "x-functions-key",
    }
)  # fmt: skip
_SECRET_ENDINGS = ("authorization", "-api-key", "-apikey", "-token", "-secret", "-password", "-credentials", "-auth")


class InnerExchanges(Protocol):
    """Runs exchanges inside of exchanges; the engine's."""

    async def ask(self, parent: RequestContext, body: Mapping[str, Any], span: TraceSpan | None) -> ChatResponse:
        """The buffered reply."""

    def ask_stream(
        self, parent: RequestContext, body: Mapping[str, Any], span: TraceSpan | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The data of each event."""


ToolBracket = Callable[["RequestContext", ToolCall, ToolRunner], Awaitable[ToolResult]]


class Headers(Mapping[str, str]):
    """Request headers, names lower-case, decoded when first read; repeated ones are joined by ``, ``."""

    __slots__ = ("_decoded", "_raw", "_with_secrets")

    def __init__(self, raw: list[tuple[bytes, bytes]], *, with_secrets: bool = False) -> None:
        self._raw = raw
        self._with_secrets = with_secrets
        self._decoded: dict[str, str] | None = None

    @property
    def _table(self) -> dict[str, str]:
        if self._decoded is None:
            table: dict[str, str] = {}
            for raw_name, raw_value in self._raw:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                if self._with_secrets or not is_secret_header(name):
                    table[name] = f"{table[name]}, {value}" if name in table else value
            self._decoded = table
        return self._decoded

    def __getitem__(self, name: str) -> str:
        return self._table[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._table

    def first(self, name: bytes) -> bytes | None:
        """The first value of a header as bytes; ``name`` in lower case. Decodes nothing."""
        for raw_name, raw_value in self._raw:
            if raw_name == name:
                return None if not self._with_secrets and name.decode() in SECRET_HEADERS else raw_value
        return None

    def every(self, name: bytes) -> list[bytes]:
        """All values of a header, as `first` gives the first one."""
        if not self._with_secrets and name.decode() in SECRET_HEADERS:
            return []
        return [raw_value for raw_name, raw_value in self._raw if raw_name == name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"Headers({sorted(self._table)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied with what it shows, so that a stored one keeps no secret."""
        shown = {name: value for name, value in self._table.items() if not is_secret_header(name)}
        return Headers, ([(name.encode("latin-1"), value.encode("latin-1")) for name, value in shown.items()],)


def is_secret_header(name: str) -> bool:
    """Whether a header carries a credential or names an account, by its lower-case name."""
    return name in SECRET_HEADERS or name.endswith(_SECRET_ENDINGS)


class RequestContext:
    """One for each exchange; the same object in every hook.

    Attributes:
        request_id: ``x-request-id`` of the answer and of the upstream request.
        headers: the client's headers without credentials; only `authenticate` sees those.
        principal: who asks; None where no plugin authenticates.
        exchange: the record so far.
        started_s: when the exchange began, on `time.perf_counter`.
        trace: where the exchange stands in a distributed trace; plugins add attributes and events to it.
        request: what `before_request` left of it, on the client's surface, for telemetry of an exchange that is over;
            None where it did not come so far, and where a body passes through.
        attempt: the last time that a handler was asked; a handler's own when `execute` is called, until it first waits.
        state: for plugins to carry values from hook to hook; key by plugin name.
        route: which of the gateway's routes was asked, whatever the path looks like.
        session_id: the conversation that the exchange belongs to, set in `before_request` by the plugin that keeps
            conversations; None where none does, or before. Who keeps something for each conversation keys it by this.
        parent: the exchange that this one runs inside of; None for a client's own.
        is_exchange: whether this is an exchange with an end, see `at_end`; a listing or a plugin's route is none.
        query: of the request's target, as it came, without the question mark.
        reply_headers: more headers for the answer, errors and streams included; names lower-case. Of an exchange only.
        client_view: gives a text that a model gets as the client knows it; set by a plugin that hides something from
            the model and puts it back for the client, None where none does.
    """

    __slots__ = (
        "_call_tool", "_inner", "app", "attempt", "client_view", "credentials", "endings", "exchange",
        "headers", "is_exchange", "layout", "parent", "principal", "query", "reply_headers", "request",
        "request_id", "route", "session_id", "started_s", "state", "trace",
    )  # fmt: skip

    def __init__(
        self,
        *,
        app: App,
        exchange: Exchange,
        layout: Layout,
        started_s: float = 0.0,
        headers: Headers | None = None,
        traceparent: str = "",
        tracestate: str = "",
        is_traced_by_client: bool = False,
        credentials: bytes | None = None,
        call_tool: ToolBracket | None = None,
        inner: InnerExchanges | None = None,
        parent: RequestContext | None = None,
        route: Route = UNKNOWN_ROUTE,
        query: bytes = b"",
    ) -> None:
        self.app = app
        self.exchange = exchange
        self.layout = layout
        self.request_id = exchange.request_id
        self.started_s = started_s
        self.headers = headers if headers is not None else Headers([])
        self.principal: Principal | None = None
        self.trace = Trace(traceparent, tracestate, is_remote=is_traced_by_client, started_s=started_s)
        self.request: ChatRequest | None = None
        self.attempt: Attempt | None = None
        self.state: dict[str, Any] = {}
        self.route = route
        self.is_exchange = False
        self.reply_headers: dict[str, str] = {}
        self.client_view: Callable[[str], str] | None = None
        self.endings: list[Callable[[Exchange], None]] = []
        self.credentials = Credentials(credentials)
        self.parent = parent
        self.session_id: str | None = None
        self.query = query
        self._call_tool = call_tool
        self._inner = inner

    @property
    def traceparent(self) -> str:
        """W3C trace context of the exchange; what is sent to others has a span of its own, see `Trace.hop`."""
        return self.trace.traceparent

    @property
    def tracestate(self) -> str:
        """What goes with ``traceparent``; empty where there is nothing."""
        return self.trace.tracestate

    @property
    def depth(self) -> int:
        """How many exchanges this one runs inside of."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def surface(self) -> str:
        """Name of the surface the request came in by, for example ``chat``."""
        return self.layout.surface

    def config(self, kind: type[T]) -> T:
        """A plugin's validated configuration; raises LookupError as `App.config` does."""
        return self.app.config(kind)

    def plugin(self, kind: type[T]) -> T:
        """An object a plugin provided at start; raises LookupError as `App.plugin` does."""
        return self.app.plugin(kind)

    def note(self, plugin: str, **values: Any) -> None:
        """Put values on the exchange's record under the plugin's name; JSON only, never a secret."""
        self.exchange.notes.setdefault(plugin, {}).update(values)

    def at_end(self, call: Callable[[Exchange], None]) -> None:
        """Have something called once when the exchange is over, however it ended: to settle, to release, to count.

        It is called with the complete record (outcome, usage), before that is logged and given to the AFTER hooks, in
        the order of registration. It must neither wait nor raise; unlike those hooks it is never dropped.

        Raises:
            RuntimeError: this is no exchange, see ``is_exchange``.
        """
        if not self.is_exchange:
            raise RuntimeError(f"{self.exchange.path} is no exchange: it has no end to wait for")
        self.endings.append(call)

    def begin_attempt(self, handler: str) -> Attempt:
        """Put on record that a handler is asked now; the engine does it before every `Handler.execute`.

        For handlers that ask more than once by themselves; they fill in what they know, and call `Attempt.end`.
        """
        now = time.perf_counter()
        attempt = self.attempt = Attempt(handler=handler, started_s=now - self.started_s, clock_s=now)
        trace = self.trace
        if trace.is_traced:
            attempt.span_id, attempt.traceparent = trace.hop()
        else:
            attempt.traceparent = trace.traceparent
        self.exchange.attempts.append(attempt)
        return attempt

    async def call_tool(self, call: ToolCall, run: ToolRunner) -> ToolResult:
        """Run a tool between `before_tool_call` and `after_tool_call`, and record it.

        Args:
            run: does the call; it gets the call as the hooks left it.

        Raises:
            Reject: a hook refused the call.
        """
        if self._call_tool is None:
            return await run(call)
        return await self._call_tool(self, call, run)

    async def ask(self, body: Mapping[str, Any], *, span: TraceSpan | None = None) -> ChatResponse:
        """Ask a model through the gateway, as this exchange's principal: an exchange inside of this one.

        All hooks but `authenticate` see it, limits and accounts count it, and its record has ``parent_id``.

        Args:
            body: of a chat completion; ``stream`` is ignored.
            span: the part of this exchange's work that asks; for traces.

        Raises:
            ApiError: it failed or was refused; ``loop_detected`` (508) where exchanges within exchanges go too deep.
            RuntimeError: this is no exchange of a gateway.

        Example:
            ``reply = await ctx.ask({"model": "demo", "messages": [{"role": "user", "content": "Hello"}]})``
        """
        return await self._asked().ask(self, body, span)

    def ask_stream(
        self, body: Mapping[str, Any], *, span: TraceSpan | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """As `ask`, streamed: the data of each event, without the end's. Close it where you leave it early."""
        return self._asked().ask_stream(self, body, span)

    def _asked(self) -> InnerExchanges:
        if self._inner is None or not self.is_exchange:
            raise RuntimeError(f"{self.exchange.path} is no exchange: no model can be asked inside of it")
        return self._inner

    def bracket_tools(self, wrap: Callable[[ToolBracket], ToolBracket]) -> ToolBracket | None:
        """Put something around every tool call; the engine's. Returns what `restore_tools` takes."""
        outer = self._call_tool
        if outer is not None:
            self._call_tool = wrap(outer)
        return outer

    def restore_tools(self, outer: ToolBracket | None) -> None:
        """Undo `bracket_tools`."""
        self._call_tool = outer


class Credentials:
    """The client's own ``Authorization`` value, for the upstream handler alone; never shown, never pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes | None) -> None:
        self._value = value

    def reveal(self) -> bytes | None:
        """The header's bytes, or None. Only a handler that is configured to forward them may call this."""
        return self._value

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> str:
        raise TypeError("credentials cannot be pickled or copied")

    def __getstate__(self) -> None:
        raise TypeError("credentials cannot be pickled or copied")

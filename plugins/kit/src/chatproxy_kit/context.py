"""What a kit's own code is given: the context of an exchange, and the request that its `auth` hook looks at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from chatproxy import ChatResponse, RequestContext

_OPTIONAL = frozenset({"user_id", "principal"})


class Context(dict[str, Any]):
    """The exchange a handler answers, as a dict; each key is an attribute too.

    Always there: ``session_id``, ``request_id``, ``model``, ``headers`` (the client's, without credentials),
    ``request`` (the whole body as a mapping), ``principal`` (None where nobody authenticates), and what the `auth`
    hook returned. ``user_id`` is there where one is known; as an attribute it is None otherwise.
    """

    __slots__ = ("_ctx",)

    def __init__(self, ctx: RequestContext, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        object.__setattr__(self, "_ctx", ctx)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name in _OPTIONAL:
                return None
            raise AttributeError(f"the context has no {name!r}; it has {sorted(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    async def ask(self, body: Mapping[str, Any]) -> ChatResponse:
        """Ask another model of the gateway, as `chatproxy.RequestContext.ask` does."""
        return await self._exchange.ask(body)

    def ask_stream(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Ask another model and get the data of each event; close it where you leave it early."""
        return self._exchange.ask_stream(body)

    @property
    def _exchange(self) -> RequestContext:
        exchange: RequestContext = object.__getattribute__(self, "_ctx")
        return exchange


class AuthRequest:
    """A request as the `auth` hook sees it, before its body is read.

    Attributes:
        headers: all of them, credentials included; names in any case.
        method: ``POST``, or ``GET`` for a listing of models.
        path: without the query.
        query: the query's fields; of a repeated one the last.
        url: scheme, host, path and query, as the client sent them.
    """

    __slots__ = ("headers", "method", "path", "query", "url")

    def __init__(self, ctx: RequestContext, headers: Mapping[str, str]) -> None:
        exchange = ctx.exchange
        query = ctx.query.decode("latin-1")
        self.headers = headers
        self.method = exchange.method
        self.path = exchange.path
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        self.url = f"{exchange.scheme}://{headers.get('host', '')}{exchange.path}" + (f"?{query}" if query else "")

    def __repr__(self) -> str:
        return f"AuthRequest({self.method} {self.path})"

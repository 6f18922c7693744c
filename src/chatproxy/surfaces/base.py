"""What every surface needs of ASGI: the context of a request, its body, and answers in OpenAI's envelope."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from chatproxy.engine import Engine
from chatproxy.engine.identity import MAX_TRACESTATE, client_id_of, known_version, traceparent_of
from chatproxy.errors import ApiError, InvalidRequest
from chatproxy.surfaces.edge import Message, Receive, Scope, Send
from chatproxy.types.app import App
from chatproxy.types.chat import CHAT
from chatproxy.types.context import Headers, RequestContext
from chatproxy.types.exchange import Exchange
from chatproxy.types.layout import Layout
from chatproxy.types.route import UNKNOWN_ROUTE, Route

_encode = msgspec.json.Encoder().encode
_JSON = (b"content-type", b"application/json")
_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_MAX_HOPS = 8
_splits = re.compile("[\r\n\0]").search
_NO_HEADERS: Mapping[str, str] = {}


class Gateway:
    """What the surfaces share: the engine and the application's face to plugins.

    Attributes:
        routes: what is declared of each route, by the identity of its handler.
    """

    __slots__ = ("app", "engine", "routes")

    def __init__(self, engine: Engine, app: App) -> None:
        self.engine = engine
        self.app = app
        self.routes: dict[int, Route] = {}


class ClientGoneError(Exception):
    """The client left before its request was read."""


def open_context(gateway: Gateway, scope: Scope, layout: Layout) -> tuple[RequestContext, Headers]:
    """The context of a new exchange, and the headers with credentials, which only `authenticate` may see."""
    raw = scope["headers"]
    traceparent = tracestate = client_id = credentials = None
    for name, value in raw:
        if name == b"authorization":
            credentials = value
        elif name == b"x-api-key" and credentials is None:  # how Anthropic's clients send it
            credentials = b"Bearer " + value
        elif name == b"traceparent":  # two of them are as good as none
            traceparent = known_version(value.decode("latin-1")) if traceparent is None else ""
        elif name == b"tracestate":
            given = value.decode("latin-1")
            tracestate = f"{tracestate},{given}" if tracestate else given
        elif name == b"x-request-id":
            client_id = value.decode("latin-1")
    client = scope.get("client")
    path, started_s = scope["path"], time.perf_counter()
    route = scope.get("path_template", "")
    exchange = Exchange(
        request_id=gateway.engine.request_ids.next(),
        surface=layout.surface,
        method=scope["method"],
        path=path,
        route="" if route == path else route,
        scheme=scope.get("scheme", "http"),
        client=client[0] if client else "",
        started_at=time.time(),
        clock_s=started_s,
        client_request_id=client_id_of(client_id),
    )
    parent = traceparent_of(traceparent)
    context = RequestContext(
        app=gateway.app,
        exchange=exchange,
        layout=layout,
        started_s=started_s,
        headers=Headers(raw),
        traceparent=parent,
        tracestate=tracestate if parent == traceparent and tracestate and len(tracestate) <= MAX_TRACESTATE else "",
        is_traced_by_client=parent == traceparent,
        credentials=credentials,
        call_tool=gateway.engine.call_tool,
        inner=gateway.engine.inner,
        route=gateway.routes.get(id(scope.get("route_handler")), UNKNOWN_ROUTE),
        query=scope.get("query_string", b""),
    )
    exchange.traceparent = context.traceparent
    return context, Headers(raw, with_secrets=True)


def check_hops(ctx: RequestContext) -> None:
    """Refuse a request that goes round in circles between gateways (508)."""
    hops = ctx.headers.first(b"x-chatproxy-hops")
    if hops is not None and hops.isdigit() and int(hops[:6]) >= _MAX_HOPS:
        raise ApiError(f"The request passed {_MAX_HOPS} gateways: is there a loop?", status=508, code="loop_detected")


def check_content_type(ctx: RequestContext) -> None:
    """Refuse a body that says it is not JSON; one that says nothing is taken as JSON."""
    raw = ctx.headers.first(b"content-type")
    if raw is None or raw == b"application/json":
        return
    found = raw.decode("latin-1").partition(";")[0].strip().lower()
    if found in {"", "application/json"} or found.endswith("+json"):
        return
    if found.startswith("multipart/"):
        raise InvalidRequest("This endpoint takes a JSON body, found a form.", code="invalid_content_type")
    raise ApiError(
        f"This endpoint takes 'content-type: application/json', found '{found[:80]}'.",
        status=415,
        code="unsupported_media_type",
    )


async def read_body(receive: Receive) -> bytes:
    """The whole body; the server or the edge guard limits its size.

    Raises:
        ClientGoneError: the client left before the end.
    """
    message: Message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
    return b"".join(parts)


@lru_cache(maxsize=256)
def _header_name(name: str) -> bytes:
    return name.lower().encode("ascii")


def header_pairs(request_id: str, headers: dict[str, str], layout: Layout = CHAT) -> list[tuple[bytes, bytes]]:
    """Response headers as ASGI wants them.

    Raises:
        ApiError: a plugin or handler set a header that HTTP cannot carry (500).
    """
    pairs = [(name, request_id.encode()) for name in layout.id_headers]
    for name, value in headers.items():
        if _splits(value) or _splits(name):
            raise ApiError(f"A plugin set an invalid response header '{name[:40]!r}'.", code="plugin_failed")
        try:
            pairs.append((_header_name(name), value.encode("latin-1")))
        except UnicodeEncodeError as exc:
            raise ApiError("A plugin set a response header that is not Latin-1.", code="plugin_failed") from exc
    return pairs


async def send_json(send: Send, status: int, pairs: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a JSON body."""
    pairs.append(_JSON)
    pairs.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def send_error(
    send: Send, request_id: str, error: ApiError, layout: Layout = CHAT, more: Mapping[str, str] = _NO_HEADERS
) -> None:
    """Send an error in the surface's envelope; an upstream's own envelope goes out as it came.

    Args:
        more: headers for the answer; the error's own come first.
    """
    own = getattr(error, "body", None)
    body: bytes = own if own is not None else _encode(layout.error_body(error, request_id))
    await send_json(send, error.status, header_pairs(request_id, {**more, **error.headers}, layout), body)


def stream_start(status: int, pairs: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """The message that starts an event stream."""
    pairs.extend(_STREAM)
    return {"type": "http.response.start", "status": status, "headers": pairs}

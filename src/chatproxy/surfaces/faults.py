"""Errors of Litestar's own routes and of plugins' routes, in the envelope that the path's clients expect."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from chatproxy.errors import ApiError, error_type
from chatproxy.surfaces.base import Gateway, open_context
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout
from chatproxy.types.messages import MESSAGES

logger = logging.getLogger("chatproxy.surfaces")

_CODES = {404: "not_found", 405: "method_not_allowed", 401: "invalid_api_key", 403: "permission_denied"}


def exception_handlers(gateway: Gateway) -> dict[Any, Any]:
    """What Litestar does with an exception of a route."""

    def answer(request: Request[Any, Any, Any], error: ApiError) -> Response[Any]:
        layout, request_id = layout_of(request.url.path), request_id_of(gateway, request.scope)
        headers = {**error.headers, **{name.decode(): request_id for name in layout.id_headers}}
        body = layout.error_body(error, request_id)
        return Response(body, status_code=error.status, headers=headers, media_type="application/json")

    def on_api_error(request: Request[Any, Any, Any], error: ApiError) -> Response[Any]:
        return answer(request, error)

    def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        status = error.status_code
        detail = f"No route for {request.method} {request.url.path}." if status == 404 else error.detail
        code = _CODES.get(status, error_type(status))
        headers = {k: v for k, v in (error.headers or {}).items() if k.lower() in {"allow", "retry-after"}}
        return answer(request, ApiError(detail or "The request failed.", status=status, code=code, headers=headers))

    def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        logger.error("route %s failed", request.url.path, exc_info=error)
        return answer(request, ApiError("The server had an error.", code="internal_error"))

    return {ApiError: on_api_error, HTTPException: on_http_exception, Exception: on_exception}


def identified(gateway: Gateway) -> Any:
    """A Litestar middleware: the answers of its routes carry the request's id, as those of exchanges do."""

    def wrap(app: Any) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            async def tell(message: Any) -> None:
                if message["type"] == "http.response.start":
                    headers = message.setdefault("headers", [])
                    if all(name != b"x-request-id" for name, _ in headers):
                        headers.append((b"x-request-id", request_id_of(gateway, scope).encode()))
                await send(message)

            await app(scope, receive, tell)

        return serve

    return wrap


def request_id_of(gateway: Gateway, scope: Any) -> str:
    """The id of a request to one of Litestar's own routes: that of its context where it has one, else a new one."""
    found = scope["state"].get("request_id")
    return found if isinstance(found, str) else gateway.engine.request_ids.next()


def layout_of(path: str) -> Layout:
    """Whose envelope a client of this path expects."""
    return MESSAGES if path.removeprefix("/v1").startswith(MESSAGES.path) else CHAT


def plugin_route_guard(gateway: Gateway) -> Any:
    """A Litestar guard: a plugin's route needs a principal wherever a plugin authenticates, unless it is public."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("public") is True:
            return
        ctx, headers = open_context(gateway, dict(connection.scope), CHAT)
        connection.state.request_id = ctx.request_id
        await gateway.engine.authenticate(ctx, headers)
        connection.state.principal = ctx.principal
        connection.state.context = ctx

    return guard

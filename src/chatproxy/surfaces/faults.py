"""Errors of Litestar's own routes, and of plugins' routes, in OpenAI's envelope."""

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

logger = logging.getLogger("chatproxy.surfaces")

_CODES = {404: "not_found", 405: "method_not_allowed", 401: "invalid_api_key", 403: "permission_denied"}


def exception_handlers(gateway: Gateway) -> dict[Any, Any]:
    """What Litestar does with an exception of a route."""

    def answer(error: ApiError) -> Response[Any]:
        headers = {**error.headers, "x-request-id": gateway.engine.request_ids.next()}
        return Response(error.envelope(), status_code=error.status, headers=headers, media_type="application/json")

    def on_api_error(_: Request[Any, Any, Any], error: ApiError) -> Response[Any]:
        return answer(error)

    def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        status = error.status_code
        detail = f"No route for {request.method} {request.url.path}." if status == 404 else error.detail
        code = _CODES.get(status, error_type(status))
        headers = {k: v for k, v in (error.headers or {}).items() if k.lower() in {"allow", "retry-after"}}
        return answer(ApiError(detail or "The request failed.", status=status, code=code, headers=headers))

    def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        logger.error("route %s failed", request.url.path, exc_info=error)
        return answer(ApiError("The server had an error.", code="internal_error"))

    return {ApiError: on_api_error, HTTPException: on_http_exception, Exception: on_exception}


def plugin_route_guard(gateway: Gateway) -> Any:
    """A Litestar guard: a plugin's route needs a principal wherever a plugin authenticates, unless it is public."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("public") is True:
            return
        ctx, headers = open_context(gateway, dict(connection.scope), CHAT)
        await gateway.engine.authenticate(ctx, headers)
        connection.state.principal = ctx.principal
        connection.state.context = ctx

    return guard

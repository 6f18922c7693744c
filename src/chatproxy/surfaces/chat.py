"""``POST /v1/chat/completions``, with and without ``/v1``."""

from __future__ import annotations

from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from chatproxy.errors import ApiError
from chatproxy.surfaces.asgi import run
from chatproxy.surfaces.base import Gateway, send_error
from chatproxy.surfaces.edge import Scope, Send
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout

PATHS = ("/v1/chat/completions", "/chat/completions")


def chat_routes(gateway: Gateway) -> list[ASGIRouteHandler]:
    """The surface's route."""
    return [exchange_route(gateway, CHAT, PATHS)]


def exchange_route(gateway: Gateway, layout: Layout, paths: tuple[str, ...]) -> ASGIRouteHandler:
    """A route whose POST requests are exchanges of the engine."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await run(gateway, layout, scope, receive, send)
        else:
            await refuse_method(gateway, scope, send, "POST")

    return asgi(list(paths), copy_scope=False, name=layout.surface)(serve)


async def refuse_method(gateway: Gateway, scope: Scope, send: Send, allowed: str) -> None:
    """Answer 405 and say what is allowed."""
    error = ApiError(
        f"{scope['method']} is not allowed here, only {allowed}.",
        status=405,
        code="method_not_allowed",
        headers={"allow": allowed},
    )
    await send_error(send, gateway.engine.request_ids.next(), error)

"""The surfaces whose every request is one exchange of the engine: POST a JSON body, get a JSON body or a stream.

Each is served with and without ``/v1``. What differs between them is in their layouts; a surface with more routes than
this one (``responses.py``) has a module of its own.
"""

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
from chatproxy.types.layouts import LAYOUTS

_ELSEWHERE = frozenset({"responses"})


def exchange_routes(gateway: Gateway) -> list[ASGIRouteHandler]:
    """A route for each surface that is nothing but exchanges."""
    return [exchange_route(gateway, layout) for name, layout in LAYOUTS.items() if name not in _ELSEWHERE]


def exchange_route(gateway: Gateway, layout: Layout) -> ASGIRouteHandler:
    """A route whose POST requests are exchanges of the engine."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await run(gateway, layout, scope, receive, send)
        else:
            await refuse_method(gateway, scope, send, "POST", layout)

    return asgi([f"/v1{layout.path}", layout.path], copy_scope=False, name=layout.surface, opt={"access": "user"})(
        serve
    )


async def refuse_method(gateway: Gateway, scope: Scope, send: Send, allowed: str, layout: Layout = CHAT) -> None:
    """Answer 405 and say what is allowed."""
    error = ApiError(
        f"{scope['method']} is not allowed here, only {allowed}.",
        status=405,
        code="method_not_allowed",
        headers={"allow": allowed},
    )
    await send_error(send, gateway.engine.request_ids.next(), error, layout)

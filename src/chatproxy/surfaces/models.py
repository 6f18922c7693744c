"""``GET /v1/models`` and ``GET /v1/models/{model}``, with and without ``/v1``; ids may contain ``/``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from chatproxy.errors import ApiError, NotFound
from chatproxy.surfaces.base import Gateway, header_pairs, open_context, send_error, send_json
from chatproxy.surfaces.catalogue import Catalogue
from chatproxy.surfaces.exchanges import refuse_method
from chatproxy.types.chat import CHAT
from chatproxy.types.context import RequestContext


def models_routes(gateway: Gateway, catalogue: Catalogue) -> list[ASGIRouteHandler]:
    """The listing and the single models, under both prefixes."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def work(ctx: RequestContext) -> object:
            model = _model_of(scope)
            if model:
                return await catalogue.get(ctx, model)
            return {"object": "list", "data": await catalogue.list(ctx)}

        await _serve(gateway, scope, send, work)

    return [  # mounted, because Litestar 2.25 has no path parameters on ASGI routes (KeyError in its route parser)
        asgi(path, is_mount=True, copy_scope=True, name=name, opt={"access": "user"})(serve)
        for path, name in (("/v1/models", "models"), ("/models", "models_unversioned"))
    ]


def _model_of(scope: Any) -> str:
    """The id after ``/models/``, from the raw path, so that ``%2F`` and ``/`` mean the same."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    rest = raw.decode("latin-1").partition("/models")[2]
    if rest and not rest.startswith("/"):  # a mount of Litestar's also takes paths that only begin like it
        raise NotFound(f"No route for {scope['method']} {scope['path']}.")
    return unquote(rest.strip("/"))


async def _serve(gateway: Gateway, scope: Any, send: Any, work: Callable[[RequestContext], Awaitable[object]]) -> None:
    """Answer a GET after authentication."""
    if scope["method"] not in {"GET", "HEAD"}:
        await refuse_method(gateway, scope, send, "GET")
        return
    ctx, headers = open_context(gateway, scope, CHAT)
    try:
        await gateway.engine.authenticate(ctx, headers)
        body = msgspec.json.encode(await work(ctx))
    except ApiError as error:
        await send_error(send, ctx.request_id, error)
        return
    await send_json(send, 200, header_pairs(ctx.request_id, {}), body)

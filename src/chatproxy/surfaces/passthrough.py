"""``/v1/audio/*``, ``/v1/images/*``, ``/v1/files*`` and ``/v1/batches*``, with and without ``/v1``: the routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from chatproxy.config import ModelConfig
from chatproxy.engine.relay import Switchboard
from chatproxy.errors import NotFound
from chatproxy.surfaces.base import Gateway, send_error
from chatproxy.surfaces.exchanges import refuse_method
from chatproxy.surfaces.passthrough_exchange import Passage
from chatproxy.surfaces.passthrough_operations import ROUTES, Operation, find_operation
from chatproxy.types.passthrough import PASSTHROUGH, Relay


def passthrough_routes(
    gateway: Gateway, relays: Sequence[Relay], models: Mapping[str, ModelConfig], *, max_body_bytes: int
) -> list[ASGIRouteHandler]:
    """A route for each surface whose bodies pass through, under both prefixes.

    Args:
        relays: the upstreams, in the configuration's order.
        models: the model table.
        max_body_bytes: of JSON bodies, which are read whole.
    """
    passage = Passage(gateway, Switchboard(gateway.engine, models, relays), max_body_bytes)
    return [_route(passage, surface, f"{prefix}/{surface}") for surface in ROUTES for prefix in ("/v1", "")]


def _route(passage: Passage, surface: str, path: str) -> ASGIRouteHandler:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        raw: bytes | None = scope.get("raw_path")
        rest = scope["path"] if raw is None else raw.decode("latin-1").partition(path)[2]
        scope["path"] = path + rest  # Litestar has taken the mount's path off, and decoded the rest
        found = find_operation(surface, rest, scope["method"])
        if isinstance(found, Operation):
            scope["path_template"] = path.removesuffix(f"/{surface}") + found.template
            await passage.run(found, scope, receive, send)
        elif found is not None:
            await refuse_method(passage.gateway, scope, send, ", ".join(sorted(found - {"HEAD"})), PASSTHROUGH[surface])
        else:
            error = NotFound(f"No route for {scope['method']} {scope['path']}.")
            await send_error(send, passage.gateway.engine.request_ids.next(), error, PASSTHROUGH[surface])

    # mounted, because Litestar 2.25 has no path parameters on ASGI routes (KeyError in its route parser)
    name = surface if path.startswith("/v1") else f"{surface}_unversioned"
    return asgi(path, is_mount=True, copy_scope=True, name=name, opt={"access": "user"})(serve)

"""The routes that plugins bring: Litestar's own kinds, and paths of their own for one model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from litestar import Router, asgi
from litestar.handlers import ASGIRouteHandler
from litestar.openapi.spec import PathItem

from chatproxy.plugins.registry import find_duplicates
from chatproxy.surfaces.asgi import run
from chatproxy.surfaces.base import Gateway, read_body
from chatproxy.surfaces.edge import Message, Receive
from chatproxy.surfaces.exchanges import refuse_method
from chatproxy.surfaces.operations import model_route_operation
from chatproxy.types.chat import CHAT
from chatproxy.types.request import ChatRequest
from chatproxy.types.route import ModelRoute

PluginRoute = tuple[str, Any]


def plugin_routes(
    gateway: Gateway, routes: Sequence[PluginRoute], guard: Any, taken: Collection[str] = ()
) -> list[Any]:
    """Mount plugins' routes, each behind the guard.

    Under ``/plugins/<name>``, unless a route's ``opt`` says ``own_path=True``; a `ModelRoute` has its own path always.

    Args:
        taken: paths that the core serves itself.

    Raises:
        PluginError: two plugins give the same path of their own, or one a path of the core.
    """
    mounted: list[Any] = []
    own_paths: list[tuple[str, str]] = [("chatproxy", path) for path in taken]
    for plugin, route in routes:
        if isinstance(route, ModelRoute):
            own_paths.append((plugin, route.path))
            mounted.append(_model_route(gateway, plugin, route))
        elif (getattr(route, "opt", None) or {}).get("own_path") is True:
            own_paths += [(plugin, path) for path in getattr(route, "paths", ())]
            mounted.append(Router("/", guards=[guard], route_handlers=[route], opt={"plugin": plugin}))
        else:
            under = f"/plugins/{plugin}"
            mounted.append(Router(under, guards=[guard], route_handlers=[route], opt={"plugin": plugin}))
    find_duplicates(own_paths, "route")
    return mounted


def model_route_paths(routes: Sequence[PluginRoute]) -> dict[str, PathItem]:
    """What the description of the API says of every `ModelRoute`."""
    found = [route for _, route in routes if isinstance(route, ModelRoute)]
    return {route.path: PathItem(post=model_route_operation(route)) for route in found}


def _model_route(gateway: Gateway, plugin: str, route: ModelRoute) -> ASGIRouteHandler:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await run(gateway, CHAT, scope, _Addressed(receive, route), send)
        else:
            await refuse_method(gateway, scope, send, "POST")

    wrapped = answer if route.wrap is None else route.wrap(answer)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await wrapped(scope, receive, send)

    opt = {"access": "user", "model": route.model, "plugin": plugin}
    return asgi(route.path, copy_scope=False, name=route.name or route.path, opt=opt)(serve)


class _Addressed:
    """ASGI's ``receive`` of a request to one model: the body names it, whatever it named before."""

    def __init__(self, receive: Receive, route: ModelRoute) -> None:
        self._receive = receive
        self._route = route
        self._is_read = False

    async def __call__(self) -> Message:
        if self._is_read:
            return await self._receive()
        body = await read_body(self._receive)
        self._is_read = True
        request = ChatRequest.of(body, CHAT)
        request["model"] = self._route.model
        if request.get("stream") is None:
            request["stream"] = self._route.stream
        return {"type": "http.request", "body": request.encode(), "more_body": False}

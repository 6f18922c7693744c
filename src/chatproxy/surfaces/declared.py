"""What the routes of an application declare about themselves.

``/schema`` is Litestar's own, and so are the routes for OPTIONS, which tell the methods of a path and nothing else.
"""

from __future__ import annotations

from litestar import Litestar
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute

from chatproxy.types.route import Route


def declared_routes(app: Litestar) -> dict[int, Route]:
    """Every route by the identity of its handler, which Litestar puts into the scope it has matched."""
    found: dict[int, Route] = {}
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler]:
            known = found.get(id(handler))
            paths = (*known.paths, route.path) if known is not None else (route.path,)
            found[id(handler)] = _declared(handler, paths)
    return found


def _declared(handler: BaseRouteHandler, paths: tuple[str, ...]) -> Route:
    opt = handler.opt
    methods = tuple(sorted(str(method) for method in getattr(handler, "http_methods", ())))
    is_schema = opt.get("plugin") is None and f"{paths[0]}/".startswith("/schema/")
    is_public = opt.get("public") is True or methods == ("OPTIONS",) or is_schema
    access = "public" if is_public else opt.get("access", "")
    return Route(paths=paths, methods=methods, plugin=opt.get("plugin"), access=access, model=opt.get("model"))

"""OpenAPI at ``/schema``, with ``/docs`` and ``/redoc``; the operations of raw ASGI routes come from `operations`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import (
    JsonRenderPlugin,
    OpenAPIRenderPlugin,
    RedocRenderPlugin,
    SwaggerRenderPlugin,
    YamlRenderPlugin,
)
from litestar.openapi.spec import Parameter, PathItem, Schema
from litestar.openapi.spec.enums import OpenAPIType

from chatproxy.surfaces.operations import get_of, operations
from chatproxy.surfaces.passthrough_openapi import passthrough_operations

_MODEL = Schema(
    type=OpenAPIType.OBJECT,
    required=["id", "object", "created", "owned_by"],
    additional_properties=True,
    properties={
        "id": Schema(type=OpenAPIType.STRING),
        "object": Schema(const="model"),
        "created": Schema(type=OpenAPIType.INTEGER),
        "owned_by": Schema(type=OpenAPIType.STRING),
    },
)
_MODELS = Schema(
    type=OpenAPIType.OBJECT,
    required=["object", "data"],
    properties={"object": Schema(const="list"), "data": Schema(type=OpenAPIType.ARRAY, items=_MODEL)},
)
_FALLBACK = b"""
<p id="chatproxy-fallback" hidden style="font: 1rem/1.5 sans-serif; margin: 3rem auto; max-width: 40rem">
  The interactive viewer is loaded from cdn.jsdelivr.net, which this browser cannot reach. The description itself is at
  <a href="/schema/openapi.json">/schema/openapi.json</a> and <a href="/schema/openapi.yaml">/schema/openapi.yaml</a>.
</p>
<script>
  addEventListener("load", () => {
    const viewer = globalThis.SwaggerUIBundle ?? globalThis.Redoc
    document.getElementById("chatproxy-fallback").hidden = viewer !== undefined
  })
</script>
"""


class Description:
    """The description of one application, made when it is first asked for: it takes as long as the rest of a start.

    Args:
        more: paths of plugins' raw ASGI routes.
    """

    def __init__(self, more: Mapping[str, PathItem] | None = None) -> None:
        self._more = more or {}
        self._schema: dict[str, Any] | None = None

    def of(self, app: Litestar) -> dict[str, Any]:
        """The description as JSON has it; the same each time."""
        if self._schema is None:
            describe_surfaces(app, self._more)
            self._schema = app.openapi_schema.to_schema()
        return self._schema


def openapi_config(version: str, description: Description) -> OpenAPIConfig:
    """Litestar's part of it."""
    return OpenAPIConfig(
        title="chatproxy",
        version=version,
        description="An OpenAI-compatible gateway. Errors have OpenAI's envelope, under /v1/messages Anthropic's.",
        path="/schema",
        render_plugins=[
            RenderedOnce(plugin, description)
            for plugin in (JsonRenderPlugin(), YamlRenderPlugin(), SwaggerRenderPlugin(), RedocRenderPlugin())
        ],
    )


class RenderedOnce(OpenAPIRenderPlugin):
    """Another render plugin, whose bytes are kept.

    Everybody may ask for the description, and to render it takes up to 0.3 s of the event loop (YAML, Litestar 2.25).
    """

    def __init__(self, plugin: OpenAPIRenderPlugin, description: Description) -> None:
        super().__init__(path=plugin.paths, media_type=plugin.media_type)
        self._plugin = plugin
        self._description = description
        self._bytes = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The bytes, the same each time: an application's description does not change."""
        self._bytes = self._bytes or self._plugin.render(request, self._description.of(request.app))
        return self._bytes

    def receive_router(self, router: Router) -> None:
        """As the other plugin does."""
        self._plugin.receive_router(router)


def docs_routes(description: Description) -> list[HTTPRouteHandler]:
    """``/docs`` (Swagger UI) and ``/redoc``, as other OpenAI-compatible servers have them."""
    pages: dict[str, bytes] = {}

    def page(name: str, plugin: OpenAPIRenderPlugin, request: Request[Any, Any, Any]) -> Response[bytes]:
        if name not in pages:
            pages[name] = with_fallback(plugin.render(request, description.of(request.app)))
        return Response(pages[name], media_type=MediaType.HTML)

    @get("/docs", include_in_schema=False, sync_to_thread=False, opt={"public": True})
    def docs(request: Request[Any, Any, Any]) -> Response[bytes]:
        return page("docs", SwaggerRenderPlugin(), request)

    @get("/redoc", include_in_schema=False, sync_to_thread=False, opt={"public": True})
    def redoc_page(request: Request[Any, Any, Any]) -> Response[bytes]:
        return page("redoc", RedocRenderPlugin(), request)

    return [docs, redoc_page]


def with_fallback(page: bytes) -> bytes:
    """Say something where the viewer cannot be loaded: both come from a public CDN, as Litestar has them."""
    return page.replace(b"</body>", _FALLBACK + b"</body>", 1)


def describe_surfaces(app: Litestar, more: Mapping[str, PathItem]) -> None:
    """Add the operations of the raw ASGI routes: the surfaces', and ``more`` by path."""
    paths = app.openapi_schema.paths
    if paths is None:
        return
    paths.update(more)
    for prefix in ("/v1", ""):
        suffix = "" if prefix else "_unversioned"
        for path, item in {**operations(suffix), **passthrough_operations(suffix)}.items():
            paths[prefix + path] = item
        paths[f"{prefix}/models"] = PathItem(get=get_of(f"list_models{suffix}", "models", "List the models.", _MODELS))
        model = Parameter(name="model", param_in="path", required=True, schema=Schema(type=OpenAPIType.STRING))
        one = get_of(f"get_model{suffix}", "models", "One model; its id may contain slashes.", _MODEL)
        one.parameters = [model]
        paths[f"{prefix}/models/{{model}}"] = PathItem(get=one)
